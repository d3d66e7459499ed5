//! Random sequences of units on the store and on the model; now and then everything is compared.

use p2pds_ipld::Cid;
use p2pds_syntax::{Did, Tid};

use super::model::Model;
use super::{Dice, Factory, Rig, body, did, head, key, rev, tree};
use crate::view::{self, block_on};
use crate::{
    Account, Applied, BucketRow, BucketUpdate, Change, Kind, Origin, RepoId, StagedRow, Unit, Version,
};

pub(super) fn run(factory: Factory<'_>, seeds: u64, steps: usize) {
    for seed in 0..seeds {
        let mut run = Run {
            rig: Rig::new(factory),
            model: Model::default(),
            dice: Dice(seed.wrapping_mul(0x9e37_79b9)),
            replaced: Vec::new(),
            seed,
        };
        for step in 0..steps {
            run.step();
            if step == steps / 2 {
                run.purge(&did(0));
            }
            if step % 15 == 14 {
                run.compare();
            }
        }
        run.fold();
        run.compare();
    }
}

struct Run {
    rig: Rig,
    model: Model,
    dice: Dice,
    replaced: Vec<(Did, RepoId)>,
    seed: u64,
}

impl Run {
    fn path(&mut self) -> String {
        let collection = ["t.a.b", "t.a.b.c", "t.a"][usize::try_from(self.dice.below(3)).unwrap()];
        format!("{collection}/{:03}", self.dice.below(200))
    }

    fn version(&mut self) -> Version {
        let text = format!("text {}", self.dice.below(40));
        Version { cid: Cid::of_cbor(&body(&text)), body: Some(body(&text)), blobs: vec![] }
    }

    fn rev(&mut self) -> Tid {
        rev(self.dice.below(500))
    }

    fn step(&mut self) {
        let who = did(u8::try_from(self.dice.below(3)).unwrap());
        let unit = match self.dice.below(10) {
            0 => Unit::AddAccount(Box::new(Account::new(who, Origin::Network, 1))),
            1 => Unit::BeginStaging { did: who, kind: Kind::Mst, rev: self.rev() },
            2 | 3 => match self.pick_staging() {
                Some((repo, owner, ..)) => {
                    let mut rows: Vec<StagedRow> = (0..self.dice.below(60))
                        .map(|_| {
                            let (path, v) = (self.path(), self.version());
                            StagedRow { key: key(&path), cid: v.cid, body: v.body, blobs: vec![] }
                        })
                        .collect();
                    rows.sort_by(|a, b| a.key.cmp(&b.key));
                    rows.dedup_by(|a, b| a.key == b.key);
                    Unit::StageRecords { did: owner, repo, rows }
                }
                None => return,
            },
            4 => match self.pick_staging() {
                Some((repo, owner, at, records)) => {
                    let (root, buckets) = tree(records.iter());
                    let rows = buckets.into_iter().map(|b| BucketRow::new(b, at)).collect();
                    self.apply(Unit::StageBuckets { did: owner.clone(), repo, rows });
                    let live = self.model.live(&owner).map(|(_, rev)| rev);
                    let expect = if self.dice.below(5) == 0 { Some(self.rev()) } else { live };
                    let head = Box::new(head(&owner, at, root));
                    let accept_older = self.dice.below(4) == 0;
                    if accept_older {
                        // Lines part where everything before is history already.
                        self.fold();
                    }
                    Unit::Flip { did: owner, repo, expect, head, role: Model::ROLE, accept_older, at: 0 }
                }
                None => return,
            },
            5 if self.dice.below(4) == 0 => self.prune(who),
            5 => {
                self.fold();
                return;
            }
            _ => self.commit(who),
        };
        self.apply(unit);
    }

    fn prune(&mut self, who: Did) -> Unit {
        let revs = self.model.revs(&who);
        let at = usize::try_from(self.dice.below(1 + revs.len() as u64)).unwrap();
        let before = Some(revs.get(at).copied().unwrap_or_else(|| self.rev()));
        let line = block_on(self.rig.store.live_repo(&who)).unwrap().map_or(0, |repo| repo.line);
        Unit::Prune { did: who, line, before }
    }

