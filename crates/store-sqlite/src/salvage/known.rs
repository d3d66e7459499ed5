//! Who an unreadable row belonged to, and what can be told of it from elsewhere: from the indexes,
//! which repeat some columns, and from the list of heads.

use std::collections::{BTreeMap, BTreeSet};

use p2pds_ipld::Cid;
use p2pds_syntax::Did;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};

use super::Loss;
use super::copy::{Place, try_read};
use crate::codes::{cid, read_cid, read_tid};
use crate::fault::Outcome;

/// Accounts and repos as far as any page names them.
#[derive(Debug, Default)]
pub(super) struct Known {
    accounts: BTreeMap<i64, String>,
    /// Account of each repo.
    repos: BTreeMap<i64, i64>,
    /// Live repos by account, from the index of them.
    live: BTreeMap<i64, i64>,
    /// Tables in which the check of the structure found something.
    trees: BTreeSet<String>,
}

/// A noted head: rev, root, signature, key, odd commit.
type Noted = (i64, Vec<u8>, Vec<u8>, i64, Option<Vec<u8>>);

/// What the first column of a table's key is.
enum Front {
    Account,
    Repo,
    RepoOrAccount,
    Did,
    Other,
}

fn front(table: &str) -> Front {
    match table {
        "login" | "signing_key" | "collection" | "past" | "commit_log" | "blob" => Front::Account,
        "record" | "bucket" | "lexicon" => Front::Repo,
        "blob_ref" => Front::RepoOrAccount,
        "plc"
        | "plc_op"
        | "identity"
        | "finding"
        | "sample"
        | "session"
        | "refresh"
        | "app_password"
        | "email_token"
        | "factor"
        | "backup_code"
        | "preference"
        | "takedown"
        | "agent_session"
        | "own_key"
        | "oauth_consent"
        | "oauth_device_account" => Front::Did,
        _ => Front::Other,
    }
}

/// Rows of two columns, as many as can be read from both ends.
fn pairs<A: rusqlite::types::FromSql, B: rusqlite::types::FromSql>(
    source: &Connection,
    select: &str,
    order: &str,
) -> Outcome<Vec<(A, B)>> {
    let mut found = Vec::new();
    for direction in ["", "DESC"] {
        let Some(mut rows) = try_read(source.prepare(&format!("{select} ORDER BY {order} {direction}")))?
        else {
            continue;
        };
        let mut rows = rows.query([])?;
        loop {
            match try_read(rows.next())? {
                Some(Some(row)) => match try_read(row.get(0).and_then(|a| Ok((a, row.get(1)?))))? {
                    Some(pair) => found.push(pair),
                    None => break,
                },
                Some(None) => return Ok(found),
                None => break,
            }
        }
    }
    Ok(found)
}

impl Known {
    pub(super) fn read(source: &Connection, target: &Connection, loss: &mut Loss) -> Outcome<Self> {
        let mut known = Self::default();
        known.trees(source, loss)?;
        let index = "SELECT id, did FROM account INDEXED BY sqlite_autoindex_account_1";
        for (select, order) in [("SELECT id, did FROM account NOT INDEXED", "id"), (index, "did")] {
            let found: Vec<(i64, String)> = pairs(source, select, order)?;
            known.accounts.extend(found.into_iter().filter(|(_, did)| Did::parse(did).is_ok()));
        }
        let index = "SELECT id, account FROM repo INDEXED BY repo_by_account";
        for (select, order) in [("SELECT id, account FROM repo NOT INDEXED", "id"), (index, "account")] {
            known.repos.extend(pairs::<i64, i64>(source, select, order)?);
        }
        let index = "SELECT account, id FROM repo INDEXED BY repo_live WHERE role < 2";
        known.live.extend(pairs::<i64, i64>(source, index, "account")?);
        known.repos.extend(known.live.iter().map(|(account, repo)| (*repo, *account)));
        let collections = "SELECT account, id || ' ' || name FROM collection INDEXED BY collection_by_name";
        for (account, text) in pairs::<i64, String>(source, collections, "account, name")? {
            if let Some((id, name)) = text.split_once(' ') {
                target
                    .prepare_cached(
                        "INSERT OR IGNORE INTO collection (account, id, name) VALUES (?1, ?2, ?3)",
                    )?
                    .execute(params![account, id.parse::<i64>().unwrap_or_default(), name])?;
            }
        }
        Ok(known)
    }

