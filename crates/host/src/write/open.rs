//! Commits without changes: the first one of a new account, and the one that says "from here on, under this key".

use std::sync::Arc;

use p2pds_crypto::Signer;
use p2pds_ipld::Cid;
use p2pds_repo::mst::{EMPTY_NODE, empty_root};
use p2pds_store::{BucketUpdate, Head, Login, Role, Seen, StoreError, Unit, view};
use p2pds_syntax::{Did, ErrorKind};

use super::hot::{HeldAccount, Hot, no_repo, view_error};
use super::seal::sign;
use super::{ATTEMPTS, Failure, Written};
use crate::events::{self, CommitWords};
use crate::{Host, HostError, HostResult};

/// What opens a new account's repo: units for the batch that makes the account, and what the stream may say of it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The first head.
    pub head: Head,
    /// The repo with its first commit.
    pub repo: Unit,
    /// `#commit`. Not for accounts that are still another host's.
    pub commit: Unit,
    /// `#sync`, likewise.
    pub sync: Unit,
}

/// What the stream says of a commit without changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Announce {
    /// Nothing.
    #[default]
    Nothing,
    /// `#commit`, for those who have what came before.
    Commit,
    /// `#sync`, for those who may have anything or nothing.
    Sync,
    /// Both.
    Both,
}

/// How a commit without changes is made, and with what.
#[derive(Default)]
pub struct EmptyCommit {
    /// The account's new signing key; without one the account's own signs.
    pub signer: Option<Arc<dyn Signer>>,
    /// Units that happen before it in the same batch: a new login row, the account's events.
    pub before: Vec<Unit>,
    /// What the stream says of it.
    pub announce: Announce,
    /// Units that happen after it in the same batch.
    pub after: Vec<Unit>,
}

impl Host {
    /// The empty repo of a new account, signed. Nothing is stored by this.
    ///
    /// # Errors
    /// The signer's.
    pub fn open_repo(&self, did: &Did, signer: &dyn Signer) -> HostResult<Opened> {
        let now = self.now();
        let rev = self.writes().next_rev(None, now)?;
        let key = signer.public_key().to_did_key();
        let (commit, head) = sign(did, rev, empty_root(), signer, &key)?;
        let block = commit.encode();
        let root = [(empty_root(), EMPTY_NODE.to_vec())];
        let words = CommitWords {
            did,
            rev,
            since: None,
            commit: head.commit,
            block: &block,
            prev_data: None,
            ops: Vec::new(),
            proof: &root,
            records: &[],
        };
        Ok(Opened {
            repo: Unit::OpenRepo {
                did: did.clone(),
                head: Box::new(head.clone()),
                role: Role::Hosted,
                at: now,
            },
            commit: events::commit(words, now)?,
            sync: events::sync(did, rev, head.commit, &block, now)?,
            head,
        })
    }

    /// A signed commit without changes, of a higher rev: at an activation, after a new signing key, after a restore.
    /// The account's state in memory is read anew afterwards, so `before` may change its login.
    ///
    /// # Errors
    /// What the store says; nothing of the batch happened then.
    pub async fn empty_commit(&self, did: &Did, how: EmptyCommit) -> HostResult<Written> {
        let lock = self.writes().enter(did).await?;
        let mut slot = lock.slot().await;
        lock.note(None);
        self.empty_commit_in(&mut slot, did, how).await
    }

    /// The same while the account is held already: nobody writes between what the holder did before and this.
    ///
    /// # Errors
    /// As [`empty_commit`](Self::empty_commit).
    pub async fn empty_commit_held(
        &self,
        held: &mut HeldAccount<'_>,
        did: &Did,
        how: EmptyCommit,
    ) -> HostResult<Written> {
        self.empty_commit_in(held.slot(), did, how).await
    }

    async fn empty_commit_in(
        &self,
        slot: &mut Option<Box<Hot>>,
        did: &Did,
        how: EmptyCommit,
    ) -> HostResult<Written> {
        for _ in 0..ATTEMPTS {
            let hot = match slot.take() {
                Some(hot) => hot,
                None => self.load_hot_for(did, how.signer.as_ref()).await?,
            };
            match self.commit_nothing(&hot, &how).await {
                Err(Failure::Store(StoreError::HeadMoved { .. } | StoreError::NotNewer { .. })) => {}
                Err(Failure::Store(error)) => return Err(error.into()),
                Err(Failure::Host(error)) => return Err(error),
                Ok(written) => return Ok(written),
            }
        }
        Err(HostError::new(ErrorKind::Unavailable, "NotAvailable", "the repo is being changed; try again"))
    }

    async fn commit_nothing(&self, hot: &Hot, how: &EmptyCommit) -> Result<Written, Failure> {
        let did = hot.did();
        let (now, before) = (self.now(), hot.head());
        let rev = self.writes().next_rev(Some(before.rev), now)?;
        let (commit, head) = match &how.signer {
            Some(signer) => sign(did, rev, before.data, &**signer, &signer.public_key().to_did_key())?,
            None => sign(did, rev, before.data, &*hot.signer, &hot.key)?,
        };
        let block = commit.encode();
        let mut units = how.before.clone();
        units.push(Unit::ApplyCommit {
            did: did.clone(),
            expect: before.rev,
            head: Box::new(head.clone()),
            changes: Vec::new(),
            buckets: BucketUpdate::Planned(Vec::new()),
            seen: Seen { at: now, since: Some(before.rev) },
        });
        if matches!(how.announce, Announce::Commit | Announce::Both) {
            let words = CommitWords {
                did,
                rev,
                since: Some(before.rev),
                commit: head.commit,
                block: &block,
                prev_data: Some(before.data),
                ops: Vec::new(),
                // Nothing has to be undone, but readers open the tree at its root.
                proof: &self.root_node(hot).await?,
                records: &[],
            };
            units.push(events::commit(words, now)?);
        }
        if matches!(how.announce, Announce::Sync | Announce::Both) {
            units.push(events::sync(did, rev, head.commit, &block, now)?);
        }
        units.extend(how.after.iter().cloned());
        let unit = Unit::Batch { did: did.clone(), units };
        self.store().apply(unit).await.map_err(Failure::Store)?;
        Ok(Written { commit: head.commit, rev, changed: true, results: Vec::new() })
    }

    /// The unit that puts a commit without changes over an account's repo that counts as signed by nobody: the account
    /// is its old host's again.
    pub(crate) async fn unvouched_commit(&self, login: &Login) -> HostResult<Unit> {
        let did = &login.did;
        let live = self.store().live_repo(did).await?.ok_or_else(|| no_repo(did))?;
        let before = live.head.as_ref().ok_or_else(|| no_repo(did))?;
        let rev = self.writes().next_rev(Some(before.rev), self.now())?;
        let signer = self.signer_of(did, login)?;
        let (_, head) = sign(did, rev, before.data, &*signer, "")?;
        Ok(Unit::ApplyCommit {
            did: did.clone(),
            expect: before.rev,
            head: Box::new(head),
            changes: Vec::new(),
            buckets: BucketUpdate::Planned(Vec::new()),
            seen: Seen { at: self.now(), since: Some(before.rev) },
        })
    }

    /// The root of the tree as a block.
    async fn root_node(&self, hot: &Hot) -> HostResult<Vec<(Cid, Vec<u8>)>> {
        let data = hot.head().data;
        let block = view::block(self.store(), hot.repo(), &hot.spine, &data).await;
        let block = block.map_err(|error| view_error(hot.did(), error))?;
        Ok(block.map(|block| (data, block)).into_iter().collect())
    }
}
