//! Reading JSON without letting it allocate much more than its own size.
//!
//! `serde_json::Value` takes some 70 bytes for two bytes of hostile input, so nothing here goes through it: documents are
//! read straight into types, lists have a limit, and whatever is not wanted is skipped without being stored.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Most items of any list or map in a DID document or PLC operation that are read.
pub(crate) const MAX_ITEMS: usize = 1024;

/// A list of at most [`MAX_ITEMS`].
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct List<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX_ITEMS} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut out = Vec::new();
            while let Some(item) = items.next_element()? {
                if out.len() >= MAX_ITEMS {
                    return Err(A::Error::invalid_length(out.len(), &self));
                }
                out.push(item);
            }
            Ok(out)
        }
    }
    deserializer.deserialize_seq(List(PhantomData))
}

/// A map of at most [`MAX_ITEMS`], in the order of its keys. A key that occurs twice is refused.
pub(crate) fn map<'de, D, T>(deserializer: D) -> Result<std::collections::BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Map<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Map<T> {
        type Value = std::collections::BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an object with at most {MAX_ITEMS} different keys")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut out = Self::Value::new();
            while let Some((key, value)) = entries.next_entry::<String, T>()? {
                if out.len() >= MAX_ITEMS || out.insert(key, value).is_some() {
                    return Err(A::Error::invalid_length(out.len(), &self));
                }
            }
            Ok(out)
        }
    }
    deserializer.deserialize_map(Map(PhantomData))
}

/// Reads a `T` from a JSON object; any other value is skipped without being stored and gives `None`.
pub(crate) struct ObjectOnly<T>(PhantomData<T>);

impl<T> ObjectOnly<T> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

/// The visits that skip. (`visit_some` does not come from JSON.)
macro_rules! skip {
    ($nothing:expr; $($visit:ident: $type:ty),*) => {
        $(fn $visit<E: Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok($nothing)
        })*

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectOnly<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        T::deserialize(serde::de::value::MapAccessDeserializer::new(entries)).map(Some)
    }

    skip!(None; visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
}

/// Text if it is text; anything else is skipped and gives `None`.
#[derive(Debug, Default)]
pub(crate) struct MaybeText(pub(crate) Option<String>);

impl<'de> Deserialize<'de> for MaybeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOnly;
        impl<'de> Visitor<'de> for TextOnly {
            type Value = MaybeText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(MaybeText(Some(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(MaybeText(None))
            }

            skip!(MaybeText(None); visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
        }
        deserializer.deserialize_any(TextOnly)
    }
}

/// A list of which the items that have the shape of `T` are kept and the others skipped; something that is no list at
/// all gives an empty one. Documents on web servers are written by hand.
pub(crate) fn tolerant<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    Tolerant<T>: Deserialize<'de>,
{
    struct Items<T>(PhantomData<T>);
    impl<'de, T> Visitor<'de> for Items<T>
    where
        Tolerant<T>: Deserialize<'de>,
    {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX_ITEMS} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut out = Vec::new();
            let mut count = 0_usize;
            while let Some(Tolerant(item)) = items.next_element::<Tolerant<T>>()? {
                count = count.saturating_add(1);
                if count > MAX_ITEMS {
                    return Err(A::Error::invalid_length(count, &self));
                }
                out.extend(item);
            }
            Ok(out)
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }
    }
    deserializer.deserialize_any(Items(PhantomData))
}

/// An item that may have another shape.
pub(crate) struct Tolerant<T>(pub(crate) Option<T>);

impl<'de> Deserialize<'de> for Tolerant<String> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        MaybeText::deserialize(deserializer).map(|text| Self(text.0))
    }
}

/// Hands every item of a JSON list to a function as soon as it is read.
pub(crate) struct Each<T, F>(pub(crate) F, PhantomData<T>);

impl<T, F> Each<T, F> {
    pub(crate) fn new(accept: F) -> Self {
        Self(accept, PhantomData)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), String>> DeserializeSeed<'de> for Each<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> Result<(), String>> Visitor<'de> for Each<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<T>()? {
            (self.0)(item).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}
