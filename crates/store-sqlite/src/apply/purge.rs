//! Purging an account: hide it, delete it 1,000 rows at a time, remember what to search for.

use p2pds_store::{Applied, CHUNK_ROWS, RepoId, StoreError};
use p2pds_syntax::Did;
use rusqlite::{OptionalExtension, params};

use super::hosting::{PURGED_BY_ACCOUNT, PURGED_BY_DID};
use super::{Apply, Needles};
use crate::codes::len;
use crate::fault::Outcome;

/// Rows of an account or DID beside its repos: table and how to recognise them.
const BY_ACCOUNT: &[(&str, &str)] = &[
    ("commit_log", "account = ?1 AND rev IN (SELECT rev FROM commit_log WHERE account = ?1 LIMIT ?2)"),
    ("blob", "account = ?1 AND cid IN (SELECT cid FROM blob WHERE account = ?1 LIMIT ?2)"),
    (
        "blob_ref",
        "repo = -?1 AND (cid, coll, rkey) IN (SELECT cid, coll, rkey FROM blob_ref WHERE repo = -?1 LIMIT ?2)",
    ),
    ("collection", "account = ?1 AND id IN (SELECT id FROM collection WHERE account = ?1 LIMIT ?2)"),
    ("signing_key", "account = ?1 AND id IN (SELECT id FROM signing_key WHERE account = ?1 LIMIT ?2)"),
];
const BY_DID: &[(&str, &str)] = &[
    ("plc_op", "did = ?1 AND idx IN (SELECT idx FROM plc_op WHERE did = ?1 LIMIT ?2)"),
    ("plc", "did = ?1 AND ?2 > 0"),
    ("identity", "did = ?1 AND ?2 > 0"),
    ("evidence", "id IN (SELECT id FROM evidence WHERE did = ?1 LIMIT ?2)"),
    (
        "finding",
        "did = ?1 AND (kind, subject) IN (SELECT kind, subject FROM finding WHERE did = ?1 LIMIT ?2)",
    ),
    ("worker", "did = ?1 AND ?2 > 0"),
    ("alert", "id IN (SELECT id FROM alert WHERE did = ?1 LIMIT ?2)"),
    ("sample", "did = ?1 AND at IN (SELECT at FROM sample WHERE did = ?1 LIMIT ?2)"),
];

impl Apply {
    pub(super) fn purge_begin(&mut self, did: &Did, basis: &str, at: i64) -> Outcome<()> {
        let hidden = self
            .conn
            .prepare_cached("UPDATE account SET purging = 1, hosted = 0 WHERE did = ?1 AND purging = 0")?
            .execute([did.as_str()])?;
        self.forget();
        // Who is being deleted cannot log in any more.
        self.conn
            .prepare_cached(
                "DELETE FROM login WHERE account = (SELECT id FROM account WHERE did = ?1 AND purging = 1)",
            )?
            .execute([did.as_str()])?;
        if hidden == 0 {
            // Asked for again: fine while it runs.
            return self.purge_id(did).map(|_| ());
        }
        self.conn
            .prepare_cached("INSERT INTO purge (did, basis, began_at, rows) VALUES (?1, ?2, ?3, 0)")?
            .execute(params![did.as_str(), basis, at])?;
        Ok(())
    }

    /// The number of the purge of `did` that is under way.
    fn purge_id(&self, did: &Did) -> Outcome<i64> {
        self.conn
            .prepare_cached(
                "SELECT id FROM purge WHERE did = ?1 AND ended_at IS NULL ORDER BY id DESC LIMIT 1",
            )?
            .query_row([did.as_str()], |r| r.get(0))
            .optional()?
            .ok_or_else(|| StoreError::UnknownAccount(did.clone()).into())
    }

