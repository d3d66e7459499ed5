//! The two ways in which a permission is written: as a scope string, and as an entry of a permission set. Both come down
//! to named fields, of which one may stand behind the colon.

use std::borrow::Cow;

use p2pds_syntax::{Did, DidMethod, Nsid};
use serde_json::{Map, Value};
use url::form_urlencoded;

/// It is not written as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong;

/// A field, as it was given.
enum Given<'a> {
    /// In a string: once or more often.
    Texts(Vec<Cow<'a, str>>),
    /// In a permission set.
    Value(&'a Value),
}

/// A permission, taken apart.
pub(super) struct Fields<'a> {
    positional: Option<String>,
    named: Vec<(Cow<'a, str>, Given<'a>)>,
}

/// The kind of thing that a scope string is about, and the rest of it.
pub(super) fn resource(text: &str) -> &str {
    text.split([':', '?']).next().unwrap_or_default()
}

impl<'a> Fields<'a> {
    /// Takes a scope string apart, which begins with its resource.
    pub(super) fn of_text(text: &'a str) -> Result<Self, Wrong> {
        let rest = text.get(resource(text).len()..).unwrap_or_default();
        let (before, query) = rest.split_once('?').map_or((rest, ""), |(before, query)| (before, query));
        // As browsers read it: a question mark at the beginning of a query is none of it.
        let query = query.strip_prefix('?').unwrap_or(query);
        let positional = before.strip_prefix(':').map(decoded).transpose()?;
        let mut named: Vec<(Cow<'a, str>, Given<'a>)> = Vec::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match named.iter_mut().find(|(known, _)| *known == key) {
                Some((_, Given::Texts(texts))) => texts.push(value),
                _ => named.push((key, Given::Texts(vec![value]))),
            }
        }
        Ok(Self { positional, named })
    }

    /// An entry of a permission set.
    pub(super) fn of_entry(entry: &'a Map<String, Value>) -> Self {
        let own = |key: &str| key != "type" && key != "resource";
        let named = entry
            .iter()
            .filter(|(key, _)| own(key))
            .map(|(key, value)| (Cow::Borrowed(key.as_str()), Given::Value(value)));
        Self { positional: None, named: named.collect() }
    }

    /// The same with a field more.
    pub(super) fn and(mut self, key: &'static str, value: &'a Value) -> Self {
        self.named.push((Cow::Borrowed(key), Given::Value(value)));
        self
    }

    /// The same without a field.
    pub(super) fn without(mut self, key: &str) -> Self {
        self.named.retain(|(name, _)| name != key);
        self
    }

    /// Refuses fields that are none of these.
    pub(super) fn only(self, known: &[&str]) -> Result<Self, Wrong> {
        let fits = self.named.iter().all(|(name, _)| known.contains(&name.as_ref()));
        if fits { Ok(self) } else { Err(Wrong) }
    }

    fn named(&self, key: &str, first: bool) -> Result<Option<&Given<'a>>, Wrong> {
        let found = self.named.iter().find(|(name, _)| name == key).map(|(_, given)| given);
        // What stands behind the colon is not said once more.
        if found.is_some() && first && self.positional.is_some() { Err(Wrong) } else { Ok(found) }
    }

    /// A field of one value; `first` is the one that may stand behind the colon.
    pub(super) fn one(&self, key: &str, first: bool) -> Result<Option<String>, Wrong> {
        match self.named(key, first)? {
            Some(Given::Texts(texts)) => match texts.as_slice() {
                [text] => Ok(Some(text.to_string())),
                _ => Err(Wrong),
            },
            Some(Given::Value(value)) => value.as_str().map(|text| Some(text.to_owned())).ok_or(Wrong),
            None => Ok(self.positional.clone().filter(|_| first)),
        }
    }

    /// A field of several values; not empty when it is there.
    pub(super) fn many(&self, key: &str, first: bool) -> Result<Option<Vec<String>>, Wrong> {
        match self.named(key, first)? {
            Some(Given::Texts(texts)) => Ok(Some(texts.iter().map(ToString::to_string).collect())),
            Some(Given::Value(Value::Array(values))) if !values.is_empty() => {
                let texts = values.iter().map(|value| value.as_str().map(str::to_owned));
                texts.collect::<Option<Vec<_>>>().map(Some).ok_or(Wrong)
            }
            Some(Given::Value(_)) => Err(Wrong),
            None => Ok(self.positional.clone().filter(|_| first).map(|text| vec![text])),
        }
    }
}

