//! CIDs that the operator does not want this node to give out, whoever's they are.
//!
//! One setting of the store, read once and kept; the operator's commands change both. Operators themselves see all.

use std::collections::BTreeMap;
use std::sync::Arc;

use p2pds_ipld::Cid;
use p2pds_store::Unit;

use crate::Reading;
use crate::gate::Viewer;
use crate::refusal::Refusal;

/// Name of the setting.
const SETTING: &str = "serving.blocked";
/// Most entries.
const MOST: usize = 10_000;
/// Longest reason, in bytes.
const LONGEST: usize = 500;

/// A blocked CID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockedCid {
    /// The CID.
    pub cid: Cid,
    /// When it was blocked, microseconds since 1970.
    pub at: i64,
    /// Why, in the operator's words.
    pub reason: String,
}

/// All of them by CID.
pub(crate) type BlockList = Arc<BTreeMap<Cid, BlockedCid>>;

fn parse(text: &str) -> BTreeMap<Cid, BlockedCid> {
    let entry = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let cid: Cid = parts.next()?.parse().ok()?;
        let at = parts.next()?.parse().ok()?;
        Some((cid, BlockedCid { cid, at, reason: parts.next().unwrap_or_default().to_owned() }))
    };
    text.lines().filter_map(entry).collect()
}

fn print(list: &BTreeMap<Cid, BlockedCid>) -> String {
    list.values().map(|entry| format!("{} {} {}\n", entry.cid, entry.at, entry.reason)).collect()
}

/// A reason on one line, of bounded length.
fn one_line(reason: &str) -> String {
    let mut line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let end =
        line.char_indices().map(|(at, c)| at.saturating_add(c.len_utf8())).take_while(|&end| end <= LONGEST);
    line.truncate(end.last().unwrap_or(0));
    line
}

impl Reading {
    /// What is blocked, as it is now.
    pub(crate) async fn block_list(&self) -> Result<BlockList, Refusal> {
        if let Some(list) = self.shared.blocked.read().await.as_ref() {
            return Ok(Arc::clone(list));
        }
        let mut slot = self.shared.blocked.write().await;
        if let Some(list) = slot.as_ref() {
            return Ok(Arc::clone(list));
        }
        let list = Arc::new(parse(&self.store.setting(SETTING).await?.unwrap_or_default()));
        *slot = Some(Arc::clone(&list));
        Ok(list)
    }

    /// Refuses a CID that is blocked for this viewer.
    pub(crate) async fn not_blocked(&self, viewer: Viewer, cid: &Cid) -> Result<(), Refusal> {
        if viewer != Viewer::Operator && self.block_list().await?.contains_key(cid) {
            return Err(Refusal::Blocked(*cid));
        }
        Ok(())
    }

    /// The blocked CIDs, in order.
    ///
    /// # Errors
    /// The store fails.
    pub async fn blocked(&self) -> Result<Vec<BlockedCid>, Refusal> {
        Ok(self.block_list().await?.values().cloned().collect())
    }

    /// Whether the operator blocked a CID.
    ///
    /// # Errors
    /// The store fails.
    pub async fn is_blocked(&self, cid: &Cid) -> Result<bool, Refusal> {
        Ok(self.block_list().await?.contains_key(cid))
    }

    /// Blocks a CID for everybody but the operator, from now on and on every path. Blocking it again changes the reason.
    ///
    /// # Errors
    /// [`Refusal::Full`], the store fails.
    pub async fn block_cid(&self, cid: &Cid, reason: &str, at: i64) -> Result<BlockedCid, Refusal> {
        let entry = BlockedCid { cid: *cid, at, reason: one_line(reason) };
        let added = entry.clone();
        self.change(move |list| {
            if list.len() >= MOST && !list.contains_key(&added.cid) {
                return Err(Refusal::Full(MOST));
            }
            list.insert(added.cid, added);
            Ok(true)
        })
        .await?;
        Ok(entry)
    }

    /// Takes a CID off the list; says whether it was on it.
    ///
    /// # Errors
    /// The store fails.
    pub async fn unblock_cid(&self, cid: &Cid) -> Result<bool, Refusal> {
        self.change(|list| Ok(list.remove(cid).is_some())).await
    }

    async fn change(
        &self,
        change: impl FnOnce(&mut BTreeMap<Cid, BlockedCid>) -> Result<bool, Refusal>,
    ) -> Result<bool, Refusal> {
        let mut slot = self.shared.blocked.write().await;
        let mut list = parse(&self.store.setting(SETTING).await?.unwrap_or_default());
        let changed = change(&mut list)?;
        if changed {
            let unit = Unit::PutSetting { name: SETTING.to_owned(), value: Some(print(&list)) };
            self.store.apply(unit).await?;
        }
        *slot = Some(Arc::new(list));
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_comes_back_as_it_was_written() {
        let entry = |name: &[u8], reason: &str| BlockedCid {
            cid: Cid::of_raw(name),
            at: 7,
            reason: one_line(reason),
        };
        let list: BTreeMap<_, _> =
            [entry(b"a", "court order 17\nof Tuesday"), entry(b"b", ""), entry(b"c", &"ä".repeat(400))]
                .into_iter()
                .map(|entry| (entry.cid, entry))
                .collect();
        assert_eq!(parse(&print(&list)), list);
        assert_eq!(list[&Cid::of_raw(b"a")].reason, "court order 17 of Tuesday");
        assert_eq!(list[&Cid::of_raw(b"c")].reason.len(), LONGEST);
    }
}
