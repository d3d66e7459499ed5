//! Reports, and what of them goes with an account.

use p2pds_store::hosting::{AuditRow, ReportClosed, ReportRow, ReportsApplied, ReportsUnit};
use p2pds_syntax::Did;
use rusqlite::{OptionalExtension as _, params};

use crate::apply::Apply;
use crate::codes::{int, len};
use crate::fault::Outcome;
use crate::read::account::did as read_did;

impl Apply {
    pub(in crate::apply) fn reports_unit(&mut self, unit: &ReportsUnit) -> Outcome<ReportsApplied> {
        match unit {
            ReportsUnit::Put { row, most } => self.put_report(row, *most),
            ReportsUnit::Close { id, closed, by } => self.close_report(*id, closed, by),
            ReportsUnit::Forget { before } => {
                self.conn
                    .prepare_cached(
                        "DELETE FROM report WHERE id IN (SELECT id FROM report WHERE closed_at < ?1 LIMIT ?2)",
                    )?
                    .execute(params![before, len(p2pds_store::CHUNK_ROWS)])?;
                Ok(ReportsApplied::Done)
            }
        }
    }

    fn put_report(&mut self, row: &ReportRow, most: u64) -> Outcome<ReportsApplied> {
        if let Some(by) = &row.by {
            // Refuses one that is being deleted: nothing may name it any more.
            self.account_id(by)?;
        }
        let open: i64 = self
            .conn
            .prepare_cached("SELECT count(*) FROM report WHERE closed_at IS NULL")?
            .query_row([], |r| r.get(0))?;
        if open >= int(most) {
            return Ok(ReportsApplied::Full);
        }
        self.conn
            .prepare_cached(
                "INSERT INTO report (at, by_did, contact, did, subject, cid, kind, words, note)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '')",
            )?
            .execute(params![
                row.at,
                row.by.as_ref().map(Did::as_str),
                row.contact,
                row.did.as_ref().map(Did::as_str),
                row.subject,
                row.cid,
                row.kind,
                row.words
            ])?;
        Ok(ReportsApplied::Kept { id: self.conn.last_insert_rowid() })
    }

    fn close_report(&self, id: i64, closed: &ReportClosed, by: &str) -> Outcome<ReportsApplied> {
        let about: Option<Option<String>> = self
            .conn
            .prepare_cached(
                "UPDATE report SET closed_at = ?2, note = ?3 WHERE id = ?1 AND closed_at IS NULL RETURNING did",
            )?
            .query_row(params![id, closed.at, closed.note], |r| r.get(0))
            .optional()?;
        let Some(about) = about else { return Ok(ReportsApplied::NotOpen) };
        // The note stays with the report alone: it may name whoever sent it, and goes with him.
        self.put_audit(&AuditRow {
            id: 0,
            at: closed.at,
            who: by.to_owned(),
            what: "closeReport".to_owned(),
            did: about.as_deref().map(read_did).transpose()?,
            subject: format!("report {id}"),
            detail: String::new(),
        })?;
        Ok(ReportsApplied::Done)
    }

    /// What an account sent stays without it: what it was about, and of which kind.
    pub(in crate::apply) fn blank_reports(&self, did: &Did, most: usize) -> Outcome<usize> {
        let sql = "UPDATE report SET by_did = NULL, contact = '', words = '', note = '' WHERE id IN
                     (SELECT id FROM report WHERE by_did = ?1 LIMIT ?2)";
        Ok(self.conn.prepare_cached(sql)?.execute(params![did.as_str(), len(most)])?)
    }
}