/// Percent-encoded text, whole and in UTF-8.
fn decoded(text: &str) -> Result<String, Wrong> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    let digit = |rest: &mut std::str::Bytes<'_>| {
        let digit = char::from(rest.next().ok_or(Wrong)?).to_digit(16).ok_or(Wrong)?;
        u8::try_from(digit).map_err(|_| Wrong)
    };
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => (digit(&mut rest)? << 4) | digit(&mut rest)?,
            other => other,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| Wrong)
}

/// Characters that are written as they are, though they could be encoded.
const PLAIN: [(&str, &str); 6] =
    [("%3A", ":"), ("%2F", "/"), ("%2B", "+"), ("%2C", ","), ("%40", "@"), ("%25", "%")];

/// Writes encoded text with fewer escapes, in one pass from the left.
fn relaxed(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, behind) = rest.split_at(at);
        out.push_str(before);
        let (escape, tail) = behind.split_at_checked(3).unwrap_or((behind, ""));
        out.push_str(PLAIN.iter().find(|(known, _)| *known == escape).map_or(escape, |(_, plain)| plain));
        rest = tail;
    }
    out.push_str(rest);
}

/// A scope string made of its parts: the one form among several that mean the same.
pub(super) fn written(resource: &str, positional: Option<&str>, named: &[(&str, &str)]) -> String {
    let mut out = resource.to_owned();
    if let Some(text) = positional {
        let mut encoded = String::new();
        for byte in text.bytes() {
            match byte {
                b if b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&b) => encoded.push(char::from(b)),
                b => encoded.push_str(&format!("%{b:02X}")),
            }
        }
        out.push(':');
        relaxed(&encoded, &mut out);
    }
    if !named.is_empty() {
        out.push('?');
        relaxed(&form_urlencoded::Serializer::new(String::new()).extend_pairs(named).finish(), &mut out);
    }
    out
}

/// Several values as they are written: one behind the colon, more of them by name.
pub(super) fn listed<'v>(
    key: &'static str,
    values: &'v [String],
) -> (Option<&'v str>, Vec<(&'static str, &'v str)>) {
    match values {
        [one] => (Some(one), Vec::new()),
        more => (None, more.iter().map(|value| (key, value.as_str())).collect()),
    }
}

/// Whether a text is the name of a method, collection or set.
pub(super) fn is_nsid(text: &str) -> bool {
    Nsid::parse(text).is_ok()
}

/// Whether a text names an entry in the document of a DID that AT Protocol knows: `did:web:api.example.com#service`.
pub(super) fn is_service(text: &str) -> bool {
    text.split_once('#').is_some_and(|(did, fragment)| is_fragment(fragment) && is_did(did))
}

fn is_fragment(text: &str) -> bool {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let fits = match byte {
            b'%' => {
                let mut digit = || rest.next().is_some_and(|digit| digit.is_ascii_hexdigit());
                digit() && digit()
            }
            b => b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&b),
        };
        if !fits {
            return false;
        }
    }
    !text.is_empty()
}

/// did:plc in its one length; did:web without a path, and with a port on this machine only.
fn is_did(text: &str) -> bool {
    let Ok(did) = Did::parse(text) else { return false };
    let id = did.identifier();
    match did.method() {
        DidMethod::Plc => {
            id.len() == 24 && id.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
        }
        DidMethod::Web => {
            let local = id == "localhost" || id.starts_with("localhost%3A");
            let host = id.replace("%3A", ":");
            let url = url::Url::parse(&format!("{}://{host}", if local { "http" } else { "https" }));
            url.is_ok() && !id.contains(':') && (local || !id.contains("%3A"))
        }
        DidMethod::Other => false,
    }
}
