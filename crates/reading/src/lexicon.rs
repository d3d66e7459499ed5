//! The index of lexicons as a viewer may see it.
//!
//! What the index says of an account is as private as the account: only those that the viewer may read are counted,
//! and to others than the operator a collection that holds nothing any more is not named.

use std::collections::BTreeMap;

use p2pds_store::LexiconRow;
use p2pds_syntax::Did;

use crate::{Reading, Refusal, Viewer};

/// Accounts asked for at a time, so that no read takes long.
const PAGE: usize = 500;

/// What all readable accounts use together.
#[derive(Debug, Clone, Default)]
pub struct Lexicons {
    rows: Vec<LexiconRow>,
}

/// The sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LexiconStats {
    /// Different collections.
    pub lexicons: u64,
    /// Records in all of them.
    pub records: u64,
}

impl Lexicons {
    /// Those whose NSID begins with `prefix`, in the order of their names.
    pub fn search<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a LexiconRow> {
        let from = self.rows.partition_point(|row| row.collection.as_str() < prefix);
        self.rows.iter().skip(from).take_while(move |row| row.collection.starts_with(prefix))
    }

    /// All, those with the most records first.
    #[must_use]
    pub fn by_records(&self) -> Vec<&LexiconRow> {
        let mut rows: Vec<&LexiconRow> = self.rows.iter().collect();
        rows.sort_by(|a, b| b.records.cmp(&a.records).then_with(|| a.collection.cmp(&b.collection)));
        rows
    }

    /// The sums.
    #[must_use]
    pub fn stats(&self) -> LexiconStats {
        LexiconStats {
            lexicons: self.rows.len() as u64,
            records: self.rows.iter().fold(0, |sum, row| row.records.saturating_add(sum)),
        }
    }
}

impl Reading {
    /// The index over the accounts that this viewer may read.
    ///
    /// # Errors
    /// The store's.
    pub async fn lexicons(&self, viewer: Viewer) -> Result<Lexicons, Refusal> {
        let mut found: BTreeMap<String, LexiconRow> = BTreeMap::new();
        let mut after: Option<Did> = None;
        loop {
            let page = self.store.accounts(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.did.clone());
            let mut readable: Vec<Did> = Vec::new();
            for account in page.into_iter().filter(|account| !account.purging) {
                match self.judge(viewer, &account).await {
                    Ok(()) => readable.push(account.did),
                    Err(Refusal::Store(error)) => return Err(error.into()),
                    Err(_) => {}
                }
            }
            if readable.is_empty() {
                continue;
            }
            for row in self.store.lexicons(&readable).await? {
                if row.records > 0 || viewer == Viewer::Operator {
                    found.entry(row.collection.clone()).and_modify(|sum| sum.add(&row)).or_insert(row);
                }
            }
        }
        Ok(Lexicons { rows: found.into_values().collect() })
    }
}
