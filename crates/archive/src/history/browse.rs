//! The records of one collection as they were at a point in the history, the newest first.
//!
//! Keys of records are mostly times. So the newest are looked for in a window of time that ends where the page before
//! ended, and that grows until it holds a page: a page costs a few short reads, however large the collection is.

use p2pds_ipld::cbor::{Limits, decode};
use p2pds_ipld::json::to_json;
use p2pds_reading::Past;
use p2pds_store::RecordRow;
use p2pds_syntax::{Did, Nsid, Rkey, Tid};
use serde_json::Value;

use super::At;
use crate::archive::Archive;
use crate::error::ArchiveResult;
use crate::report::AsOf;
use crate::show::from_refusal;

/// Rows read at a time while a window is looked through.
const READ: usize = 1_000;
/// Most records of a page.
const MOST: usize = 100;
/// The first window, microseconds.
const WINDOW: u64 = 3_600_000_000;

/// Which part of a state is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Browse {
    /// The collection.
    pub collection: Nsid,
    /// Only records before this key; from the newest on without.
    pub before: Option<Rkey>,
    /// Most records; 100 at most.
    pub limit: usize,
}

/// One record of a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Glance {
    /// Its key.
    pub rkey: String,
    /// CID of its block.
    pub cid: String,
    /// The revision at which this version appeared, as far as the archive knows.
    pub since: String,
    /// As JSON; `None` when its bytes are damaged, missing, or not strict enough to be read.
    pub value: Option<Value>,
    /// Its stored bytes are damaged.
    pub damaged: bool,
}

/// A page of a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Browsed {
    /// The state.
    pub as_of: AsOf,
    /// The records, the newest key first.
    pub records: Vec<Glance>,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<String>,
}

impl Archive {
    /// A page of a collection as it was.
    ///
    /// # Errors
    /// A point that was never seen or was pruned; store failures.
    pub async fn browse(&self, did: &Did, at: At, browse: &Browse) -> ArchiveResult<Browsed> {
        let (row, as_of) = self.at(did, at).await?;
        let past = self.past(did, &row).await?;
        let limit = browse.limit.clamp(1, MOST);
        let rows = newest(&past, browse, limit.saturating_add(1)).await?;
        let more = rows.len() > limit;
        let mut records: Vec<Glance> = rows.into_iter().rev().take(limit).map(glance).collect();
        let next = records.last().filter(|_| more).map(|last| last.rkey.clone());
        records.shrink_to_fit();
        Ok(Browsed { as_of, records, next })
    }
}

/// The last `wanted` rows before the page's end, in tree order.
async fn newest(past: &Past, browse: &Browse, wanted: usize) -> ArchiveResult<Vec<RecordRow>> {
    let prefix = format!("{}/", browse.collection);
    let until = match &browse.before {
        Some(before) => format!("{prefix}{before}").into_bytes(),
        // What comes after "/" is "0".
        None => format!("{}0", browse.collection).into_bytes(),
    };
    let end = browse.before.as_ref().and_then(|before| Tid::parse(before.as_str()).ok());
    let end = end.map_or_else(|| past.row().head.rev.micros(), |tid| tid.micros());
    let mut window = WINDOW;
    loop {
        let start = end.checked_sub(window).filter(|start| *start > 0);
        let from = match start {
            Some(start) => format!("{prefix}{}", Tid::from_micros(start, 0)),
            None => prefix.clone(),
        };
        let rows = last_between(past, from.into_bytes(), until.clone(), wanted).await?;
        if rows.len() >= wanted || start.is_none() {
            let from = rows.first().map(|row| row.key.as_bytes().to_vec());
            let Some(from) = from else { return Ok(rows) };
            // Now with what they hold; pages end for their bytes too.
            return whole(past, from, until).await;
        }
        window = window.saturating_mul(8);
    }
}

/// The last rows between two keys, without their bodies.
async fn last_between(
    past: &Past,
    mut from: Vec<u8>,
    until: Vec<u8>,
    wanted: usize,
) -> ArchiveResult<Vec<RecordRow>> {
    let mut kept: Vec<RecordRow> = Vec::new();
    loop {
        let page = past.between(from, until.clone(), READ, false).await.map_err(from_refusal)?;
        let Some(last) = page.last() else { break };
        from = after(last);
        let full = page.len() >= READ;
        kept.extend(page);
        let surplus = kept.len().saturating_sub(wanted);
        kept.drain(..surplus);
        if !full {
            break;
        }
    }
    Ok(kept)
}

async fn whole(past: &Past, mut from: Vec<u8>, until: Vec<u8>) -> ArchiveResult<Vec<RecordRow>> {
    let mut all: Vec<RecordRow> = Vec::new();
    loop {
        let page = past.between(from, until.clone(), READ, true).await.map_err(from_refusal)?;
        let Some(last) = page.last() else { return Ok(all) };
        from = after(last);
        all.extend(page);
    }
}

/// The key right after a row's.
fn after(row: &RecordRow) -> Vec<u8> {
    let mut key = row.key.as_bytes().to_vec();
    key.push(0);
    key
}

fn glance(row: RecordRow) -> Glance {
    let body = row.body.as_deref().filter(|_| !row.damaged);
    Glance {
        rkey: row.key.rkey().to_owned(),
        cid: row.cid.to_string(),
        since: row.since.to_string(),
        value: body.and_then(|body| decode(body, &Limits::RECORD).ok()).map(|value| to_json(&value)),
        damaged: row.damaged,
    }
}
