//! The model: the same rules in maps, as short as they can be said.

use std::collections::BTreeMap;

use p2pds_ipld::Cid;
use p2pds_syntax::{Did, ErrorKind, RecordPath, Tid};

use crate::{Applied, Change, LexiconRow, RepoId, Role, Unit};

type Records = BTreeMap<RecordPath, Cid>;

#[derive(Default)]
struct Owner {
    live: Option<(RepoId, Tid)>,
    /// Every state that was live, by rev.
    states: BTreeMap<Tid, Records>,
    /// Older states of the live line were pruned.
    horizon: Option<Tid>,
    /// Lines that were left when an older head was accepted.
    left: Vec<(RepoId, BTreeMap<Tid, Records>)>,
    /// Collections by the rev that fetched or changed them last.
    touched: BTreeMap<String, Tid>,
}

impl Owner {
    fn touch<'a>(&mut self, keys: impl Iterator<Item = &'a RecordPath>, rev: Tid) {
        for key in keys {
            self.touched.insert(key.collection().to_owned(), rev);
        }
    }
}

#[derive(Default)]
pub(super) struct Model {
    owners: BTreeMap<Did, Owner>,
    staging: BTreeMap<RepoId, (Did, Tid, Records)>,
}

impl Model {
    /// Applies a unit by the rules; the store's answer supplies the repo id that it chose.
    pub(super) fn apply(&mut self, unit: &Unit, answer: Option<&Applied>) -> Result<(), ErrorKind> {
        match unit {
            Unit::AddAccount(account) => {
                self.owners.entry(account.did.clone()).or_default();
                Ok(())
            }
            Unit::BeginStaging { did, rev, .. } => {
                self.owners.get(did).ok_or(ErrorKind::NotFound)?;
                if let Some(Applied::Staging(repo)) = answer {
                    self.staging.insert(*repo, (did.clone(), *rev, Records::new()));
                }
                Ok(())
            }
            Unit::StageRecords { did, repo, rows } => {
                let staged = self
                    .staging
                    .get_mut(repo)
                    .filter(|(owner, ..)| owner == did)
                    .ok_or(ErrorKind::NotFound)?;
                if rows.iter().any(|row| staged.2.contains_key(&row.key)) {
                    return Err(ErrorKind::Conflict);
                }
                staged.2.extend(rows.iter().map(|row| (row.key.clone(), row.cid)));
                Ok(())
            }
            Unit::StageBuckets { .. } => Ok(()),
            Unit::Flip { did, repo, expect, head, accept_older, .. } => {
                let (owner, rev, _) = self.staging.get(repo).ok_or(ErrorKind::NotFound)?;
                if owner != did {
                    return Err(ErrorKind::NotFound);
                }
                let account = self.owners.get_mut(did).ok_or(ErrorKind::NotFound)?;
                let live = account.live.map(|(_, rev)| rev);
                let older = live.is_some_and(|live| head.rev <= live);
                if *rev != head.rev || live != *expect || (older && !accept_older) {
                    return Err(ErrorKind::Conflict);
                }
                if let Some((_, rev, records)) = self.staging.remove(repo) {
                    let same = account.states.get(&rev) == Some(&records) && live == Some(rev);
                    if let Some((left, _)) = account.live.filter(|_| older && !same) {
                        let horizon = account.horizon.take();
                        let mut states = std::mem::take(&mut account.states);
                        states.retain(|rev, _| horizon.is_none_or(|horizon| *rev >= horizon));
                        account.left.push((left, states));
                    }
                    account.live = Some((*repo, rev));
                    account.touch(records.keys(), rev);
                    account.states.insert(rev, records);
                }
                Ok(())
            }
            Unit::ApplyCommit { did, expect, head, changes, .. } => {
                let account = self.owners.get_mut(did).ok_or(ErrorKind::NotFound)?;
                let Some((repo, rev)) = account.live else { return Err(ErrorKind::Conflict) };
                if rev != *expect || head.rev <= rev {
                    return Err(ErrorKind::Conflict);
                }
                let mut state = account.states[&rev].clone();
                for Change { key, old, new } in changes {
                    let stored = match new {
                        Some(new) => state.insert(key.clone(), new.cid),
                        None => state.remove(key),
                    };
                    if stored != *old || (stored.is_none() && new.is_none()) {
                        return Err(ErrorKind::Conflict);
                    }
                }
                account.live = Some((repo, head.rev));
                account.touch(changes.iter().map(|c| &c.key), head.rev);
                account.states.insert(head.rev, state);
                Ok(())
            }
            Unit::Prune { did, before: Some(before), .. } => {
                let account = self.owners.get_mut(did).ok_or(ErrorKind::NotFound)?;
                if account.live.is_none_or(|(_, live)| *before > live) {
                    return Err(ErrorKind::Conflict);
                }
                account.horizon = account.horizon.max(Some(*before));
                Ok(())
            }
            Unit::DropRepo { repo, .. } => {
                self.staging.remove(repo);
                Ok(())
            }
            other => panic!("the model does not know {other:?}"),
        }
    }

    pub(super) fn live(&self, did: &Did) -> Option<(RepoId, Tid)> {
        self.owners.get(did).and_then(|o| o.live)
    }

    pub(super) fn state(&self, did: &Did, rev: Tid) -> Records {
        self.owners[did].states[&rev].clone()
    }

    /// Everything of an account goes.
    pub(super) fn purge(&mut self, did: &Did) {
        self.owners.remove(did);
        self.staging.retain(|_, (owner, ..)| owner != did);
    }

    /// The index of lexicons by its definition: counted from the states, not kept.
    pub(super) fn lexicons(&self, did: &Did) -> Vec<LexiconRow> {
        let Some(owner) = self.owners.get(did) else { return Vec::new() };
        let has =
            |state: &Records, name: &str| state.keys().filter(|k| k.collection() == name).count() as u64;
        let row = |(name, last): (&String, &Tid)| {
            let records = owner.states.values().last().map_or(0, |now| has(now, name));
            let first = owner.states.iter().find(|(_, state)| has(state, name) > 0).map(|(rev, _)| *rev);
            let (repos, first) = (u64::from(records > 0), first.unwrap_or(*last));
            LexiconRow { collection: name.clone(), repos, records, first, last: *last }
        };
        owner.touched.iter().map(row).collect()
    }

    pub(super) fn revs(&self, did: &Did) -> Vec<Tid> {
        self.owners
            .get(did)
            .map(|o| o.states.keys().copied().filter(|rev| o.horizon.is_none_or(|h| *rev >= h)).collect())
            .unwrap_or_default()
    }

    /// Lines that were left, by the repo that was live then.
    pub(super) fn left(&self, did: &Did) -> Vec<(RepoId, BTreeMap<Tid, Records>)> {
        self.owners.get(did).map(|o| o.left.clone()).unwrap_or_default()
    }

    pub(super) fn staging(&self) -> Vec<(RepoId, Did, Tid, Records)> {
        self.staging
            .iter()
            .map(|(id, (did, rev, records))| (*id, did.clone(), *rev, records.clone()))
            .collect()
    }

    /// What the role of a live repo is in these sequences.
    pub(super) const ROLE: Role = Role::Archived;
}
