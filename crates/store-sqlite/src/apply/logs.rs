//! Logs and small rows: PLC, identity, evidence, findings, workers, settings.

use p2pds_store::{Evidence, Finding, IdentityRow, PlcRow, WorkerRow};
use p2pds_syntax::Did;
use rusqlite::{OptionalExtension, params};

use super::{Apply, mismatch};
use crate::codes::{int, len};
use crate::fault::Outcome;

impl Apply {
    pub(super) fn put_plc_log(&mut self, did: &Did, ops: &[PlcRow], fetched_at: i64) -> Outcome<()> {
        let stored: i64 = self
            .conn
            .prepare_cached("SELECT ops FROM plc WHERE did = ?1")?
            .query_row([did.as_str()], |r| r.get(0))
            .optional()?
            .unwrap_or(0);
        if len(ops.len()) < stored {
            let what = format!("a PLC log of {} operations would replace one of {stored}", ops.len());
            return Err(mismatch(did, what));
        }
        let mut put =
            self.conn.prepare_cached("INSERT OR REPLACE INTO plc_op VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        for (idx, op) in (0_i64..).zip(ops) {
            put.execute(params![did.as_str(), idx, op.operation, op.cid, op.nullified, op.created_at])?;
        }
        self.conn.prepare_cached("INSERT OR REPLACE INTO plc VALUES (?1, ?2, ?3)")?.execute(params![
            did.as_str(),
            len(ops.len()),
            fetched_at
        ])?;
        Ok(())
    }

    pub(super) fn put_identity(&mut self, row: &IdentityRow) -> Outcome<()> {
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO identity VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![row.did.as_str(), row.doc, row.handle, row.fetched_at])?;
        Ok(())
    }

    pub(super) fn add_evidence(&mut self, row: &Evidence) -> Outcome<()> {
        self.conn
            .prepare_cached("INSERT INTO evidence (did, at, kind, detail, data) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![row.did.as_str(), row.at, row.kind, row.detail, row.data])?;
        Ok(())
    }

    pub(super) fn repeat_evidence(&mut self, did: &Did, id: i64, at: i64) -> Outcome<()> {
        self.conn
            .prepare_cached("UPDATE evidence SET times = times + 1, last_at = ?3 WHERE id = ?2 AND did = ?1")?
            .execute(params![did.as_str(), id, at])?;
        Ok(())
    }

    pub(super) fn put_finding(&mut self, row: &Finding) -> Outcome<()> {
        self.conn
            .prepare_cached(
                "INSERT INTO finding VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (did, kind, subject) DO UPDATE SET detail = ?4, last_at = ?6",
            )?
            .execute(params![
                row.did.as_str(),
                row.kind,
                row.subject,
                row.detail,
                row.first_at,
                row.last_at
            ])?;
        Ok(())
    }

    pub(super) fn resolve_findings(&mut self, did: &Did, kind: &str, subject: Option<&str>) -> Outcome<()> {
        self.conn
            .prepare_cached(
                "DELETE FROM finding WHERE did = ?1 AND kind = ?2 AND (?3 IS NULL OR subject = ?3)",
            )?
            .execute(params![did.as_str(), kind, subject])?;
        Ok(())
    }

    pub(super) fn put_worker(&mut self, w: &WorkerRow) -> Outcome<()> {
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO worker VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
            .execute(params![
                w.name,
                w.did.as_ref().map(Did::as_str),
                w.state,
                int(w.done),
                int(w.total),
                w.notes,
                w.last_error,
                w.next_run,
                w.updated_at
            ])?;
        Ok(())
    }

    pub(super) fn drop_worker(&mut self, name: &str) -> Outcome<()> {
        self.conn.prepare_cached("DELETE FROM worker WHERE name = ?1")?.execute([name])?;
        Ok(())
    }

    pub(super) fn put_setting(&mut self, name: &str, value: Option<&str>) -> Outcome<()> {
        match value {
            Some(value) => self
                .conn
                .prepare_cached("INSERT OR REPLACE INTO setting VALUES (?1, ?2)")?
                .execute(params![name, value])?,
            None => self.conn.prepare_cached("DELETE FROM setting WHERE name = ?1")?.execute([name])?,
        };
        Ok(())
    }
}
