//! A set of lexicons that refer to each other.

use std::collections::BTreeMap;

use p2pds_ipld::cbor::Value;
use p2pds_syntax::{Nsid, Rkey, Tid};

use crate::document::MAIN;
use crate::schema::{Definition, KeyType, Schema};
use crate::validate::Validator;
use crate::{Document, ValidationError};

/// The lexicons that are known, by NSID.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    documents: BTreeMap<Nsid, Document>,
}

impl Catalog {
    /// An empty catalog.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a lexicon; one of the same NSID is replaced and given back.
    pub fn insert(&mut self, document: Document) -> Option<Document> {
        self.documents.insert(document.id().clone(), document)
    }

    /// The lexicon of this NSID.
    pub fn get(&self, id: &Nsid) -> Option<&Document> {
        self.documents.get(id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// Checks a record that is to stand, or stands, at `collection/rkey`: its `$type`, its key, and its content.
    ///
    /// [`ValidationError::UnknownSchema`] means that nothing can be said, which is no fault of the record: the protocol
    /// accepts records of unknown collections. Unions that are not closed accept unknown types likewise.
    pub fn validate_record(
        &self,
        collection: &Nsid,
        rkey: &Rkey,
        record: &Value,
    ) -> Result<(), ValidationError> {
        let reference = || collection.to_string();
        let document =
            self.get(collection).ok_or_else(|| ValidationError::UnknownSchema { reference: reference() })?;
        let Some(Definition::Record(schema)) = document.main() else {
            return Err(ValidationError::WrongKind { reference: reference(), expected: "a record" });
        };
        check_key(collection, &schema.key, rkey)?;
        let mut validator = Validator::new(self);
        match record.get("$type").map(Value::as_text) {
            Some(Some(kind)) if kind == collection.as_str() => {
                validator.object(collection, &schema.record, record)
            }
            Some(Some(kind)) => validator.wrong(format!("is of $type {kind:?}, expected {collection}")),
            Some(None) => validator.wrong("has a $type that is not text"),
            None => validator.wrong("has no $type"),
        }
    }

    /// Checks a value against any definition, named `nsid` or `nsid#name`.
    pub fn validate(&self, reference: &str, value: &Value) -> Result<(), ValidationError> {
        let (document, definition) = self.resolve(reference)?;
        let mut validator = Validator::new(self);
        match definition {
            Definition::Schema(schema) => validator.schema(document.id(), schema, value),
            Definition::Record(record) => validator.object(document.id(), &record.record, value),
            _ => Err(ValidationError::WrongKind { reference: reference.to_owned(), expected: "a value" }),
        }
    }

    /// Checks the JSON body that a method sends back.
    pub fn validate_output(&self, method: &Nsid, body: &Value) -> Result<(), ValidationError> {
        self.validate_body(method, body, |definition| match definition {
            Definition::Query(query) => query.output.as_ref(),
            Definition::Procedure(procedure) => procedure.output.as_ref(),
            _ => None,
        })
    }

    /// Checks the JSON body that a method takes.
    pub fn validate_input(&self, method: &Nsid, body: &Value) -> Result<(), ValidationError> {
        self.validate_body(method, body, |definition| match definition {
            Definition::Procedure(procedure) => procedure.input.as_ref(),
            _ => None,
        })
    }

    fn validate_body(
        &self,
        method: &Nsid,
        body: &Value,
        pick: impl Fn(&Definition) -> Option<&crate::Body>,
    ) -> Result<(), ValidationError> {
        let (document, definition) = self.resolve(method.as_str())?;
        let schema = pick(definition).and_then(|body| body.schema.as_ref()).ok_or_else(|| {
            ValidationError::WrongKind { reference: method.to_string(), expected: "such a JSON body" }
        })?;
        Validator::new(self).schema(document.id(), schema, body)
    }

    /// Finds the definition that `nsid` or `nsid#name` names.
    pub(crate) fn resolve(&self, reference: &str) -> Result<(&Document, &Definition), ValidationError> {
        let (id, name) = reference.split_once('#').unwrap_or((reference, MAIN));
        Nsid::parse(id)
            .ok()
            .and_then(|id| self.get(&id))
            .and_then(|document| document.definition(name).map(|definition| (document, definition)))
            .ok_or_else(|| ValidationError::UnknownSchema { reference: reference.to_owned() })
    }

    /// References of all lexicons that lead nowhere, as `(from, to)`; for checking a complete set.
    pub fn dangling(&self) -> Vec<(Nsid, String)> {
        let mut found = Vec::new();
        for document in self.documents.values() {
            for (_, definition) in document.definitions() {
                for schema in schemas(definition) {
                    self.collect_dangling(document.id(), schema, &mut found);
                }
            }
        }
        found
    }

    fn collect_dangling(&self, id: &Nsid, schema: &Schema, found: &mut Vec<(Nsid, String)>) {
        let targets: &[String] = match schema {
            Schema::Ref(reference) => std::slice::from_ref(&reference.target),
            Schema::Union(union) => &union.refs,
            Schema::Array(array) => return self.collect_dangling(id, &array.items, found),
            Schema::Object(object) => {
                return object
                    .properties
                    .values()
                    .for_each(|schema| self.collect_dangling(id, schema, found));
            }
            _ => return,
        };
        for target in targets {
            if self.resolve(&absolute(id, target)).is_err() {
                found.push((id.clone(), target.clone()));
            }
        }
    }
}

/// All value schemas that a definition holds directly.
fn schemas(definition: &Definition) -> Vec<&Schema> {
    match definition {
        Definition::Record(record) => record.record.properties.values().collect(),
        Definition::Query(query) => query.output.iter().filter_map(|body| body.schema.as_ref()).collect(),
        Definition::Procedure(procedure) => {
            procedure.input.iter().chain(&procedure.output).filter_map(|body| body.schema.as_ref()).collect()
        }
        Definition::Subscription(subscription) => {
            subscription.message.iter().map(|message| &message.schema).collect()
        }
        Definition::PermissionSet(_) => Vec::new(),
        Definition::Schema(schema) => vec![schema],
    }
}

/// A reference made in the lexicon `id`, in the one form `nsid` (for `main`) or `nsid#name`.
pub(crate) fn absolute(id: &Nsid, reference: &str) -> String {
    let full = if reference.starts_with('#') { format!("{id}{reference}") } else { reference.to_owned() };
    match full.strip_suffix("#main") {
        Some(bare) => bare.to_owned(),
        None => full,
    }
}

fn check_key(collection: &Nsid, key: &KeyType, rkey: &Rkey) -> Result<(), ValidationError> {
    let (fits, expected) = match key {
        KeyType::Any => (true, String::new()),
        KeyType::Tid => (Tid::has_syntax(rkey.as_str()), "a TID as key".to_owned()),
        KeyType::Nsid => (Nsid::parse(rkey.as_str()).is_ok(), "an NSID as key".to_owned()),
        KeyType::Literal(literal) => (rkey.as_str() == literal, format!("the key {literal:?}")),
    };
    if fits {
        Ok(())
    } else {
        Err(ValidationError::RecordKey { collection: collection.clone(), rkey: rkey.to_string(), expected })
    }
}
