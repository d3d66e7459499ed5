//! Used service tokens.

use p2pds_store::hosting::SpentUnit;
use rusqlite::params;

use crate::apply::Apply;
use crate::fault::Outcome;

/// Ended tokens forgotten with each new one.
const FORGOTTEN: i64 = 100;

impl Apply {
    pub(in crate::apply) fn spent(&mut self, unit: &SpentUnit) -> Outcome<()> {
        self.conn
            .prepare_cached(
                "DELETE FROM spent_token WHERE token IN
                   (SELECT token FROM spent_token WHERE ends_at <= ?1 ORDER BY ends_at LIMIT ?2)",
            )?
            .execute(params![unit.now, FORGOTTEN])?;
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO spent_token VALUES (?1, ?2, ?3)")?
            .execute(params![unit.row.token, unit.row.issuer, unit.row.ends_at])?;
        Ok(())
    }
}
