//! Lexicon files.

use std::collections::BTreeMap;

use p2pds_syntax::Nsid;
use serde::Deserialize;

use crate::LexiconError;
use crate::schema::{Definition, Primary, Schema};

/// A lexicon: definitions under one NSID.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    id: Nsid,
    definitions: BTreeMap<String, Definition>,
}

/// The name of a lexicon's primary definition.
pub(crate) const MAIN: &str = "main";

impl Document {
    /// Reads the JSON of a lexicon and checks that it is consistent in itself. References are resolved by a
    /// [`Catalog`](crate::Catalog).
    pub fn parse(json: &[u8]) -> Result<Self, LexiconError> {
        #[derive(Deserialize)]
        struct Fields {
            lexicon: i64,
            id: String,
            defs: BTreeMap<String, serde_json::Value>,
        }
        let fields: Fields =
            serde_json::from_slice(json).map_err(|e| LexiconError::Json { problem: e.to_string() })?;
        if fields.lexicon != 1 {
            let problem = format!("its language version is {}, only 1 is known", fields.lexicon);
            return Err(LexiconError::Json { problem });
        }
        let id = Nsid::parse(&fields.id)?;
        if fields.defs.is_empty() {
            return Err(LexiconError::Empty { id });
        }
        let mut definitions = BTreeMap::new();
        for (name, json) in fields.defs {
            match definition(&name, json) {
                Ok(definition) => definitions.insert(name, definition),
                Err(problem) => return Err(LexiconError::Definition { id, name, problem }),
            };
        }
        Ok(Self { id, definitions })
    }

    /// Its NSID.
    pub fn id(&self) -> &Nsid {
        &self.id
    }

    /// The definition of this name.
    pub fn definition(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(name)
    }

    /// The definition `main`.
    pub fn main(&self) -> Option<&Definition> {
        self.definition(MAIN)
    }

    /// All definitions, by name.
    pub fn definitions(&self) -> impl Iterator<Item = (&str, &Definition)> {
        self.definitions.iter().map(|(name, definition)| (name.as_str(), definition))
    }
}

fn definition(name: &str, json: serde_json::Value) -> Result<Definition, String> {
    let valid_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric());
    if !valid_name {
        return Err("a name must be a letter and then letters and digits".to_owned());
    }
    let kind = json.get("type").and_then(serde_json::Value::as_str).ok_or("it has no \"type\"")?;
    let is_primary = matches!(kind, "record" | "query" | "procedure" | "subscription" | "permission-set");
    if is_primary && name != MAIN {
        return Err(format!("a {kind} may only be defined as \"main\""));
    }
    if is_primary {
        let definition = match serde_json::from_value(json).map_err(|e| e.to_string())? {
            Primary::Record(record) => Definition::Record(record),
            Primary::Query(query) => Definition::Query(query),
            Primary::Procedure(procedure) => Definition::Procedure(procedure),
            Primary::Subscription(subscription) => Definition::Subscription(subscription),
            Primary::PermissionSet(set) => Definition::PermissionSet(set),
        };
        check_primary(&definition)?;
        return Ok(definition);
    }
    let schema: Schema = serde_json::from_value(json).map_err(|e| e.to_string())?;
    if matches!(schema, Schema::Ref(_) | Schema::Unknown) {
        return Err("a name may not stand for a \"ref\" or for \"unknown\"".to_owned());
    }
    check(&schema)?;
    Ok(Definition::Schema(schema))
}

fn check_primary(definition: &Definition) -> Result<(), String> {
    let body =
        |body: &Option<crate::Body>| body.as_ref().and_then(|b| b.schema.as_ref()).map_or(Ok(()), check);
    let params = |params: &Option<crate::Params>| match params {
        Some(params) => params.properties.values().try_for_each(check_param),
        None => Ok(()),
    };
    match definition {
        Definition::Record(record) => record.record.properties.values().try_for_each(check),
        Definition::Query(query) => params(&query.parameters).and_then(|()| body(&query.output)),
        Definition::Procedure(procedure) => {
            params(&procedure.parameters)?;
            body(&procedure.input)?;
            body(&procedure.output)
        }
        Definition::Subscription(subscription) => {
            params(&subscription.parameters)?;
            match subscription.message.as_ref().map(|message| &message.schema) {
                None | Some(Schema::Union(_)) => Ok(()),
                Some(_) => Err("the messages of a subscription must be a union".to_owned()),
            }
        }
        Definition::PermissionSet(set) => {
            let known =
                |permission: &crate::Permission| matches!(permission.resource.as_str(), "repo" | "rpc");
            let bad_rpc = |p: &crate::Permission| p.resource == "rpc" && p.aud.is_some() == p.inherit_aud;
            match set.permissions.iter().find(|p| known(p) && bad_rpc(p)) {
                Some(_) => Err("an rpc permission needs either \"aud\" or \"inheritAud\"".to_owned()),
                None => Ok(()),
            }
        }
        Definition::Schema(schema) => check(schema),
    }
}

fn check_param(schema: &Schema) -> Result<(), String> {
    match schema {
        Schema::Boolean(_) | Schema::Integer(_) | Schema::String(_) | Schema::Unknown => check(schema),
        Schema::Array(array) => check_param(&array.items),
        _ => Err("a parameter must be a boolean, an integer, a string, or an array of these".to_owned()),
    }
}

/// Checks that bounds do not contradict each other, all the way down. Depth is bounded by the JSON parser's.
fn check(schema: &Schema) -> Result<(), String> {
    fn ordered<T: PartialOrd>(low: Option<T>, high: Option<T>, what: &str) -> Result<(), String> {
        match (low, high) {
            (Some(low), Some(high)) if low > high => Err(format!("its smallest {what} is above its largest")),
            _ => Ok(()),
        }
    }
    match schema {
        Schema::Integer(integer) => ordered(integer.minimum, integer.maximum, "value"),
        Schema::String(string) => {
            ordered(string.min_length, string.max_length, "length")?;
            ordered(string.min_graphemes, string.max_graphemes, "number of graphemes")
        }
        Schema::Bytes(bytes) => ordered(bytes.min_length, bytes.max_length, "length"),
        Schema::Array(array) => {
            ordered(array.min_length, array.max_length, "length")?;
            check(&array.items)
        }
        Schema::Object(object) => object.properties.values().try_for_each(check),
        Schema::Union(union) if union.closed && union.refs.is_empty() => {
            Err("a closed union without refs allows nothing".to_owned())
        }
        _ => Ok(()),
    }
}
