//! Marks of subjects.

use p2pds_store::hosting::LinksUnit;
use rusqlite::params;

use crate::apply::Apply;
use crate::fault::Outcome;

impl Apply {
    pub(in crate::apply) fn set_links(&mut self, unit: &LinksUnit) -> Outcome<()> {
        let account = self.account_id(&unit.did)?;
        for path in &unit.gone {
            let coll = self.collection_id(account, path.collection())?;
            self.conn
                .prepare_cached("DELETE FROM link WHERE repo = ?1 AND coll = ?2 AND rkey = ?3")?
                .execute(params![unit.repo.0, coll, path.rkey()])?;
        }
        for row in &unit.put {
            let coll = self.collection_id(account, row.path.collection())?;
            self.conn
                .prepare_cached("INSERT OR REPLACE INTO link VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![unit.repo.0, coll, row.path.rkey(), row.target])?;
        }
        Ok(())
    }
}
