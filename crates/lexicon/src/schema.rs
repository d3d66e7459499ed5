//! The schema language, version 1. Spec: <https://atproto.com/specs/lexicon>.
//!
//! Fields have the names and meanings of the specification. Descriptions are not kept.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A named definition of a lexicon: a primary type or a plain schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Definition {
    /// What a collection holds.
    Record(RecordSchema),
    /// An HTTP GET method.
    Query(Query),
    /// An HTTP POST method.
    Procedure(Procedure),
    /// An event stream.
    Subscription(Subscription),
    /// Permissions under one name.
    PermissionSet(PermissionSet),
    /// A value.
    Schema(Schema),
}

/// The primary types, as they are read.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Primary {
    Record(RecordSchema),
    Query(Query),
    Procedure(Procedure),
    Subscription(Subscription),
    PermissionSet(PermissionSet),
}

/// The schema of a value.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Schema {
    /// `true` or `false`.
    Boolean(BooleanSchema),
    /// A whole number.
    Integer(IntegerSchema),
    /// Text.
    String(StringSchema),
    /// A byte string.
    Bytes(BytesSchema),
    /// A link to a block.
    CidLink,
    /// A reference to a blob.
    Blob(BlobSchema),
    /// A list.
    Array(ArraySchema),
    /// A map with known fields.
    Object(ObjectSchema),
    /// Whatever another definition asks for.
    Ref(RefSchema),
    /// One of several definitions, told apart by `$type`.
    Union(UnionSchema),
    /// Any map.
    Unknown,
    /// A name that stands for itself.
    Token,
}

/// `boolean`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct BooleanSchema {
    /// The only value allowed.
    #[serde(rename = "const")]
    pub constant: Option<bool>,
    /// What an absent field means.
    pub default: Option<bool>,
}

/// `integer`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct IntegerSchema {
    /// Smallest value.
    pub minimum: Option<i64>,
    /// Largest value.
    pub maximum: Option<i64>,
    /// The only values allowed.
    #[serde(rename = "enum")]
    pub allowed: Option<Vec<i64>>,
    /// The only value allowed.
    #[serde(rename = "const")]
    pub constant: Option<i64>,
    /// What an absent field means.
    pub default: Option<i64>,
}

/// `string`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StringSchema {
    /// The identifier that the text must be.
    pub format: Option<StringFormat>,
    /// Fewest bytes in UTF-8.
    pub min_length: Option<u64>,
    /// Most bytes in UTF-8.
    pub max_length: Option<u64>,
    /// Fewest grapheme clusters.
    pub min_graphemes: Option<u64>,
    /// Most grapheme clusters.
    pub max_graphemes: Option<u64>,
    /// Values that software knows; others are allowed.
    pub known_values: Option<Vec<String>>,
    /// The only values allowed.
    #[serde(rename = "enum")]
    pub allowed: Option<Vec<String>>,
    /// The only value allowed.
    #[serde(rename = "const")]
    pub constant: Option<String>,
    /// What an absent field means.
    pub default: Option<String>,
}

/// The formats of strings. One that is not known here is kept and not checked, as the specification asks for new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the specification's own names")]
pub enum StringFormat {
    AtIdentifier,
    AtUri,
    Cid,
    Datetime,
    Did,
    Handle,
    Language,
    Nsid,
    RecordKey,
    Tid,
    Uri,
    #[serde(other)]
    Other,
}

/// `bytes`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BytesSchema {
    /// Fewest bytes.
    pub min_length: Option<u64>,
    /// Most bytes.
    pub max_length: Option<u64>,
}

/// `blob`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobSchema {
    /// MIME types, with `*` at the end for any: `image/*`.
    pub accept: Option<Vec<String>>,
    /// Most bytes.
    pub max_size: Option<u64>,
}

/// `array`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArraySchema {
    /// What each element must be.
    pub items: Box<Schema>,
    /// Fewest elements.
    pub min_length: Option<u64>,
    /// Most elements.
    pub max_length: Option<u64>,
}

