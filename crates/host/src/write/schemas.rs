//! What the schema of a record says, in the three states that callers can ask for.

use p2pds_ipld::cbor::Value;
use p2pds_syntax::{Nsid, Rkey};

use crate::lexicons::Validation;
use crate::{Host, HostError, HostResult};

/// Whether records are checked against their schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validate {
    /// When the schema is known; otherwise the record is taken as `unknown`.
    #[default]
    Known,
    /// Always: an unknown schema is an error.
    Required,
    /// Never; the rules of the data model hold all the same.
    Skip,
}

impl Validate {
    /// From the field `validate` of the methods.
    #[must_use]
    pub fn from_field(field: Option<bool>) -> Self {
        match field {
            None => Self::Known,
            Some(true) => Self::Required,
            Some(false) => Self::Skip,
        }
    }
}

/// What the schema said of a record that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It fits.
    Valid,
    /// Nobody here knows the schema.
    Unknown,
}

impl Status {
    /// The protocol's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
        }
    }
}

impl Host {
    /// Checks a record against the schema of its collection.
    pub(super) async fn check_schema(
        &self,
        collection: &Nsid,
        rkey: &Rkey,
        record: &Value,
        validate: Validate,
    ) -> HostResult<Option<Status>> {
        if validate == Validate::Skip {
            return Ok(None);
        }
        match (self.check_record(collection, rkey, record).await, validate) {
            (Validation::Valid, _) => Ok(Some(Status::Valid)),
            (Validation::Unknown, Validate::Required) => Err(HostError::invalid(format!(
                "Unknown lexicon type: {collection}; leave `validate` out to write it unchecked"
            ))),
            (Validation::Unknown, _) => Ok(Some(Status::Unknown)),
            (Validation::Invalid(why), _) => Err(HostError::invalid(format!(
                "Invalid {collection} record: {why}; mend it, or set `validate` to false"
            ))),
        }
    }
}
