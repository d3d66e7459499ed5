//! Promised signing keys.

use p2pds_store::hosting::ReservedUnit;
use p2pds_syntax::Did;
use rusqlite::params;

use crate::apply::Apply;
use crate::fault::Outcome;

impl Apply {
    pub(in crate::apply) fn reserved(&mut self, unit: &ReservedUnit) -> Outcome<()> {
        match unit {
            ReservedUnit::Put(row) => {
                self.conn
                    .prepare_cached(
                        "INSERT INTO reserved_key VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![
                        row.did_key,
                        row.did.as_ref().map(Did::as_str),
                        row.signing_key,
                        row.created_at
                    ])?;
            }
            ReservedUnit::Take { did, did_key } => {
                self.conn
                    .prepare_cached(
                        "DELETE FROM reserved_key WHERE did_key = ?1 AND (did IS NULL OR did = ?2)",
                    )?
                    .execute(params![did_key, did.as_str()])?;
            }
            ReservedUnit::Prune { before, keep } => {
                self.conn.execute("DELETE FROM reserved_key WHERE created_at < ?1", [before])?;
                let keep = i64::try_from(*keep).unwrap_or(i64::MAX);
                self.conn.execute(
                    "DELETE FROM reserved_key WHERE did_key IN
                       (SELECT did_key FROM reserved_key ORDER BY created_at DESC, did_key LIMIT -1 OFFSET ?1)",
                    [keep],
                )?;
            }
        }
        Ok(())
    }
}
