//! Alerts and samples.

use p2pds_store::{AlertRow, SampleRow};
use p2pds_syntax::Did;
use rusqlite::params;

use super::Apply;
use crate::codes::int;
use crate::fault::Outcome;

impl Apply {
    pub(super) fn put_alert(&mut self, a: &AlertRow) -> Outcome<()> {
        // 1 and 2: the fault and its recovery, to the webhook; 4 and 8: the same, by mail.
        let told = i64::from(a.told)
            | (i64::from(a.told_recovery) << 1)
            | (i64::from(a.mailed) << 2)
            | (i64::from(a.mailed_recovery) << 3);
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO alert VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute(params![
                a.id,
                a.did.as_ref().map(Did::as_str),
                a.kind,
                a.subject,
                a.detail,
                a.opened_at,
                a.closed_at,
                told
            ])?;
        Ok(())
    }

    pub(super) fn forget_alerts(&mut self, before: i64) -> Outcome<()> {
        let sql = "DELETE FROM alert WHERE closed_at < ?1";
        self.conn.prepare_cached(sql)?.execute([before])?;
        Ok(())
    }

    pub(super) fn put_samples(&mut self, rows: &[SampleRow], keep_from: i64) -> Outcome<()> {
        let mut put =
            self.conn.prepare_cached("INSERT OR REPLACE INTO sample VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        let mut drop = self.conn.prepare_cached("DELETE FROM sample WHERE did = ?1 AND at < ?2")?;
        for row in rows {
            let did = row.did.as_ref().map_or("", Did::as_str);
            put.execute(params![
                did,
                row.at,
                int(row.record_bytes),
                int(row.blob_bytes),
                int(row.db_bytes),
                int(row.disk_free)
            ])?;
            drop.execute(params![did, keep_from])?;
        }
        Ok(())
    }
}
