//! What each unit does to the tables. One file per family of units; this one dispatches, keeps
//! the savepoints and the small caches.

mod account;
mod blobs;
mod buckets;
mod commit;
mod drop;
mod events;
mod hosting;
mod lexicon;
mod logs;
mod needles;
mod open_repo;
mod prune;
mod purge;
mod staging;
mod watch;

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use p2pds_store::events::Tail;
use p2pds_store::{Applied, CHUNK_ROWS, StoreError, Unit};
use p2pds_syntax::Did;
use rusqlite::{Connection, OptionalExtension, params};

use crate::fault::{Fault, Outcome};
use crate::prepare::Prepared;
use staging::Flip;

pub(crate) use needles::{Needles, WINDOW, windows};

/// The writer's hands: its connection and what it remembers between units.
pub(crate) struct Apply {
    pub(crate) conn: Rc<Connection>,
    dir: PathBuf,
    /// Needles of purges that end with the group in hand.
    spent: Vec<Needles>,
    accounts: HashMap<Did, i64>,
    collections: HashMap<(i64, String), i64>,
    keys: HashMap<(i64, String), i64>,
    tail: Arc<Tail>,
    events: events::Ledger,
}

/// The caches are emptied when they pass this many entries.
const MOST_CACHED: usize = 16_384;

impl Apply {
    pub(crate) fn new(conn: Connection, dir: PathBuf, tail: Arc<Tail>) -> Self {
        Self {
            conn: Rc::new(conn),
            dir,
            spent: Vec::new(),
            accounts: HashMap::new(),
            collections: HashMap::new(),
            keys: HashMap::new(),
            tail,
            events: events::Ledger::default(),
        }
    }

    /// Begins a group.
    pub(crate) fn begin(&mut self) -> Outcome<()> {
        self.run("BEGIN IMMEDIATE")
    }

    /// Ends a group durably.
    pub(crate) fn commit(&mut self) -> Outcome<()> {
        self.settle_events()?;
        self.run("COMMIT")?;
        self.publish_events();
        self.spent.drain(..).for_each(|needles| needles.remove());
        Ok(())
    }

    /// Gives a group up.
    pub(crate) fn rollback(&mut self) {
        self.forget();
        self.events.clear();
        self.spent.clear();
        if !self.conn.is_autocommit() {
            let _ = self.run("ROLLBACK");
        }
    }

    /// Empties the caches; whatever was interned may be gone after a rollback.
    pub(crate) fn forget(&mut self) {
        self.accounts.clear();
        self.collections.clear();
        self.keys.clear();
    }

    /// Applies one unit under a savepoint: it happens whole or not at all.
    pub(crate) fn unit(&mut self, unit: &Prepared) -> Outcome<Applied> {
        self.run("SAVEPOINT unit")?;
        let mark = self.events.mark();
        match self.dispatch(unit) {
            Ok(applied) => {
                self.run("RELEASE unit")?;
                Ok(applied)
            }
            Err(fault) => {
                self.forget();
                self.events.rewind(mark);
                if !self.conn.is_autocommit() {
                    self.run("ROLLBACK TO unit")?;
                    self.run("RELEASE unit")?;
                }
                Err(fault)
            }
        }
    }