    pub(super) fn purge_chunk(&mut self, did: &Did) -> Outcome<Applied> {
        let purge = self.purge_id(did)?;
        let account: Option<i64> = self
            .conn
            .prepare_cached("SELECT id FROM account WHERE did = ?1 AND purging = 1")?
            .query_row([did.as_str()], |r| r.get(0))
            .optional()?;
        let Some(account) = account else { return Ok(Applied::Chunk { rows: 0, done: true }) };
        let mut left = CHUNK_ROWS;
        let repos: Vec<i64> = self
            .conn
            .prepare_cached("SELECT id FROM repo WHERE account = ?1")?
            .query_map([account], |r| r.get(0))?
            .collect::<Result<_, _>>()?;
        for repo in repos {
            left = left.saturating_sub(self.purge_records(purge, "record", "repo", repo, left)?);
            left = left.saturating_sub(self.drop_rest(RepoId(repo), left)?);
            if left > 0 {
                self.conn.prepare_cached("DELETE FROM repo WHERE id = ?1")?.execute([repo])?;
            }
        }
        for owner in self.past_owners_of(account)? {
            left = left.saturating_sub(self.purge_records(purge, "past", "account", owner, left)?);
        }
        for (table, which) in BY_ACCOUNT.iter().chain(PURGED_BY_ACCOUNT) {
            let sql = format!("DELETE FROM {table} WHERE {which}");
            let gone = self.conn.prepare_cached(&sql)?.execute(params![account, len(left)])?;
            left = left.saturating_sub(gone);
        }
        // Large frames end a step before its rows do.
        let (gone, erased) = self.erase_events(did, left)?;
        left = left.saturating_sub(gone);
        for (table, which) in BY_DID.iter().chain(PURGED_BY_DID) {
            let sql = format!("DELETE FROM {table} WHERE {which}");
            let gone = self.conn.prepare_cached(&sql)?.execute(params![did.as_str(), len(left)])?;
            left = left.saturating_sub(gone);
        }
        left = left.saturating_sub(self.forget_invite_uses(did, left)?);
        left = left.saturating_sub(self.blank_audit(did, left)?);
        left = left.saturating_sub(self.blank_reports(did, left)?);
        let done = left > 0 && erased;
        if done {
            self.conn.prepare_cached("DELETE FROM account WHERE id = ?1")?.execute([account])?;
            self.forget();
        }
        let rows = CHUNK_ROWS.saturating_sub(left);
        self.conn
            .prepare_cached("UPDATE purge SET rows = rows + ?2 WHERE id = ?1")?
            .execute(params![purge, len(rows)])?;
        Ok(Applied::Chunk { rows: rows as u64, done })
    }

    /// Deletes up to `most` rows of `record` or `past` after noting what to search for.
    fn purge_records(&self, purge: i64, table: &str, owner: &str, id: i64, most: usize) -> Outcome<usize> {
        if most == 0 {
            return Ok(0);
        }
        let until = if table == "past" { ", until" } else { "" };
        let sql = format!(
            "DELETE FROM {table} WHERE {owner} = ?1 AND (coll, rkey{until}) IN
               (SELECT coll, rkey{until} FROM {table} WHERE {owner} = ?1 ORDER BY coll, rkey{until} LIMIT ?2)
             RETURNING cid, body"
        );
        let mut delete = self.conn.prepare_cached(&sql)?;
        let mut rows = delete.query(params![id, len(most)])?;
        let (mut gone, mut list) = (0_usize, Vec::new());
        while let Some(row) = rows.next()? {
            let cid = row.get_ref(0)?.as_blob().map_err(|e| StoreError::Damaged(e.to_string()))?;
            let body = row.get_ref(1)?.as_blob_or_null().map_err(|e| StoreError::Damaged(e.to_string()))?;
            Needles::of_row(cid, body, &mut list);
            gone = gone.saturating_add(1);
        }
        // Before the deletion can become durable; twice does no harm.
        Needles::of(&self.dir, purge).append(&list)?;
        Ok(gone)
    }

    pub(super) fn purge_end(&mut self, did: &Did, at: i64, report: &str) -> Outcome<()> {
        let purge = self.purge_id(did)?;
        self.conn
            .prepare_cached("UPDATE purge SET ended_at = ?2, report = ?3 WHERE id = ?1")?
            .execute(params![purge, at, report])?;
        // Only once this is durable: without them the search could not be repeated.
        self.spent.push(Needles::of(&self.dir, purge));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Tables that name an account and are not emptied by the lists: what empties them, or why they stay.
    const OTHERWISE: &[(&str, &str)] = &[
        ("account", "goes with the last chunk"),
        ("repo", "goes when its rows are gone"),
        ("past", "by its lines of history"),
        ("event", "but for the word that the account is gone"),
        ("purge", "outlives the data"),
        ("audit", "its words are blanked"),
        ("invite_use", "by who used it"),
        ("owner", "whose node it is stays, whatever becomes of his archived account"),
        ("web_session", "how the owner is signed in to his node, likewise"),
    ];

    /// Whoever adds a table says here what becomes of its rows when an account goes.
    #[test]
    fn every_table_that_names_an_account_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let conn = crate::open::writer(dir.path(), &crate::Options::default()).unwrap();
        let mut select = conn
            .prepare(
                "SELECT DISTINCT t.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'
                   AND (c.name IN ('account', 'did', 'creator', 'owner', 'subject', 'used_by', 'for_account')
                     OR c.name LIKE '%\\_did' ESCAPE '\\')",
            )
            .unwrap();
        let naming: BTreeSet<String> =
            select.query_map([], |r| r.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        let lists = [BY_ACCOUNT, BY_DID, PURGED_BY_ACCOUNT, PURGED_BY_DID].concat();
        let known: BTreeSet<&str> = lists.iter().chain(OTHERWISE).map(|(table, _)| *table).collect();
        let forgotten: Vec<_> = naming.iter().filter(|table| !known.contains(table.as_str())).collect();
        assert!(forgotten.is_empty(), "nothing deletes the rows of an account in {forgotten:?}");
        assert!(naming.len() > 20, "{naming:?}");
    }
}
