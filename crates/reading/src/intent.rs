//! What an account's owner declared about public archives, read from the archived repo itself.
//!
//! The declaration is a record, so it is in effect with the revision that brings it: nothing has to be noted anywhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use p2pds_ipld::cbor::{Limits, Value, decode};
use p2pds_store::{Account, RecordRow, RepoId};
use p2pds_syntax::{Did, RecordPath, Tid};

use crate::Reading;
use crate::refusal::Refusal;

/// What the account's owner declared about public archives (`org.user-intents`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Intent {
    /// Nothing.
    #[default]
    Unsaid,
    /// It may be served by archives.
    Allowed,
    /// It may not.
    Refused,
}

impl Intent {
    /// A word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsaid => "unsaid",
            Self::Allowed => "allowed",
            Self::Refused => "refused",
        }
    }
}

/// Where declarations stand: the lexicon's name, and the one of its trial.
const DECLARATIONS: [&str; 2] =
    ["org.user-intents.declaration/self", "org.user-intents.demo.declaration/self"];
/// Accounts remembered.
const MOST: usize = 50_000;

/// What was read last, by account.
#[derive(Default)]
pub(crate) struct Declared(Mutex<HashMap<Did, (RepoId, Tid, Intent)>>);

/// What one declaration says of public archives.
fn said(row: &RecordRow) -> Intent {
    let value = row.body.as_ref().and_then(|body| decode(body, &Limits::RECORD).ok());
    // A declaration that cannot be read is not taken for consent.
    let Some(value) = value else { return Intent::Refused };
    let allow = match value.get("publicAccessArchive") {
        None => return Intent::Unsaid,
        Some(said @ Value::Map(_)) => said.get("allow"),
        Some(_) => return Intent::Refused,
    };
    match allow {
        None | Some(Value::Null) => Intent::Unsaid,
        Some(Value::Bool(true)) => Intent::Allowed,
        Some(_) => Intent::Refused,
    }
}

impl Reading {
    /// What the owner of an account declared, as of the revision that is stored. A refusal in either place counts.
    ///
    /// # Errors
    /// The store fails.
    pub async fn declared(&self, account: &Account) -> Result<Intent, Refusal> {
        let (did, Some(rev)) = (&account.did, account.rev) else { return Ok(Intent::Unsaid) };
        let kept = || self.shared.declared.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, intent)) = kept().get(did).filter(|(_, at, _)| *at == rev) {
            return Ok(*intent);
        }
        let Some(repo) = self.store.live_repo(did).await? else { return Ok(Intent::Unsaid) };
        let mut intent = Intent::Unsaid;
        for place in DECLARATIONS {
            let Ok(path) = RecordPath::parse(place) else { continue };
            match self.store.record(repo.id, &path).await?.as_ref().map(said) {
                Some(Intent::Refused) => intent = Intent::Refused,
                Some(Intent::Allowed) if intent == Intent::Unsaid => intent = Intent::Allowed,
                _ => {}
            }
        }
        // Records and rev are two reads: only what surely belongs together is remembered.
        if self.store.live_repo(did).await?.is_some_and(|now| now.id == repo.id && now.rev == rev) {
            let mut kept = kept();
            if kept.len() >= MOST {
                kept.clear();
            }
            kept.insert(did.clone(), (repo.id, rev, intent));
        }
        Ok(intent)
    }
}

#[cfg(test)]
mod tests {
    use p2pds_ipld::Cid;
    use p2pds_ipld::cbor::encode;

    use super::*;

    #[test]
    fn declarations() {
        let row = |body: Option<Vec<u8>>| RecordRow {
            key: RecordPath::parse(DECLARATIONS[0]).unwrap(),
            cid: Cid::of_cbor(b""),
            since: Tid::from_u64(1 << 10).unwrap(),
            body,
            damaged: false,
        };
        let says = |archive: Value| row(Some(encode(&Value::map([("publicAccessArchive", archive)]))));
        let allow = |allow: Value| says(Value::map([("allow", allow)]));
        assert_eq!(said(&allow(Value::Bool(false))), Intent::Refused);
        assert_eq!(said(&allow(Value::Bool(true))), Intent::Allowed);
        assert_eq!(said(&allow(Value::Null)), Intent::Unsaid);
        assert_eq!(said(&says(Value::map(Vec::<(String, Value)>::new()))), Intent::Unsaid);
        assert_eq!(said(&row(Some(encode(&Value::map(Vec::<(String, Value)>::new()))))), Intent::Unsaid);
        for odd in [Value::Bool(false), Value::Null, Value::Text("no".into()), Value::Array(Vec::new())] {
            assert_eq!(said(&says(odd.clone())), Intent::Refused, "{odd:?}");
        }
        for odd in [Value::Int(0), Value::Text("no".into())] {
            assert_eq!(said(&allow(odd.clone())), Intent::Refused, "{odd:?}");
        }
        assert_eq!(said(&row(None)), Intent::Refused);
        assert_eq!(said(&row(Some(b"no record".to_vec()))), Intent::Refused);
    }
}
