//! The counters behind the index of lexicons: one row for each collection of each repo.
//!
//! They are moved by the unit that moves the records. A staged repo has its own, so a flip moves nothing; when the
//! replaced repo is dropped, the rev at which a collection was seen first goes over to the live one.

use std::collections::BTreeMap;

use p2pds_store::RepoId;
use rusqlite::params;

use super::Apply;
use crate::codes::len;
use crate::fault::Outcome;

/// By how much the collections of one repo move: collection to records more (or fewer).
#[derive(Debug, Default)]
pub(super) struct Moves(BTreeMap<i64, i64>);

impl Moves {
    /// Notes a change in a collection; 0 for an update.
    pub(super) fn add(&mut self, coll: i64, records: i64) {
        let sum = self.0.entry(coll).or_default();
        *sum = sum.saturating_add(records);
    }
}

impl Apply {
    /// Moves a repo's counters, at this rev.
    pub(super) fn move_lexicons(&self, repo: RepoId, rev: i64, moves: &Moves) -> Outcome<()> {
        let mut put = self.conn.prepare_cached(
            "INSERT INTO lexicon VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT DO UPDATE SET
               records = records + excluded.records, last = max(last, excluded.last)",
        )?;
        for (coll, records) in &moves.0 {
            put.execute(params![repo.0, coll, records, rev])?;
        }
        Ok(())
    }

    /// Hands what a replaced repo saw over to the live one and drops up to `most` of its counters.
    pub(super) fn fold_lexicons(&self, repo: RepoId, live: Option<i64>, most: usize) -> Outcome<usize> {
        if let Some(live) = live {
            // `WHERE true` tells the parser that ON belongs to the insert.
            self.conn
                .prepare_cached(
                    "INSERT INTO lexicon SELECT ?1, coll, 0, first, last FROM lexicon
                       WHERE repo = ?2 AND coll IN (SELECT coll FROM lexicon WHERE repo = ?2 ORDER BY coll LIMIT ?3)
                     ON CONFLICT DO UPDATE SET
                       first = min(first, excluded.first), last = max(last, excluded.last)",
                )?
                .execute(params![live, repo.0, len(most)])?;
        }
        self.drop_lexicons(repo, most)
    }

    /// Drops up to `most` of a repo's counters.
    pub(super) fn drop_lexicons(&self, repo: RepoId, most: usize) -> Outcome<usize> {
        Ok(self
            .conn
            .prepare_cached(
                "DELETE FROM lexicon WHERE repo = ?1 AND coll IN
                   (SELECT coll FROM lexicon WHERE repo = ?1 ORDER BY coll LIMIT ?2)",
            )?
            .execute(params![repo.0, len(most)])?)
    }
}