    fn pick_staging(
        &mut self,
    ) -> Option<(RepoId, Did, Tid, std::collections::BTreeMap<p2pds_syntax::RecordPath, Cid>)> {
        let staging = self.model.staging();
        if staging.is_empty() {
            return None;
        }
        let at = usize::try_from(self.dice.below(staging.len() as u64)).unwrap();
        staging.into_iter().nth(at)
    }

    fn commit(&mut self, who: Did) -> Unit {
        let live = self.model.live(&who).map_or(rev(0), |(_, rev)| rev);
        let mut state = self.model.live(&who).map(|(_, at)| self.model.state(&who, at)).unwrap_or_default();
        let mut changes: Vec<Change> = Vec::new();
        for _ in 0..=self.dice.below(8) {
            let path = key(&self.path());
            if changes.iter().any(|c| c.key == path) {
                continue;
            }
            let mut old = state.get(&path).copied();
            let new = (old.is_none() || self.dice.below(3) > 0).then(|| self.version());
            if self.dice.below(60) == 0 {
                old = Some(Cid::of_cbor(b"wrong"));
            }
            match &new {
                Some(new) => state.insert(path.clone(), new.cid),
                None => state.remove(&path),
            };
            changes.push(Change { key: path, old, new });
        }
        let to = Tid::from_u64(live.as_u64() + (self.dice.below(12) << 10)).unwrap();
        let (root, _) = tree(state.iter());
        let expect = if self.dice.below(15) == 0 { self.rev() } else { live };
        let head = Box::new(head(&who, to, root));
        Unit::ApplyCommit {
            did: who,
            expect,
            head,
            changes,
            buckets: BucketUpdate::MarkDirty,
            seen: crate::Seen::default(),
        }
    }

    fn apply(&mut self, unit: Unit) {
        let answer = self.rig.apply(unit.clone());
        let wanted = self.model.apply(&unit, answer.as_ref().ok());
        let got = answer.as_ref().map(|_| ()).map_err(crate::StoreError::kind);
        assert_eq!(got, wanted, "seed {}: {unit:?} answered {answer:?}", self.seed);
        if let (Unit::Flip { did, .. }, Ok(Applied::Flipped { replaced: Some(old) })) = (&unit, &answer) {
            self.replaced.push((did.clone(), *old));
        }
    }

    /// Purges an account, if it is there; it may come back later.
    fn purge(&mut self, who: &Did) {
        if block_on(self.rig.store.account(who)).unwrap().is_none() {
            return;
        }
        block_on(view::purge(&*self.rig.store, who, "by chance", 1)).unwrap();
        self.model.purge(who);
        self.replaced.retain(|(owner, _)| owner != who);
        self.compare();
    }

    /// Folds what flips replaced, so that the whole history can be compared.
    fn fold(&mut self) {
        for (who, repo) in std::mem::take(&mut self.replaced) {
            block_on(view::drop_repo(&*self.rig.store, &who, repo)).unwrap();
        }
    }

    fn compare(&mut self) {
        super::lexicons::compare(&self.rig, &self.model, self.seed);
        for who in (0..3).map(did) {
            let live = block_on(self.rig.store.live_repo(&who)).unwrap();
            let found = live.as_ref().map(|repo| (repo.id, repo.rev));
            assert_eq!(found, self.model.live(&who), "seed {}", self.seed);
            let Some(repo) = live else { continue };
            let state = self.model.state(&who, repo.rev);
            assert_eq!(repo.records, state.len() as u64, "seed {}", self.seed);
            assert_eq!(self.rig.state(repo.id, None), state, "seed {}", self.seed);
            let spine = block_on(view::load_spine(&*self.rig.store, &repo)).unwrap();
            assert_eq!(spine.root(), tree(state.iter()).0, "seed {}", self.seed);
            if self.replaced.is_empty() {
                for (left, states) in self.model.left(&who) {
                    for (at, state) in states {
                        let got = self.rig.state(left, Some(at));
                        assert_eq!(got, state, "seed {}: a line that was left, at {at}", self.seed);
                    }
                }
                for at in self.model.revs(&who) {
                    let got = self.rig.state(repo.id, Some(at));
                    assert_eq!(got, self.model.state(&who, at), "seed {}: state at {at}", self.seed);
                }
            }
        }
    }
}
