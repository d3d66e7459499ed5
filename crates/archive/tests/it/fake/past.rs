//! Looking at what an archive remembers.

use std::collections::BTreeMap;

use p2pds_archive::{HistoryQuery, Progress};
use p2pds_ipld::Cid;
use p2pds_reading::{Reading, Viewer};
use p2pds_syntax::Tid;

use super::{Node, Person, State};

pub type Contents = BTreeMap<String, Cid>;

/// A few dice; the same seed rolls the same.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

pub fn cids(state: &State) -> Contents {
    state.records.iter().map(|(path, bytes)| (path.clone(), Cid::of_cbor(bytes))).collect()
}

/// What the archive says an account held at a revision.
pub async fn view(node: &Node, person: &Person, rev: Tid) -> Contents {
    let door = Reading::new(node.store.clone(), node.archive.blobs().clone());
    let heads = door.heads(Viewer::Operator, &person.did, None, 10_000).await.unwrap();
    let row = heads.into_iter().find(|row| row.head.rev == rev).unwrap();
    let past = door.past(Viewer::Operator, &person.did, &row).await.unwrap();
    let (mut all, mut after) = (Contents::new(), None);
    loop {
        let page = past.records(after.as_ref(), true).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(last.key.clone());
        for row in page {
            assert!(row.cid.matches(&row.body.unwrap()), "{}", row.key);
            all.insert(row.key.to_string(), row.cid);
        }
    }
}

pub async fn history(node: &Node, person: &Person, prove: bool) -> p2pds_archive::HistoryReport {
    let query = HistoryQuery { prove, limit: 1_000, ..HistoryQuery::default() };
    node.archive.history(&person.did, query, &Progress::none()).await.unwrap()
}

/// Some edits of what somebody has written.
pub fn edit(person: &mut Person, dice: &mut Dice) {
    for _ in 0..=dice.below(12) {
        let rkey: String = format!("3k{:011}", dice.below(60))
            .chars()
            .map(|c| match c {
                '0' => 'a',
                '1' => 'b',
                '8' => 'c',
                '9' => 'd',
                other => other,
            })
            .collect();
        match dice.below(3) {
            0 => drop(person.records.remove(&format!("app.bsky.feed.post/{rkey}"))),
            _ => person.post(&rkey, dice.below(1_000)),
        }
    }
}
