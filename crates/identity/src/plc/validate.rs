//! The rules of a log.

use std::collections::HashMap;

use p2pds_crypto::{DidKey, PublicKey};
use p2pds_ipld::Cid;
use p2pds_syntax::Did;

use super::{
    EntryFault, Log, LogEntry, MAX_OPERATION_READ, MAX_ROTATION_KEYS_READ, Operation, PlcError,
    RECOVERY_WINDOW_MICROS,
};

/// Checks a whole log from the DID alone and gives it back as a witness.
///
/// Entries must come in the order in which the directory took them. Checked: the DID is the hash of the first operation,
/// every listed CID is the hash of its operation, every signature is by a rotation key in force, forks are by a key of
/// higher authority within 72 hours, nothing continues from a nullified operation or a tombstone, times increase, sizes
/// are in bounds, and every `nullified` flag is what the operations imply. Not checked: that nothing was left out at the
/// end.
pub fn validate_log(did: &Did, entries: &[LogEntry]) -> Result<Log, PlcError> {
    let mut rules = Rules::default();
    for (index, entry) in entries.iter().enumerate() {
        rules.append(did, entry).map_err(|fault| PlcError::Entry { did: did.clone(), index, fault })?;
    }
    for (index, (entry, step)) in entries.iter().zip(&rules.steps).enumerate() {
        if entry.nullified != step.nullified {
            let fault = EntryFault::WrongNullified { listed: entry.nullified };
            return Err(PlcError::Entry { did: did.clone(), index, fault });
        }
    }
    Log::from_validated(did.clone(), entries.to_vec()).ok_or_else(|| PlcError::Empty { did: did.clone() })
}

/// The operations accepted so far, with what the next one has to know.
#[derive(Default)]
pub(super) struct Rules {
    steps: Vec<Step>,
    by_cid: HashMap<Cid, usize>,
    /// The operation that counts at the moment.
    head: usize,
}

struct Step {
    created_at: i64,
    nullified: bool,
    tombstone: bool,
    /// Rotation keys in order of authority, and how many of them may still sign a continuation from here: each one that
    /// did leaves only those above it.
    keys: Vec<PublicKey>,
    allowed: usize,
    /// The latest operation that continues from here.
    child: Option<usize>,
}

impl Rules {
    /// Accepts the next entry or says which rule it breaks.
    pub(super) fn append(&mut self, did: &Did, entry: &LogEntry) -> Result<(), EntryFault> {
        let operation = &entry.operation;
        if entry.did != *did {
            return Err(EntryFault::WrongDid { found: entry.did.clone() });
        }
        let bytes = operation.to_cbor();
        if bytes.len() > MAX_OPERATION_READ {
            return Err(EntryFault::TooLarge { bytes: bytes.len() });
        }
        let computed = Cid::of_cbor(&bytes);
        if computed != entry.cid {
            return Err(EntryFault::WrongCid { listed: entry.cid, computed });
        }
        if self.by_cid.contains_key(&computed) {
            return Err(EntryFault::Duplicate);
        }
        let keys = rotation_keys(operation)?;
        if self.steps.is_empty() {
            check_genesis(did, operation, &keys)?;
        } else {
            self.check_next(entry)?;
        }
        self.head = self.steps.len();
        self.by_cid.insert(computed, self.head);
        self.steps.push(Step {
            created_at: entry.created_at.unix_micros(),
            nullified: false,
            tombstone: operation.is_tombstone(),
            allowed: keys.len(),
            keys,
            child: None,
        });
        Ok(())
    }

    /// Checks an operation that is not the first, and marks what it nullifies.
    fn check_next(&mut self, entry: &LogEntry) -> Result<(), EntryFault> {
        let next = self.steps.len();
        let prev_cid = *entry.operation.prev().ok_or(EntryFault::SecondGenesis)?;
        let prev_index = *self.by_cid.get(&prev_cid).ok_or(EntryFault::UnknownPrev { prev: prev_cid })?;
        let head_time = self.steps.get(self.head).map_or(i64::MAX, |step| step.created_at);
        let unknown = EntryFault::UnknownPrev { prev: prev_cid };
        let prev = self.steps.get(prev_index).ok_or(unknown)?;
        if prev.nullified {
            return Err(EntryFault::PrevNullified { prev: prev_cid });
        }
        if prev.tombstone {
            return Err(EntryFault::AfterTombstone);
        }
        let signer = check_signer(&entry.operation, &prev.keys, prev.allowed)?;
        let created_at = entry.created_at.unix_micros();
        if created_at <= head_time {
            return Err(EntryFault::TimeOrder { created_at: entry.created_at.to_string() });
        }
        if let Some(overruled) = prev.child.and_then(|child| self.steps.get(child)) {
            let age = created_at.saturating_sub(overruled.created_at);
            if age > RECOVERY_WINDOW_MICROS {
                return Err(EntryFault::TooLate { hours: age.saturating_add(3_599_999_999) / 3_600_000_000 });
            }
        }
        // All that came after the predecessor no longer counts; without a fork that is nothing.
        for step in self.steps.iter_mut().skip(prev_index.saturating_add(1)) {
            step.nullified = true;
        }
        if let Some(prev) = self.steps.get_mut(prev_index) {
            prev.allowed = signer;
            prev.child = Some(next);
        }
        Ok(())
    }
}

/// The rotation keys of an operation, parsed; its verification methods are checked for form on the way.
fn rotation_keys(operation: &Operation) -> Result<Vec<PublicKey>, EntryFault> {
    let Some(data) = operation.data() else { return Ok(Vec::new()) };
    for key in data.verification_methods.values() {
        DidKey::parse(key).map_err(|source| EntryFault::BadKey {
            role: "verification method",
            key: key.clone(),
            source,
        })?;
    }
    let parse = |key: &String| {
        PublicKey::from_did_key(key).map_err(|source| EntryFault::BadKey {
            role: "rotation key",
            key: key.clone(),
            source,
        })
    };
    let count = data.rotation_keys.len();
    if count > MAX_ROTATION_KEYS_READ {
        return Err(EntryFault::TooManyKeys { count });
    }
    data.rotation_keys.iter().map(parse).collect()
}

fn check_genesis(did: &Did, operation: &Operation, keys: &[PublicKey]) -> Result<(), EntryFault> {
    let computed = operation.created_did().ok_or(EntryFault::NotGenesis)?;
    if computed != *did {
        return Err(EntryFault::WrongGenesis { computed });
    }
    check_signer(operation, keys, keys.len()).map(|_| ())
}

/// Finds the first of the allowed keys that made the signature. Of a key that is listed twice the first place counts.
fn check_signer(operation: &Operation, keys: &[PublicKey], allowed: usize) -> Result<usize, EntryFault> {
    match keys.iter().position(|key| operation.verify(key)) {
        Some(signer) if signer < allowed => Ok(signer),
        Some(_) => Err(EntryFault::LowAuthority),
        None => Err(EntryFault::BadSignature { keys: keys.len() }),
    }
}
