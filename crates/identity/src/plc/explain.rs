//! What an operation did, who signed it, and who can still undo it.

use std::fmt;

use p2pds_crypto::PublicKey;
use p2pds_ipld::Cid;

use super::{Data, Log, LogEntry, RECOVERY_WINDOW_MICROS};

/// One operation of a validated log, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its place in the log, counted from zero.
    pub index: usize,
    /// Its CID.
    pub cid: Cid,
    /// When the directory took it, by its word, microseconds since 1970.
    pub at: i64,
    /// Whether a later recovery made it void.
    pub nullified: bool,
    /// Who signed it.
    pub signer: Option<Signer>,
    /// What was different right after it, in order of weight. Empty if nothing was.
    pub differences: Vec<Difference>,
    /// Operations that it made void when it came, by place.
    pub undid: Vec<usize>,
}

/// The rotation key that signed an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The `did:key`.
    pub key: String,
    /// Its place among the rotation keys in force then, counted from zero; lower is of higher authority.
    pub position: usize,
    /// How many rotation keys were in force.
    pub of: usize,
}

/// One thing that an operation changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The account came into being.
    Created,
    /// The account was deleted.
    Deleted,
    /// A deletion was undone.
    Revived,
    /// A key may sign operations from now on.
    RotationKeyAdded {
        /// The `did:key`.
        key: String,
        /// Its place now, counted from zero.
        position: usize,
    },
    /// A key may not sign operations any more.
    RotationKeyRemoved {
        /// The `did:key`.
        key: String,
        /// Its place before, counted from zero.
        position: usize,
    },
    /// The rotation keys are the same and their order of authority is another.
    RotationKeysReordered,
    /// The key that signs the repository.
    SigningKey {
        /// Before.
        from: Option<String>,
        /// Now.
        to: Option<String>,
    },
    /// The host.
    Host {
        /// Before.
        from: Option<String>,
        /// Now.
        to: Option<String>,
    },
    /// The handle.
    Handle {
        /// Before.
        from: Option<String>,
        /// Now.
        to: Option<String>,
    },
    /// Names other than the handle.
    OtherNames,
    /// A verification method or service of that name that AT Protocol does not use itself.
    Other {
        /// The name of the entry.
        name: String,
    },
}

/// A way to make an operation void, open until a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// The operation that the undoing one has to continue from.
    pub from: Cid,
    /// Place of the first operation that becomes void by it.
    pub voids_from: usize,
    /// The keys that can, highest authority first, each with its place counted from zero.
    pub keys: Vec<(usize, String)>,
    /// Last moment at which the directory takes it, microseconds since 1970.
    pub until: i64,
}

impl Log {
    /// All operations, explained, in the order of the log.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        (0..self.entries().len()).filter_map(|index| self.step(index)).collect()
    }

    /// One operation, explained; `None` past the end.
    #[must_use]
    pub fn step(&self, index: usize) -> Option<Step> {
        let entry = self.entries().get(index)?;
        // The operation in force just before is the last one of the log as it was then.
        let before = index.checked_sub(1).and_then(|last| self.entries().get(last));
        let prev = entry.operation.prev().and_then(|cid| self.place(cid));
        Some(Step {
            index,
            cid: entry.cid,
            at: entry.created_at.unix_micros(),
            nullified: entry.nullified,
            signer: self.signer(entry),
            differences: self.differences(index, before, entry),
            undid: prev.map(|prev| self.void_between(prev, index)).unwrap_or_default(),
        })
    }

    /// The ways to make the operation at `index` void, the one open for longest first; empty if it is void already,
    /// or if no key of higher authority than its signer exists. Whether a way is still open, its `until` says.
    #[must_use]
    pub fn ways_to_undo(&self, index: usize) -> Vec<Undo> {
        let chain: Vec<(usize, &LogEntry)> =
            self.entries().iter().enumerate().filter(|(_, entry)| !entry.nullified).collect();
        let Some(place) = chain.iter().position(|(at, _)| *at == index) else { return Vec::new() };
        let pairs = chain.iter().zip(chain.iter().skip(1)).take(place);
        let mut ways: Vec<Undo> = pairs
            .filter_map(|((_, parent), (child_at, child))| {
                let signer = self.signer(child)?.position;
                let keys = rotation_keys(parent);
                let above: Vec<(usize, String)> = keys.into_iter().enumerate().take(signer).collect();
                let until = child.created_at.unix_micros().saturating_add(RECOVERY_WINDOW_MICROS);
                let way = Undo { from: parent.cid, voids_from: *child_at, keys: above, until };
                (!way.keys.is_empty()).then_some(way)
            })
            .collect();
        ways.reverse();
        ways
    }

    fn place(&self, cid: &Cid) -> Option<usize> {
        self.entries().iter().position(|entry| entry.cid == *cid)
    }

    /// The rotation key that signed an entry: of its predecessor, or, for the first operation, of its own.
    fn signer(&self, entry: &LogEntry) -> Option<Signer> {
        let of = match entry.operation.prev() {
            Some(prev) => self.entries().get(self.place(prev)?)?,
            None => entry,
        };
        let keys = rotation_keys(of);
        let signed =
            |key: &String| PublicKey::from_did_key(key).is_ok_and(|key| entry.operation.verify(&key));
        let position = keys.iter().position(signed)?;
        let key = keys.get(position)?.clone();
        Some(Signer { key, position, of: keys.len() })
    }

    /// What counted after `prev` when the operation at `index` came, and no longer did then.
    fn void_between(&self, prev: usize, index: usize) -> Vec<usize> {
        let between = prev.saturating_add(1)..index;
        let was_void_before = |at: usize| {
            // An earlier fork had already passed over it.
            let forks = self.entries().iter().enumerate().take(index).skip(at.saturating_add(1));
            forks
                .filter_map(|(_, later)| later.operation.prev().and_then(|cid| self.place(cid)))
                .any(|from| from < at)
        };
        between.filter(|at| !was_void_before(*at)).collect()
    }

    fn differences(&self, index: usize, before: Option<&LogEntry>, entry: &LogEntry) -> Vec<Difference> {
        let Some(before) = before else { return vec![Difference::Created] };
        let (was, now) = (before.operation.data(), entry.operation.data());
        match (was, now) {
            (_, None) => vec![Difference::Deleted],
            (Some(was), Some(now)) => compare(&was, &now),
            (None, Some(now)) => {
                // What the deletion had ended: the last content before it.
                let earlier =
                    self.entries().iter().take(index).rev().find_map(|entry| entry.operation.data());
                let mut all = vec![Difference::Revived];
                all.extend(earlier.map(|was| compare(&was, &now)).unwrap_or_default());
                all
            }
        }
    }
}