    fn run(&self, sql: &str) -> Outcome<()> {
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    fn dispatch(&mut self, unit: &Prepared) -> Outcome<Applied> {
        let done = |()| Applied::Done;
        match unit {
            Prepared::Stage { did, repo, rows } => self.stage_records(did, *repo, rows).map(done),
            Prepared::Commit(commit) => self.apply_commit(commit).map(done),
            Prepared::Repair { did, repo, key, packed } => self.repair(did, *repo, key, packed).map(done),
            Prepared::Batch { units, .. } => {
                units.iter().map(|unit| self.dispatch(unit)).collect::<Outcome<_>>().map(Applied::Batch)
            }
            Prepared::Plain(unit) => self.plain(unit),
        }
    }

    fn plain(&mut self, unit: &Unit) -> Outcome<Applied> {
        let done = |()| Applied::Done;
        match unit {
            Unit::AddAccount(account) => self.add_account(account).map(done),
            Unit::PatchAccount { did, patch } => self.patch_account(did, patch).map(done),
            Unit::BeginStaging { did, kind, rev } => {
                self.begin_staging(did, *kind, *rev).map(Applied::Staging)
            }
            Unit::StageBuckets { did, repo, rows } => self.stage_buckets(did, *repo, rows).map(done),
            Unit::Flip { did, repo, expect, head, role, accept_older, at } => self
                .flip(did, *repo, *expect, head, Flip { role: *role, accept_older: *accept_older, at: *at })
                .map(|replaced| Applied::Flipped { replaced }),
            Unit::PutBuckets { did, repo, rev, changes } => {
                self.put_buckets(did, *repo, *rev, changes).map(done)
            }
            Unit::DropRepo { did, repo } => self.drop_repo(did, *repo),
            Unit::Prune { did, line, before } => self.prune(did, *line, *before),
            Unit::PutBlob { did, cid, size, mime, state } => {
                self.put_blob(did, cid, (*size, mime.as_deref()), state).map(done)
            }
            Unit::DropBlob { did, cid } => self.drop_blob(did, cid).map(done),
            Unit::PutPlcLog { did, ops, fetched_at } => self.put_plc_log(did, ops, *fetched_at).map(done),
            Unit::PutIdentity(row) => self.put_identity(row).map(done),
            Unit::AddEvidence(row) => self.add_evidence(row).map(done),
            Unit::RepeatEvidence { did, id, at } => self.repeat_evidence(did, *id, *at).map(done),
            Unit::PutFinding(row) => self.put_finding(row).map(done),
            Unit::ResolveFindings { did, kind, subject } => {
                self.resolve_findings(did, kind, subject.as_deref()).map(done)
            }
            Unit::PutAlert(row) => self.put_alert(row).map(done),
            Unit::ForgetAlerts { before } => self.forget_alerts(*before).map(done),
            Unit::PutSamples { rows, keep_from } => self.put_samples(rows, *keep_from).map(done),
            Unit::PutWorker(row) => self.put_worker(row).map(done),
            Unit::DropWorker { name } => self.drop_worker(name).map(done),
            Unit::PutSetting { name, value } => self.put_setting(name, value.as_deref()).map(done),
            Unit::PurgeBegin { did, basis, at } => self.purge_begin(did, basis, *at).map(done),
            Unit::PurgeChunk { did } => self.purge_chunk(did),
            Unit::PurgeEnd { did, at, report } => self.purge_end(did, *at, report).map(done),
            Unit::Emit(event) => self.emit(event),
            Unit::JumpSeq(jump) => self.jump_seq(*jump),
            Unit::PruneEvents { before_at, keep_count, max_bytes } => {
                self.prune_events(*before_at, *keep_count, *max_bytes)
            }
            Unit::EraseEvents { did } => self
                .erase_events(did, CHUNK_ROWS)
                .map(|(rows, done)| Applied::Chunk { rows: rows as u64, done }),
            Unit::OpenRepo { did, head, role, at } => {
                self.open_repo(did, head, *role, *at).map(Applied::Opened)
            }
            Unit::SetRole { did, role } => self.set_role(did, *role).map(done),
            Unit::PutLogin(login) => self.put_login(login).map(done),
            Unit::PatchLogin { did, patch } => self.patch_login(did, patch).map(done),
            Unit::DropLogin { did } => self.drop_login(did).map(done),
            Unit::Hosting(unit) => self.hosting(unit),
            // These were turned into their prepared forms before they got here.
            Unit::StageRecords { .. }
            | Unit::ApplyCommit { .. }
            | Unit::RepairRecord { .. }
            | Unit::Batch { .. } => {
                Err(StoreError::Bug("a unit reached the writer unprepared".into()).into())
            }
        }
    }

    /// The id of an account that may be written to.
    fn account_id(&mut self, did: &Did) -> Outcome<i64> {
        if let Some(id) = self.accounts.get(did) {
            return Ok(*id);
        }
        let row: Option<(i64, bool)> = self
            .conn
            .prepare_cached("SELECT id, purging FROM account WHERE did = ?1")?
            .query_row([did.as_str()], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()?;
        match row {
            None => Err(StoreError::UnknownAccount(did.clone()).into()),
            Some((_, true)) => Err(StoreError::Purging(did.clone()).into()),
            Some((id, false)) => {
                if self.accounts.len() >= MOST_CACHED {
                    self.accounts.clear();
                }
                self.accounts.insert(did.clone(), id);
                Ok(id)
            }
        }
    }

    /// The number of a collection, interned on first use.
    fn collection_id(&mut self, account: i64, collection: &str) -> Outcome<i64> {
        let key = (account, collection.to_owned());
        intern(
            &self.conn,
            &mut self.collections,
            key,
            &format!("{collection}/"),
            [
                "SELECT id FROM collection WHERE account = ?1 AND name = ?2",
                "INSERT INTO collection (account, id, name) VALUES (?1,
               (SELECT coalesce(max(id), 0) + 1 FROM collection WHERE account = ?1), ?2) RETURNING id",
            ],
        )
    }

    /// The number of a signing key, interned on first use.
    fn key_id(&mut self, account: i64, did_key: &str) -> Outcome<i64> {
        intern(
            &self.conn,
            &mut self.keys,
            (account, did_key.to_owned()),
            did_key,
            [
                "SELECT id FROM signing_key WHERE account = ?1 AND did_key = ?2",
                "INSERT INTO signing_key (account, id, did_key) VALUES (?1,
               (SELECT coalesce(max(id), 0) + 1 FROM signing_key WHERE account = ?1), ?2) RETURNING id",
            ],
        )
    }
}

/// The number of a name within an account: as known, as stored, or a new one.
fn intern(
    conn: &Connection,
    known: &mut HashMap<(i64, String), i64>,
    key: (i64, String),
    name: &str,
    [find, add]: [&str; 2],
) -> Outcome<i64> {
    if let Some(id) = known.get(&key) {
        return Ok(*id);
    }
    let found = conn.prepare_cached(find)?.query_row(params![key.0, name], |r| r.get(0)).optional()?;
    let id = match found {
        Some(id) => id,
        None => conn.prepare_cached(add)?.query_row(params![key.0, name], |r| r.get(0))?,
    };
    if known.len() >= MOST_CACHED {
        known.clear();
    }
    known.insert(key, id);
    Ok(id)
}

/// A contradiction between a unit and what is stored.
fn mismatch(did: &Did, what: String) -> Fault {
    StoreError::Mismatch { did: did.clone(), what }.into()
}