    /// What SQLite's own check finds, by table: a damaged page in the middle of a long value does not
    /// keep that from being read.
    fn trees(&mut self, source: &Connection, loss: &mut Loss) -> Outcome<()> {
        let Some(mut check) = try_read(source.prepare("PRAGMA integrity_check(1000)"))? else {
            return Ok(());
        };
        let mut lines = check.query([])?;
        let mut roots = BTreeSet::new();
        while let Some(Some(line)) = try_read(lines.next())? {
            let line: String = line.get(0)?;
            for part in line.lines() {
                let root = part.strip_prefix("Tree ").and_then(|rest| rest.split(' ').next());
                roots.extend(root.and_then(|root| root.parse::<i64>().ok()));
            }
        }
        drop(lines);
        for root in roots {
            let table: Option<String> = source
                .prepare_cached("SELECT tbl_name FROM sqlite_schema WHERE rootpage = ?1 AND type = 'table'")?
                .query_row([root], |r| r.get(0))
                .optional()?;
            // Each is also met while it is copied, but for these: their long values are not proved by a hash.
            if let Some(table) = table {
                if matches!(table.as_str(), "plc_op" | "identity" | "evidence") {
                    loss.gap(&table, Place::Table, "a page of its long values could not be read");
                }
                self.trees.insert(table);
            }
        }
        Ok(())
    }

    /// What the front of a key may be, when the table does not say.
    pub(super) fn candidates(&self, table: &str) -> Vec<Value> {
        let accounts = || self.accounts.keys().map(|id| Value::Integer(*id));
        let repos = || self.repos.keys().map(|id| Value::Integer(*id));
        let dids = || self.accounts.values().map(|did| Value::Text(did.clone()));
        match (table, front(table)) {
            ("account", _) | (_, Front::Account) => accounts().collect(),
            ("repo", _) | (_, Front::Repo) => repos().collect(),
            (_, Front::RepoOrAccount) => {
                repos().chain(self.accounts.keys().map(|id| Value::Integer(id.wrapping_neg()))).collect()
            }
            (_, Front::Did) => dids().collect(),
            (_, Front::Other) => Vec::new(),
        }
    }

