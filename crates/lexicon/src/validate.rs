//! Checking values against schemas.

mod blob;
mod text;

use p2pds_ipld::cbor::Value;
use p2pds_syntax::Nsid;

use crate::ValidationError;
use crate::catalog::{Catalog, absolute};
use crate::schema::{
    ArraySchema, BooleanSchema, BytesSchema, Definition, IntegerSchema, ObjectSchema, Schema, UnionSchema,
};

/// How many definitions may refer to each other, and how deep values may be nested, before a check is given up.
const MAX_DEPTH: usize = 128;

/// One check: the catalog for references, and where in the value it is.
pub(crate) struct Validator<'a> {
    catalog: &'a Catalog,
    path: Vec<Step<'a>>,
    depth: usize,
}

enum Step<'a> {
    Field(&'a str),
    Index(usize),
}

type Check = Result<(), ValidationError>;

impl<'a> Validator<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        Self { catalog, path: Vec::new(), depth: 0 }
    }

    /// Reports a broken rule at the present place.
    pub(crate) fn wrong<T>(&self, problem: impl Into<String>) -> Result<T, ValidationError> {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        Err(ValidationError::Data { path, problem: problem.into() })
    }

    /// Checks a value against a schema that stands in the lexicon `id`.
    pub(crate) fn schema(&mut self, id: &Nsid, schema: &'a Schema, value: &Value) -> Check {
        if self.depth >= MAX_DEPTH {
            return self.wrong(format!(
                "is nested more than {MAX_DEPTH} deep, or its schemas refer to each other in a circle"
            ));
        }
        self.depth = self.depth.saturating_add(1);
        let result = match schema {
            Schema::Boolean(schema) => self.boolean(schema, value),
            Schema::Integer(schema) => self.integer(schema, value),
            Schema::String(schema) => self.text(schema, value),
            Schema::Bytes(schema) => self.bytes(schema, value),
            Schema::CidLink => match value {
                Value::Link(_) | Value::OddLink(_) => Ok(()),
                _ => self.expected("a link", value),
            },
            Schema::Blob(schema) => self.blob(schema, value),
            Schema::Array(schema) => self.array(id, schema, value),
            Schema::Object(schema) => self.object(id, schema, value),
            Schema::Ref(schema) => self.reference(&absolute(id, &schema.target), value),
            Schema::Union(schema) => self.union(id, schema, value),
            Schema::Unknown => self.unknown(value),
            Schema::Token => self.wrong("is described by a token, which describes no value"),
        };
        self.depth = self.depth.saturating_sub(1);
        result
    }

    fn at(&mut self, step: Step<'a>, check: impl FnOnce(&mut Self) -> Check) -> Check {
        self.path.push(step);
        check(self)?;
        self.path.pop();
        Ok(())
    }

    fn expected<T>(&self, what: &str, value: &Value) -> Result<T, ValidationError> {
        self.wrong(format!("must be {what}, it is {}", describe(value)))
    }

    fn boolean(&self, schema: &BooleanSchema, value: &Value) -> Check {
        match (value, schema.constant) {
            (Value::Bool(found), Some(constant)) if *found != constant => {
                self.wrong(format!("must be {constant}"))
            }
            (Value::Bool(_), _) => Ok(()),
            _ => self.expected("a boolean", value),
        }
    }

    fn integer(&self, schema: &IntegerSchema, value: &Value) -> Check {
        let Some(found) = value.as_int() else { return self.expected("an integer", value) };
        if let Some(constant) = schema.constant.filter(|constant| *constant != found) {
            return self.wrong(format!("must be {constant}, it is {found}"));
        }
        if let Some(minimum) = schema.minimum.filter(|minimum| found < *minimum) {
            return self.wrong(format!("must be at least {minimum}, it is {found}"));
        }
        if let Some(maximum) = schema.maximum.filter(|maximum| found > *maximum) {
            return self.wrong(format!("must be at most {maximum}, it is {found}"));
        }
        match &schema.allowed {
            Some(allowed) if !allowed.contains(&found) => {
                self.wrong(format!("must be one of {allowed:?}, it is {found}"))
            }
            _ => Ok(()),
        }
    }

    fn bytes(&self, schema: &BytesSchema, value: &Value) -> Check {
        match value {
            Value::Bytes(bytes) => self.length(bytes.len(), schema.min_length, schema.max_length, "bytes"),
            _ => self.expected("bytes", value),
        }
    }

    fn length(&self, found: usize, min: Option<u64>, max: Option<u64>, unit: &str) -> Check {
        let found = u64::try_from(found).unwrap_or(u64::MAX);
        if let Some(min) = min.filter(|min| found < *min) {
            return self.wrong(format!("must have at least {min} {unit}, it has {found}"));
        }
        match max.filter(|max| found > *max) {
            Some(max) => self.wrong(format!("must have at most {max} {unit}, it has {found}")),
            None => Ok(()),
        }
    }

    fn array(&mut self, id: &Nsid, schema: &'a ArraySchema, value: &Value) -> Check {
        let Some(items) = value.as_array() else { return self.expected("an array", value) };
        self.length(items.len(), schema.min_length, schema.max_length, "elements")?;
        for (index, item) in items.iter().enumerate() {
            self.at(Step::Index(index), |v| v.schema(id, &schema.items, item))?;
        }
        Ok(())
    }

    /// Checks the fields of a map. Fields that the schema does not know are allowed.
    pub(crate) fn object(&mut self, id: &Nsid, schema: &'a ObjectSchema, value: &Value) -> Check {
        if value.as_map().is_none() {
            return self.expected("an object", value);
        }
        if let Some(missing) = schema.required.iter().find(|name| value.get(name).is_none()) {
            return self.wrong(format!("lacks the field {missing:?}"));
        }
        for (name, schema_of_field) in &schema.properties {
            match value.get(name) {
                None => {}
                Some(Value::Null) if schema.nullable.contains(name) => {}
                Some(field) => self.at(Step::Field(name), |v| v.schema(id, schema_of_field, field))?,
            }
        }
        Ok(())
    }

    /// Checks a value against the definition that a reference (`nsid` or `nsid#name`) names.
    fn reference(&mut self, reference: &str, value: &Value) -> Check {
        let (document, definition) = self.catalog.resolve(reference)?;
        match definition {
            Definition::Schema(Schema::Token) => match value.as_text() {
                Some(text) if absolute(document.id(), text) == reference => Ok(()),
                _ => self.wrong(format!("must be the token {reference}")),
            },
            Definition::Schema(schema) => self.schema(document.id(), schema, value),
            Definition::Record(record) => self.object(document.id(), &record.record, value),
            _ => Err(ValidationError::WrongKind { reference: reference.to_owned(), expected: "a value" }),
        }
    }

    fn union(&mut self, id: &Nsid, schema: &UnionSchema, value: &Value) -> Check {
        if value.as_map().is_none() {
            return self.expected("an object with a $type", value);
        }
        let Some(kind) = value.get("$type").and_then(Value::as_text).filter(|kind| !kind.is_empty()) else {
            return self.wrong("must have a $type that tells which one of the union it is");
        };
        let kind = absolute(id, kind);
        if schema.refs.iter().any(|reference| absolute(id, reference) == kind) {
            return self.reference(&kind, value);
        }
        if schema.closed {
            self.wrong(format!("may not be of $type {kind:?}, the union is closed"))
        } else {
            Ok(())
        }
    }

    fn unknown(&self, value: &Value) -> Check {
        match value {
            Value::Map(_) if value.get("$type").and_then(Value::as_text) == Some("blob") => {
                self.wrong("must be an object, it is a blob")
            }
            Value::Map(_) => Ok(()),
            _ => self.expected("an object", value),
        }
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Int(_) => "an integer",
        Value::Bytes(_) => "bytes",
        Value::Text(_) => "text",
        Value::Array(_) => "an array",
        Value::Map(_) => "an object",
        Value::Link(_) | Value::OddLink(_) => "a link",
    }
}