fn rotation_keys(entry: &LogEntry) -> Vec<String> {
    entry.operation.data().map(|data| data.rotation_keys).unwrap_or_default()
}

/// What is different between two contents, in order of weight.
#[must_use]
pub fn differences(was: &Data, now: &Data) -> Vec<Difference> {
    compare(was, now)
}

fn compare(was: &Data, now: &Data) -> Vec<Difference> {
    let mut found = Vec::new();
    for (position, key) in now.rotation_keys.iter().enumerate() {
        if !was.rotation_keys.contains(key) {
            found.push(Difference::RotationKeyAdded { key: key.clone(), position });
        }
    }
    for (position, key) in was.rotation_keys.iter().enumerate() {
        if !now.rotation_keys.contains(key) {
            found.push(Difference::RotationKeyRemoved { key: key.clone(), position });
        }
    }
    if found.is_empty() && was.rotation_keys != now.rotation_keys {
        found.push(Difference::RotationKeysReordered);
    }
    let owned = |text: Option<&str>| text.map(str::to_owned);
    if was.signing_key() != now.signing_key() {
        found.push(Difference::SigningKey { from: owned(was.signing_key()), to: owned(now.signing_key()) });
    }
    if was.pds() != now.pds() {
        found.push(Difference::Host { from: was.pds(), to: now.pds() });
    }
    let handle = |data: &Data| data.handle().map(|handle| handle.as_str().to_owned());
    let (old_handle, new_handle) = (handle(was), handle(now));
    if old_handle != new_handle {
        found.push(Difference::Handle { from: old_handle, to: new_handle });
    } else if was.also_known_as != now.also_known_as {
        found.push(Difference::OtherNames);
    }
    others(was, now, &mut found);
    found
}

/// Entries that AT Protocol has no use for, and changes of the host's entry that leave the host the same.
fn others(was: &Data, now: &Data, found: &mut Vec<Difference>) {
    let mut names: Vec<&String> = Vec::new();
    for (a, b) in [(was, now), (now, was)] {
        let methods = a.verification_methods.iter().filter(|(name, key)| {
            name.as_str() != "atproto" && b.verification_methods.get(*name) != Some(key)
        });
        names.extend(methods.map(|(name, _)| name));
        let services = a.services.iter().filter(|(name, service)| {
            b.services.get(*name) != Some(service)
                && !(name.as_str() == "atproto_pds" && was.pds() != now.pds())
        });
        names.extend(services.map(|(name, _)| name));
    }
    names.sort();
    names.dedup();
    found.extend(names.into_iter().map(|name| Difference::Other { name: name.clone() }));
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        match self {
            Self::Created => f.write_str("the account was created"),
            Self::Deleted => f.write_str("the account was deleted (tombstone)"),
            Self::Revived => f.write_str("the deletion was undone"),
            Self::RotationKeyAdded { key, position } => {
                write!(f, "rotation key added at place {}: {key}", position.saturating_add(1))
            }
            Self::RotationKeyRemoved { key, position } => {
                write!(f, "rotation key removed, it was at place {}: {key}", position.saturating_add(1))
            }
            Self::RotationKeysReordered => f.write_str("the rotation keys changed their order"),
            Self::SigningKey { from, to } => {
                write!(f, "signing key changed from {} to {}", or_none(from), or_none(to))
            }
            Self::Host { from, to } => write!(f, "host changed from {} to {}", or_none(from), or_none(to)),
            Self::Handle { from, to } => {
                write!(f, "handle changed from {} to {}", or_none(from), or_none(to))
            }
            Self::OtherNames => f.write_str("other names changed"),
            Self::Other { name } => write!(f, "the entry {name:?} changed"),
        }
    }
}

impl Difference {
    /// Whether this moves who controls the account, or where it is.
    #[must_use]
    pub fn is_grave(&self) -> bool {
        !matches!(self, Self::Handle { .. } | Self::OtherNames | Self::Other { .. } | Self::Created)
    }
}

impl Undo {
    /// Whether the directory would still take it at that moment.
    #[must_use]
    pub fn is_open(&self, micros: i64) -> bool {
        micros <= self.until
    }
}
