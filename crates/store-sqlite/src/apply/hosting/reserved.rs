//! Promised signing keys.

use p2pds_store::hosting::ReservedUnit;
use p2pds_syntax::Did;
use rusqlite::params;

use crate::apply::Apply;
use crate::fault::Outcome;

impl Apply {
    pub(in crate::apply) fn reserved(&mut self, unit: &ReservedUnit) -> Outcome<()> {
        match unit {
            ReservedUnit::Put { row, most } => {
                let most = i64::try_from(*most).unwrap_or(i64::MAX);
                self.conn
                    .prepare_cached(
                        "INSERT INTO reserved_key SELECT ?1, ?2, ?3, ?4
                         WHERE (SELECT count(*) FROM reserved_key) < ?5 ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![
                        row.did_key,
                        row.did.as_ref().map(Did::as_str),
                        row.signing_key,
                        row.created_at,
                        most
                    ])?;
            }
            ReservedUnit::Take { did, did_key } => {
                self.conn
                    .prepare_cached(
                        "DELETE FROM reserved_key WHERE did_key = ?1 AND (did IS NULL OR did = ?2)",
                    )?
                    .execute(params![did_key, did.as_str()])?;
            }
            ReservedUnit::Prune { before } => {
                self.conn.execute("DELETE FROM reserved_key WHERE created_at < ?1", [before])?;
            }
        }
        Ok(())
    }
}
