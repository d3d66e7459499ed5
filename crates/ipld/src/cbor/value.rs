//! Blocks as an owned tree, for code that is not hot.

use super::read::Reader;
use super::walk::Limits;
use super::write::{
    write_array, write_bool, write_bytes, write_head, write_int, write_link, write_map, write_null,
    write_text,
};
use super::{major, validate};
use crate::cid::Cid;
use crate::error::CborError;

/// A value of the data model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// Text.
    Text(String),
    /// A list.
    Array(Vec<Value>),
    /// Entries in canonical order (shorter keys first, then by bytes), each key once. Build it with
    /// [`Value::map`]; [`encode`] repairs the order of one that was put together by hand.
    Map(Vec<(String, Value)>),
    /// A link to a DASL CID.
    Link(Cid),
    /// A link to another kind of CID, kept as its bytes.
    OddLink(Vec<u8>),
}

impl Value {
    /// A map from entries in any order; of equal keys the last one stays.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        let mut entries: Vec<(String, Value)> =
            entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
        // Reversed and then sorted stably, the last of equal keys comes first, which is the one `dedup` keeps.
        entries.reverse();
        entries.sort_by(|(a, _), (b, _)| key_order(a, b));
        entries.dedup_by(|(a, _), (b, _)| a == b);
        Self::Map(entries)
    }

    /// The value under this key, when this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, when this is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, when this is one.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The bytes, when these are some.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The CID, when this is a link to a DASL CID.
    #[must_use]
    pub const fn as_link(&self) -> Option<&Cid> {
        match self {
            Self::Link(cid) => Some(cid),
            _ => None,
        }
    }

    /// The items, when this is a list.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, when this is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(String, Value)]> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }
}

/// The order of keys in a canonical map.
fn key_order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

/// Decodes one block. It is validated first: a block that is refused allocates nothing, and one that is accepted
/// allocates what its items need.
///
/// # Errors
/// The first broken rule with its offset.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Value, CborError> {
    validate(bytes, limits)?;
    let mut reader = Reader::new(bytes);
    let value = item(&mut reader, limits)?;
    reader.finish()?;
    Ok(value)
}

/// The next item. Recursion is bounded by the depth that `validate` allowed.
fn item(reader: &mut Reader<'_>, limits: &Limits) -> Result<Value, CborError> {
    let Some(first) = reader.peek() else {
        return reader.expected("an item");
    };
    Ok(match first >> 5 {
        major::UINT | major::NINT => Value::Int(reader.int()?),
        major::BYTES => Value::Bytes(reader.bytes()?.to_vec()),
        major::TEXT => Value::Text(reader.text()?.to_owned()),
        major::ARRAY => {
            let count = reader.array()?;
            let mut items = Vec::with_capacity(count);
            for _ in 0..count {
                items.push(item(reader, limits)?);
            }
            Value::Array(items)
        }
        major::MAP => {
            let count = reader.map()?;
            let mut entries = Vec::with_capacity(count);
            for _ in 0..count {
                let key = reader.text()?.to_owned();
                entries.push((key, item(reader, limits)?));
            }
            Value::Map(entries)
        }
        major::TAG => {
            let cid = reader.link_bytes(limits)?;
            Cid::from_bytes(cid).map_or_else(|_| Value::OddLink(cid.to_vec()), Value::Link)
        }
        _ if reader.null() => Value::Null,
        _ => Value::Bool(reader.bool()?),
    })
}

/// The canonical bytes of a value.
#[must_use]
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, value);
    out
}

fn put(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => write_null(out),
        Value::Bool(value) => write_bool(out, *value),
        Value::Int(value) => write_int(out, *value),
        Value::Bytes(bytes) => write_bytes(out, bytes),
        Value::Text(text) => write_text(out, text),
        Value::Array(items) => {
            write_array(out, items.len());
            for item in items {
                put(out, item);
            }
        }
        Value::Map(entries) => put_map(out, entries),
        Value::Link(cid) => write_link(out, cid),
        Value::OddLink(cid) => {
            write_head(out, major::TAG, 42);
            write_head(out, major::BYTES, (cid.len() as u64).saturating_add(1));
            out.push(0);
            out.extend_from_slice(cid);
        }
    }
}

fn put_map(out: &mut Vec<u8>, entries: &[(String, Value)]) {
    if entries.is_sorted_by(|(a, _), (b, _)| key_order(a, b).is_lt()) {
        write_map(out, entries.len());
        for (key, value) in entries {
            write_text(out, key);
            put(out, value);
        }
    } else {
        let mut order: Vec<&(String, Value)> = entries.iter().rev().collect();
        order.sort_by(|(a, _), (b, _)| key_order(a, b));
        order.dedup_by(|(a, _), (b, _)| a == b);
        write_map(out, order.len());
        for (key, value) in order {
            write_text(out, key);
            put(out, value);
        }
    }
}
