//! Strings: lengths, values, formats.

use p2pds_ipld::cbor::Value;
use p2pds_syntax::{
    AtIdentifier, AtUri, CidText, Datetime, Did, Handle, Language, Nsid, Rkey, SyntaxError, Tid, Uri,
};
use unicode_segmentation::UnicodeSegmentation;

use super::Validator;
use crate::ValidationError;
use crate::schema::{StringFormat, StringSchema};

impl Validator<'_> {
    pub(super) fn text(&self, schema: &StringSchema, value: &Value) -> Result<(), ValidationError> {
        let Some(text) = value.as_text() else { return self.expected("text", value) };
        if let Some(constant) = schema.constant.as_ref().filter(|constant| *constant != text) {
            return self.wrong(format!("must be {constant:?}"));
        }
        if let Some(allowed) = schema.allowed.as_ref().filter(|allowed| !allowed.iter().any(|a| a == text)) {
            return self.wrong(format!("must be one of {allowed:?}"));
        }
        self.length(text.len(), schema.min_length, schema.max_length, "bytes")?;
        self.graphemes(schema, text)?;
        match schema.format {
            Some(format) => check(format, text).or_else(|error| self.wrong(format!("is wrong: {error}"))),
            None => Ok(()),
        }
    }

    fn graphemes(&self, schema: &StringSchema, text: &str) -> Result<(), ValidationError> {
        // There are never more graphemes than bytes, so most texts need no look at them.
        let fits = |max: u64| u64::try_from(text.len()).is_ok_and(|bytes| bytes <= max);
        if schema.min_graphemes.is_none() && schema.max_graphemes.is_none_or(fits) {
            return Ok(());
        }
        self.length(text.graphemes(true).count(), schema.min_graphemes, schema.max_graphemes, "graphemes")
    }
}

fn check(format: StringFormat, text: &str) -> Result<(), SyntaxError> {
    match format {
        StringFormat::AtIdentifier => AtIdentifier::parse(text).map(drop),
        StringFormat::AtUri => AtUri::parse(text).map(drop),
        StringFormat::Cid => CidText::parse(text).map(drop),
        StringFormat::Datetime => Datetime::parse(text).map(drop),
        StringFormat::Did => Did::parse(text).map(drop),
        StringFormat::Handle => Handle::parse(text).map(drop),
        StringFormat::Language => Language::parse(text).map(drop),
        StringFormat::Nsid => Nsid::parse(text).map(drop),
        StringFormat::RecordKey => Rkey::parse(text).map(drop),
        StringFormat::Tid if Tid::has_syntax(text) => Ok(()),
        StringFormat::Tid => Tid::parse(text).map(drop),
        StringFormat::Uri => Uri::parse(text).map(drop),
        StringFormat::Other => Ok(()),
    }
}
