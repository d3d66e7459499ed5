//! One changed record.

use p2pds_ipld::Cid;

/// A change at a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// The key, `collection/rkey`.
    pub key: Vec<u8>,
    /// What happened there.
    pub change: Change,
}

/// What happened at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There was no record; now there is this one.
    Create(Cid),
    /// One record replaced another.
    Update {
        /// Record before.
        old: Cid,
        /// Record after.
        new: Cid,
    },
    /// The record is gone.
    Delete(Cid),
}

impl Op {
    /// A creation.
    #[must_use]
    pub fn create(key: &[u8], new: Cid) -> Self {
        Self { key: key.to_vec(), change: Change::Create(new) }
    }

    /// An update.
    #[must_use]
    pub fn update(key: &[u8], old: Cid, new: Cid) -> Self {
        Self { key: key.to_vec(), change: Change::Update { old, new } }
    }

    /// A deletion.
    #[must_use]
    pub fn delete(key: &[u8], old: Cid) -> Self {
        Self { key: key.to_vec(), change: Change::Delete(old) }
    }

    /// The record before.
    #[must_use]
    pub fn old(&self) -> Option<Cid> {
        match self.change {
            Change::Create(_) => None,
            Change::Update { old, .. } | Change::Delete(old) => Some(old),
        }
    }

    /// The record after.
    #[must_use]
    #[expect(
        clippy::new_ret_no_self,
        reason = "the counterpart of `old`; operations are made by their names"
    )]
    pub fn new(&self) -> Option<Cid> {
        match self.change {
            Change::Create(new) | Change::Update { new, .. } => Some(new),
            Change::Delete(_) => None,
        }
    }

    /// The change that undoes this one.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let change = match self.change {
            Change::Create(cid) => Change::Delete(cid),
            Change::Update { old, new } => Change::Update { old: new, new: old },
            Change::Delete(cid) => Change::Create(cid),
        };
        Self { key: self.key.clone(), change }
    }
}
