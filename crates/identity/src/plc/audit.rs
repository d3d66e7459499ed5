//! The audit log as the directory hands it out (`GET /{did}/log/audit`).

use p2pds_ipld::Cid;
use p2pds_syntax::{Datetime, Did};
use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};

use super::{Operation, PlcError};
use crate::bounded::Each;

/// One operation and what the directory says about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// Whose operation.
    pub did: Did,
    /// The operation.
    pub operation: Operation,
    /// The CID of the operation, as the directory lists it.
    #[serde(serialize_with = "as_text")]
    pub cid: Cid,
    /// Whether a later fork undid the operation, as the directory says.
    pub nullified: bool,
    /// When the directory took it.
    pub created_at: Datetime,
}

fn as_text<S: serde::Serializer>(cid: &Cid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cid)
}

/// An entry as it is read; further fields, which `/export` has, are skipped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    did: Did,
    operation: Operation,
    cid: String,
    nullified: bool,
    created_at: Datetime,
}

/// Reads a JSON array of entries. The result is only read, not validated: hand it to
/// [`validate_log`](super::validate_log).
///
/// Entries are checked for shape one by one as they are read, so that hostile input is given up at its first fault.
pub fn parse_audit(json: &[u8]) -> Result<Vec<LogEntry>, PlcError> {
    let mut entries = Vec::new();
    let accept = |fields: Fields| {
        let cid = fields.cid.parse::<Cid>().map_err(|e| format!("the field \"cid\" is not a CID: {e}"))?;
        let Fields { did, operation, nullified, created_at, .. } = fields;
        entries.push(LogEntry { did, operation, cid, nullified, created_at });
        Ok(())
    };
    let mut reader = serde_json::Deserializer::from_slice(json);
    let problem = |e: serde_json::Error| PlcError::Json { problem: e.to_string() };
    Each::<Fields, _>::new(accept).deserialize(&mut reader).map_err(problem)?;
    reader.end().map_err(problem)?;
    Ok(entries)
}

/// The entries as the directory would write them: a JSON array with one line per entry, the same bytes every time.
pub fn write_audit(entries: &[LogEntry]) -> Vec<u8> {
    let mut out = String::from("[");
    for (index, entry) in entries.iter().enumerate() {
        out.push_str(if index == 0 { "\n" } else { ",\n" });
        let json = serde_json::json!({
            "did": entry.did.as_str(),
            "operation": entry.operation.to_json(),
            "cid": entry.cid.to_string(),
            "nullified": entry.nullified,
            "createdAt": entry.created_at.as_str(),
        });
        out.push_str(&json.to_string());
    }
    out.push_str("\n]\n");
    out.into_bytes()
}