    /// The accounts that a loss concerns; the empty name is the node.
    pub(super) fn concerned(&self, target: &Connection, table: &str, place: &Place) -> Outcome<Vec<String>> {
        let account = |id: i64| self.accounts.get(&id).cloned().unwrap_or_default();
        let of_repo = |id: i64| self.repos.get(&id).map_or_else(String::new, |id| account(*id));
        let node = || Ok(vec![String::new()]);
        match (place, front(table)) {
            (Place::Name(did), _) if Did::parse(did).is_ok() => Ok(vec![did.clone()]),
            (Place::Number(id), Front::Account) => Ok(vec![account(*id)]),
            (Place::Number(id), Front::Repo) => Ok(vec![of_repo(*id)]),
            (Place::Number(id), Front::RepoOrAccount) => {
                Ok(vec![if *id < 0 { account(id.wrapping_neg()) } else { of_repo(*id) }])
            }
            (Place::Table, Front::Account | Front::Repo | Front::RepoOrAccount | Front::Did) => {
                Ok(self.accounts.values().cloned().chain([String::new()]).collect())
            }
            (Place::Table, Front::Other) if table == "evidence" => {
                let mut select = target.prepare("SELECT did FROM account")?;
                let all = select.query_map([], |r| r.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
                Ok(all.into_iter().chain([String::new()]).collect())
            }
            _ => node(),
        }
    }

    /// Puts back what the indexes and the list of heads tell, and removes what nothing leads to.
    pub(super) fn restore(&self, source: &Connection, target: &Connection, loss: &mut Loss) -> Outcome<()> {
        let lost = |loss: &Loss, tables: &[&str]| {
            loss.gaps.iter().any(|(table, ..)| tables.contains(&table.as_str()))
        };
        self.accounts_back(target, loss)?;
        if lost(loss, &["repo"]) {
            self.heads_back(target, loss)?;
        }
        if lost(loss, &["repo", "account", "record", "bucket", "blob_ref", "collection"]) {
            orphans(target, loss)?;
        }
        if lost(loss, &["blob", "account"]) {
            target.execute_batch(
                "UPDATE account SET
                   blobs_held = (SELECT count(*) FROM blob WHERE account = account.id AND state = 1),
                   blobs_missing = (SELECT count(*) FROM blob WHERE account = account.id AND state = 0),
                   blob_bytes = (SELECT coalesce(sum(size), 0) FROM blob WHERE account = account.id AND state = 1)",
            )?;
        }
        if lost(loss, &["record", "lexicon"]) && has(target, "lexicon")? {
            target.execute_batch(
                "DELETE FROM lexicon;
                 INSERT INTO lexicon SELECT repo, coll, count(*), min(since), max(since) FROM record GROUP BY repo, coll;",
            )?;
        }
        // A bucket without its prefixes is computed again.
        target.execute_batch(
            "UPDATE bucket SET dirty = 1 WHERE cids IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM bucket_cids c WHERE c.id = (bucket.repo << 32) + bucket.cids);
             UPDATE repo SET next_cids = max(next_cids, coalesce((SELECT max(id) + 1 - (repo.id << 32) FROM bucket_cids
               WHERE id >= repo.id << 32 AND id < (repo.id + 1) << 32), 0));",
        )?;
        let used: Vec<(String, i64)> = pairs(source, "SELECT name, seq FROM sqlite_sequence", "rowid")?;
        for (name, seq) in used {
            target
                .prepare_cached("UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1")?
                .execute(params![name, seq])?;
        }
        Ok(())
    }

    fn accounts_back(&self, target: &Connection, loss: &mut Loss) -> Outcome<()> {
        for (id, did) in &self.accounts {
            let inserted = target
                .prepare_cached(
                    "INSERT OR IGNORE INTO account (id, did, status, origin, verified, serve, added_at, car_bytes,
                       blobs_held, blobs_missing, blob_bytes, paused, purging)
                     VALUES (?1, ?2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
                )?
                .execute(params![id, did])?;
            if inserted > 0 {
                let what = "pauses, limits and whom it is served to are back at their defaults";
                loss.gap("account", Place::Name(did.clone()), what);
            }
        }
        Ok(())
    }

    /// Live repos whose rows are lost, from the newest head that was noted.
    fn heads_back(&self, target: &Connection, loss: &mut Loss) -> Outcome<()> {
        for (account, did) in &self.accounts {
            let there: bool = target
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM repo WHERE account = ?1 AND role < 2)")?
                .query_row([account], |r| r.get(0))?;
            if there {
                continue;
            }
            let newest = target
                .prepare_cached(
                    "SELECT rev, data, sig, key, raw FROM commit_log WHERE account = ?1 ORDER BY rev DESC LIMIT 1",
                )?
                .query_row([account], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))
                .optional()?;
            let Some((rev, data, sig, key, raw)): Option<Noted> = newest else { continue };
            let head = match (&raw, <&[u8; 64]>::try_from(sig.as_slice()), Did::parse(did)) {
                (Some(raw), ..) => Cid::of_cbor(raw),
                (None, Ok(sig), Ok(did)) => {
                    p2pds_store::commit_cid(&did, read_tid(rev)?, &read_cid(&data)?, sig)?
                }
                _ => continue,
            };
            let id = self.live.get(account);
            target
                .prepare_cached(
                    "INSERT INTO repo (id, account, kind, role, rev, data, head, sig, key, raw, records, record_bytes,
                       next_cids) VALUES (?1, ?2, 0, 1, ?3, ?4, ?5, ?6, ?7, ?8,
                       (SELECT count(*) FROM record WHERE repo = ?1), 0, 1)",
                )?
                .execute(params![id, account, rev, data, cid(&head), sig, key, raw])?;
            loss.gap("repo", Place::Name(did.clone()), "it was taken from the list of heads");
        }
        Ok(())
    }
}

fn has(target: &Connection, table: &str) -> Outcome<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?1)";
    Ok(target.query_row(sql, [table], |r| r.get(0))?)
}

/// Rows that no repo or account leads to any more.
fn orphans(target: &Connection, loss: &mut Loss) -> Outcome<()> {
    for (table, of, whose) in [
        ("repo", "account", "account"),
        ("record", "repo", "repo"),
        ("bucket", "repo", "repo"),
        ("lexicon", "repo", "repo"),
        ("past", "account", "account"),
        ("commit_log", "account", "account"),
        ("collection", "account", "account"),
        ("signing_key", "account", "account"),
        ("blob", "account", "account"),
        ("login", "account", "account"),
    ] {
        if !has(target, table)? {
            continue;
        }
        let gone =
            target.execute(&format!("DELETE FROM {table} WHERE {of} NOT IN (SELECT id FROM {whose})"), [])?;
        if gone > 0 {
            loss.gap(table, Place::Table, "rows were left out because what they belonged to is lost");
        }
    }
    target.execute_batch(
        "DELETE FROM bucket_cids WHERE id >> 32 NOT IN (SELECT id FROM repo);
         DELETE FROM blob_ref WHERE repo > 0 AND repo NOT IN (SELECT id FROM repo);
         DELETE FROM blob_ref WHERE repo < 0 AND -repo NOT IN (SELECT id FROM account);",
    )?;
    Ok(())
}
