//! What is known about an account.

use std::sync::Arc;

use p2pds_crypto::PublicKey;
use p2pds_identity::DidDocument;
use p2pds_identity::plc::{Log, write_audit};
use p2pds_syntax::{Did, Handle};
use serde::Serialize;

/// An account's identity. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The account.
    pub did: Did,
    /// Its handle, checked both ways.
    pub handle: HandleState,
    /// Origin of its host (`https://pds.example`), if the document names a usable one.
    pub pds: Option<String>,
    /// The key that signs its repo, if the document names a usable one.
    pub signing_key: Option<PublicKey>,
    /// Why `signing_key` is `None` although the document has an entry for it.
    pub key_problem: Option<String>,
    /// The DID document as JSON: as received for did:web, derived from the log for did:plc.
    pub doc_json: Arc<str>,
    /// The validated log of a did:plc; `None` for did:web and for [`Source::PlcDocument`].
    pub plc: Option<Arc<Log>>,
    /// Where all this comes from.
    pub source: Source,
    /// When it was fetched, microseconds since 1970.
    pub fetched_at: i64,
    /// Whether asking again was due and failed; the reason in plain words.
    pub stale: Option<String>,
}

/// An account's handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum HandleState {
    /// The document claims it and it resolves to the DID.
    Verified {
        /// The handle.
        handle: Handle,
    },
    /// It resolves to somebody else.
    Mismatch {
        /// What the document claims.
        claimed: Handle,
        /// Where that leads.
        resolves_to: Did,
    },
    /// It does not resolve.
    Unresolvable {
        /// What the document claims.
        claimed: Handle,
        /// Why not, in plain words.
        why: String,
    },
    /// The document claims none.
    None,
}

impl HandleState {
    /// The handle, if it holds both ways.
    #[must_use]
    pub fn verified(&self) -> Option<&Handle> {
        match self {
            Self::Verified { handle } => Some(handle),
            _ => None,
        }
    }

    /// The handle that the document claims, proven or not.
    #[must_use]
    pub fn claimed(&self) -> Option<&Handle> {
        match self {
            Self::Verified { handle: claimed }
            | Self::Mismatch { claimed, .. }
            | Self::Unresolvable { claimed, .. } => Some(claimed),
            Self::None => None,
        }
    }
}

/// How an identity is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A did:plc log that was fetched and validated from the DID up.
    PlcLog,
    /// A did:plc document without its log: the directory's word, unverified.
    PlcDocument,
    /// A did:web document: the word of its host.
    Web,
    /// The mirror in the store, because the directory did not answer or answered less than before.
    Mirror,
}

impl Source {
    /// Whether what it says follows from the DID alone (and from nothing having been left out at the end of the log).
    #[must_use]
    pub fn is_verified(self) -> bool {
        matches!(self, Self::PlcLog | Self::Mirror)
    }
}

impl Identity {
    /// Takes the useful parts out of a document; the handle is not checked yet.
    pub(crate) fn of_document(
        document: &DidDocument,
        doc_json: Arc<str>,
        source: Source,
        fetched_at: i64,
    ) -> Self {
        let (signing_key, key_problem) = match document.signing_key() {
            None => (None, None),
            Some(Ok(key)) => (Some(key), None),
            Some(Err(e)) => (None, Some(e.to_string())),
        };
        let handle = match document.handle() {
            Some(claimed) => HandleState::Unresolvable { claimed, why: "it was not checked".to_owned() },
            None => HandleState::None,
        };
        Self {
            did: document.id.clone(),
            handle,
            pds: document.pds(),
            signing_key,
            key_problem,
            doc_json,
            plc: None,
            source,
            fetched_at,
            stale: None,
        }
    }

    /// Bytes that remembering it takes, roughly.
    pub(crate) fn weight(&self) -> usize {
        const FIXED: usize = 1024;
        // A log in memory is about as large as its JSON.
        let log = self.plc.as_ref().map_or(0, |log| write_audit(log.entries()).len());
        FIXED.saturating_add(self.doc_json.len()).saturating_add(log)
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, Source};
    use p2pds_crypto::{Curve, PrivateKey, Signer};
    use p2pds_identity::plc::{Data, LogEntry, Unsigned, validate_log, write_audit};
    use p2pds_syntax::Datetime;
    use std::sync::Arc;

    #[test]
    fn a_log_weighs_what_it_holds() {
        let key = PrivateKey::from_entropy(Curve::K256, [1; 32]);
        let mut data = Data::default();
        data.put_rotation_key_first(&key.public_key());
        data.also_known_as = (0..10).map(|i| format!("at://{i}{}.test", "x".repeat(230))).collect();
        let operation = Unsigned::genesis(data).sign(&key).unwrap();
        let (did, cid) = (operation.created_did().unwrap(), operation.cid());
        let created_at = Datetime::parse("2026-01-01T00:00:00Z").unwrap();
        let entry = LogEntry { did: did.clone(), operation, cid, nullified: false, created_at };
        let log = validate_log(&did, &[entry]).unwrap();
        let document = log.document().unwrap();
        let mut identity = Identity::of_document(&document, "{}".into(), Source::PlcLog, 0);
        let json = write_audit(log.entries()).len();
        identity.plc = Some(Arc::new(log));
        assert!(identity.weight() >= json, "{} for {json} bytes", identity.weight());
    }
}