/// `object`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ObjectSchema {
    /// The known fields. Others are allowed.
    #[serde(default)]
    pub properties: BTreeMap<String, Schema>,
    /// Fields that must be there.
    #[serde(default)]
    pub required: Vec<String>,
    /// Fields that may be `null`.
    #[serde(default)]
    pub nullable: Vec<String>,
}

/// `ref`
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RefSchema {
    /// `nsid`, `nsid#name` or `#name`.
    #[serde(rename = "ref")]
    pub target: String,
}

/// `union`
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct UnionSchema {
    /// `nsid`, `nsid#name` or `#name` each.
    pub refs: Vec<String>,
    /// Whether nothing else is allowed.
    #[serde(default)]
    pub closed: bool,
}

/// `record`
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RecordSchema {
    /// What the keys of such records are.
    pub key: KeyType,
    /// The record itself, always an object.
    #[serde(deserialize_with = "object")]
    pub record: ObjectSchema,
}

/// What a record key must be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum KeyType {
    /// Any valid record key.
    Any,
    /// A TID.
    Tid,
    /// An NSID.
    Nsid,
    /// Exactly this.
    Literal(String),
}

impl TryFrom<String> for KeyType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "any" => Ok(Self::Any),
            "tid" => Ok(Self::Tid),
            "nsid" => Ok(Self::Nsid),
            _ => match text.strip_prefix("literal:") {
                Some(key) => Ok(Self::Literal(key.to_owned())),
                None => Err(format!("{text:?} is no record key type (any, tid, nsid, literal:...)")),
            },
        }
    }
}

/// `query`
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Query {
    /// URL parameters.
    pub parameters: Option<Params>,
    /// What comes back.
    pub output: Option<Body>,
    /// Errors with a meaning.
    #[serde(default)]
    pub errors: Vec<MethodError>,
}

/// `procedure`
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Procedure {
    /// URL parameters.
    pub parameters: Option<Params>,
    /// What is sent.
    pub input: Option<Body>,
    /// What comes back.
    pub output: Option<Body>,
    /// Errors with a meaning.
    #[serde(default)]
    pub errors: Vec<MethodError>,
}

/// `subscription`
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Subscription {
    /// URL parameters.
    pub parameters: Option<Params>,
    /// The messages.
    pub message: Option<Message>,
    /// Errors with a meaning.
    #[serde(default)]
    pub errors: Vec<MethodError>,
}

/// The messages of a subscription.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Message {
    /// A union.
    pub schema: Schema,
}

/// The body of a request or response.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Body {
    /// A MIME type, or a pattern of them.
    pub encoding: String,
    /// What JSON in it must be.
    pub schema: Option<Schema>,
}

/// An error of a method.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MethodError {
    /// Its name on the wire.
    pub name: String,
}

/// `params`: the parameters of a method.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Params {
    /// Booleans, integers, strings, or arrays of them.
    #[serde(default)]
    pub properties: BTreeMap<String, Schema>,
    /// Parameters that must be there.
    #[serde(default)]
    pub required: Vec<String>,
}

/// `permission-set`
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PermissionSet {
    /// A name for people.
    pub title: Option<String>,
    /// Whom it allows what, for people.
    pub detail: Option<String>,
    /// The permissions.
    pub permissions: Vec<Permission>,
}

/// `permission`, one of a set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// `repo` or `rpc`.
    pub resource: String,
    /// Collections, with `repo`.
    #[serde(default)]
    pub collection: Vec<String>,
    /// `create`, `update`, `delete`, with `repo`.
    #[serde(default)]
    pub action: Vec<String>,
    /// Methods, with `rpc`.
    #[serde(default)]
    pub lxm: Vec<String>,
    /// Whose methods, with `rpc`.
    pub aud: Option<String>,
    /// Whether whoever asks for the set says whose, with `rpc`.
    #[serde(default)]
    pub inherit_aud: bool,
}

/// Reads a schema that must be an object.
fn object<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<ObjectSchema, D::Error> {
    match Schema::deserialize(deserializer)? {
        Schema::Object(object) => Ok(object),
        _ => Err(serde::de::Error::custom("the schema of a record must be an object")),
    }
}
