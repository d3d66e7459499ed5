//! Fields of a map in any order, each once, with the first fault kept while the rest is read.

use p2pds_ipld::CborError;
use p2pds_ipld::cbor::Reader;
use p2pds_syntax::Did;

use super::{FrameError, LIMITS, MAX_SEQ, MAX_TEXT};

/// What went wrong so far.
pub(super) struct Faults {
    kind: &'static str,
    first: Option<(&'static str, String)>,
}

impl Faults {
    pub(super) const fn new(kind: &'static str) -> Self {
        Self { kind, first: None }
    }

    /// Reads one field into its slot. A value that breaks the schema is passed over and noted.
    pub(super) fn read<'a, T>(
        &mut self,
        reader: &mut Reader<'a>,
        field: &'static str,
        slot: &mut Option<T>,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, String>,
    ) -> Result<(), CborError> {
        let mut ahead = reader.clone();
        match read(&mut ahead) {
            Ok(value) => {
                *reader = ahead;
                if slot.replace(value).is_some() {
                    self.note(field, "is there twice".to_owned());
                }
            }
            Err(why) => {
                reader.skip(&LIMITS)?;
                self.note(field, why);
            }
        }
        Ok(())
    }

    /// The value of a field that must be there; without it, `None` and a fault.
    pub(super) fn need<T>(&mut self, field: &'static str, slot: Option<T>) -> Option<T> {
        if slot.is_none() {
            self.note(field, "is missing".to_owned());
        }
        slot
    }

    pub(super) fn note(&mut self, field: &'static str, why: String) {
        self.first.get_or_insert((field, why));
    }

    /// The frame, unless something was wrong with it.
    pub(super) fn end<T>(
        self,
        value: Option<T>,
        seq: Option<u64>,
        did: Option<Did>,
    ) -> Result<T, FrameError> {
        match (self.first, value) {
            (None, Some(value)) => Ok(value),
            (first, _) => {
                let (field, why) = first.unwrap_or(("payload", "is missing".to_owned()));
                Err(FrameError::Event { kind: self.kind, field, why, seq, did })
            }
        }
    }
}

/// The error of a value in words; `expected a link` reads on behind the name of the field.
#[cold]
pub(super) fn wrong(error: impl std::fmt::Display) -> String {
    format!("is wrong: {error}")
}

pub(super) fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, String> {
    let text = reader.text().map_err(wrong)?;
    if text.len() > MAX_TEXT {
        return Err(format!("has {} bytes, at most {MAX_TEXT} are read", text.len()));
    }
    Ok(text)
}

pub(super) fn nullable_text<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a str>, String> {
    if reader.null() { Ok(None) } else { text(reader).map(Some) }
}

pub(super) fn seq(reader: &mut Reader<'_>) -> Result<u64, String> {
    let seq = reader.uint().map_err(wrong)?;
    if seq > MAX_SEQ { Err(format!("is larger than {MAX_SEQ}")) } else { Ok(seq) }
}

pub(super) fn did(reader: &mut Reader<'_>) -> Result<Did, String> {
    Did::parse(text(reader)?).map_err(wrong)
}

pub(super) fn boolean(reader: &mut Reader<'_>) -> Result<bool, String> {
    reader.bool().map_err(wrong)
}
