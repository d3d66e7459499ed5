//! Records and tree: one pass over all rows.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use p2pds_ipld::Cid;
use p2pds_repo::bucket::{Bucket, BucketBuilder, Built, Spine};
use p2pds_store::view::refresh;
use p2pds_store::{BucketRow, Head, RecordsQuery, Repo, Store};
use tokio::runtime::Handle;

use super::damage_or;
use crate::archive::Inner;
use crate::error::{ArchiveError, ArchiveResult};
use crate::fetch::blocking;
use crate::progress::{Counter, Phase, Progress, Unit as Counted};
use crate::report::{Check, CheckName, CheckResult, VerifyReport};
use crate::stage::blobs_of;
use crate::words::{plural, size};

/// The stored bucket rows and where they lead.
pub(super) struct Index {
    rows: Vec<BucketRow>,
    pub(super) spine_root: Result<Cid, String>,
}

/// What a pass over all rows found.
struct Pass {
    built: Option<Built>,
    buckets: Vec<Bucket>,
    bytes: u64,
    damaged: Vec<String>,
    damaged_count: u64,
    lost: u64,
    /// Records that name a blob which the list of blobs does not have.
    unlisted: u64,
    broken: Option<String>,
}

impl Inner {
    pub(super) async fn read_index(&self, repo: &Repo, _head: &Head) -> ArchiveResult<Index> {
        // What commits have marked is computed first; if that shows drift, the marks stay and are found below.
        if let Err(error) = refresh(&**self.store(), repo).await {
            tracing::debug!(event = "verify.index", %error, "the index is not up to date");
        }
        let rows = match damage_or(self.store().buckets(repo.id, true).await)? {
            Ok(rows) => rows,
            Err(why) => return Ok(Index { rows: Vec::new(), spine_root: Err(why) }),
        };
        let buckets = rows.iter().cloned().map(Bucket::from).collect();
        let spine_root =
            Spine::from_buckets(buckets).map(|spine| spine.root()).map_err(|error| error.to_string());
        Ok(Index { rows, spine_root })
    }

    /// The checks `tree` and `records`.
    pub(super) async fn check_tree(
        &self,
        repo: &Repo,
        head: &Head,
        index: Index,
        progress: &Progress,
    ) -> ArchiveResult<(Check, Check)> {
        let words = format!("hashing {}", plural(repo.records, "record", "records"));
        let counter = progress.begin(Phase::Verify, Counted::Records, Some(repo.records), words);
        let (store, runtime, of) = (Arc::clone(self.store()), Handle::current(), repo.clone());
        let pass = blocking(move || {
            let pass = walk(&store, &runtime, &of, &counter)?;
            counter.finish(format!("{} of records hashed", size(pass.bytes)));
            Ok(pass)
        })
        .await?;
        Ok((tree_check(repo, head, &index, &pass), records_check(&pass)))
    }
}

/// Reads every row with its body, hashes it (the store does), and builds the tree from the keys.
fn walk(store: &Arc<dyn Store>, runtime: &Handle, repo: &Repo, counter: &Counter) -> ArchiveResult<Pass> {
    let buckets = Rc::new(RefCell::new(Vec::new()));
    let to = Rc::clone(&buckets);
    let mut builder = BucketBuilder::new(move |bucket| to.borrow_mut().push(bucket));
    let mut pass = Pass {
        built: None,
        buckets: Vec::new(),
        bytes: 0,
        damaged: Vec::new(),
        damaged_count: 0,
        lost: 0,
        unlisted: 0,
        broken: None,
    };
    let mut listed = HashSet::new();
    let mut query = RecordsQuery::all(repo.id);
    loop {
        let page = match damage_or(runtime.block_on(store.records(query.clone())))? {
            Ok(page) => page,
            Err(why) => {
                pass.broken = Some(why);
                return Ok(pass);
            }
        };
        let Some(last) = page.last() else { break };
        query = query.after(&last.key);
        for row in &page {
            if let Err(error) = builder.push(row.key.as_bytes(), &row.cid) {
                pass.broken = Some(error.to_string());
                return Ok(pass);
            }
            match (&row.body, row.damaged) {
                (_, true) => {
                    pass.damaged_count = pass.damaged_count.saturating_add(1);
                    if pass.damaged.len() < VerifyReport::MAX_LISTED {
                        pass.damaged.push(row.key.to_string());
                    }
                }
                (None, false) => pass.lost = pass.lost.saturating_add(1),
                (Some(body), false) => {
                    pass.bytes = pass.bytes.saturating_add(u64::try_from(body.len()).unwrap_or(0));
                    if !blobs_listed(store, runtime, repo, body, &mut listed)? {
                        pass.unlisted = pass.unlisted.saturating_add(1);
                        if pass.damaged.len() < VerifyReport::MAX_LISTED {
                            pass.damaged.push(row.key.to_string());
                        }
                    }
                }
            }
        }
        counter.add(u64::try_from(page.len()).unwrap_or(0));
    }
    pass.built = Some(builder.finish());
    pass.buckets = Rc::try_unwrap(buckets)
        .map_err(|_| ArchiveError::Bug("the tree builder still holds its buckets".to_owned()))?
        .into_inner();
    Ok(pass)
}

/// Whether the list of blobs has every blob that a record names: without its line there, a blob would be neither
/// checked nor exported, and nobody would miss it.
pub(super) fn blobs_listed(
    store: &Arc<dyn Store>,
    runtime: &Handle,
    repo: &Repo,
    body: &[u8],
    listed: &mut HashSet<Cid>,
) -> ArchiveResult<bool> {
    /// CIDs remembered, so that a blob that many records name is looked up once.
    const REMEMBERED: usize = 100_000;
    for blob in blobs_of(body).0 {
        if listed.contains(&blob.cid) {
            continue;
        }
        if !matches!(damage_or(runtime.block_on(store.blob(&repo.did, &blob.cid)))?, Ok(Some(_))) {
            return Ok(false);
        }
        if listed.len() >= REMEMBERED {
            listed.clear();
        }
        listed.insert(blob.cid);
    }
    Ok(true)
}

fn tree_check(repo: &Repo, head: &Head, index: &Index, pass: &Pass) -> Check {
    let name = CheckName::Tree;
    let Some(built) = &pass.built else {
        let why = pass.broken.clone().unwrap_or_default();
        return Check::damaged(name, why, vec!["records cannot be read in order".to_owned()]);
    };
    let differing = differing(index, &pass.buckets);
    let mut damaged = Vec::new();
    let mut words = Vec::new();
    if built.root == head.data {
        words.push(format!("{} build the signed root", plural(built.records, "record", "records")));
        damaged.extend(differing.iter().map(|place| format!("index {place}")));
        if !differing.is_empty() {
            words.push("the index beside them is wrong in places".to_owned());
        }
    } else {
        words.push(format!("the records build {}, the commit names {}", built.root, head.data));
        damaged.extend(differing.iter().map(|place| format!("records {place}")));
        if differing.is_empty() {
            damaged.push("records and index".to_owned());
        }
    }
    if built.records != repo.records {
        words.push(format!("{} are there, {} were counted", built.records, repo.records));
        if damaged.is_empty() {
            damaged.push("record count".to_owned());
        }
    }
    let detail = words.join(", ");
    if damaged.is_empty() { Check::ok(name, detail) } else { Check::damaged(name, detail, damaged) }
}

/// Runs of keys whose stored index differs from the one that the records give, named by their first keys.
fn differing(index: &Index, built: &[Bucket]) -> Vec<String> {
    let place = |lo: &[u8]| match lo {
        [] => "from the beginning on".to_owned(),
        lo => format!("from {} on", String::from_utf8_lossy(lo)),
    };
    let mut out = Vec::new();
    let mut stored = index.rows.iter().peekable();
    for bucket in built {
        while let Some(extra) = stored.next_if(|row| row.lo < bucket.lo) {
            out.push(place(&extra.lo));
        }
        let same =
            stored.next_if(|row| row.lo == bucket.lo).is_some_and(|row| row.dirty || same(row, bucket));
        if !same {
            out.push(place(&bucket.lo));
        }
    }
    out.extend(stored.map(|row| place(&row.lo)));
    out.truncate(VerifyReport::MAX_LISTED);
    out
}

pub(super) fn same(row: &BucketRow, bucket: &Bucket) -> bool {
    row.lo_cid == bucket.lo_cid
        && row.n == bucket.n
        && row.layer_root == bucket.layer_root
        && row.prefixes == bucket.prefixes
}

fn records_check(pass: &Pass) -> Check {
    let name = CheckName::Records;
    if let (Some(why), None) = (&pass.broken, &pass.built) {
        return Check::damaged(name, why.clone(), vec!["records cannot be read in order".to_owned()]);
    }
    let records = pass.built.map_or(0, |built| built.records);
    if pass.damaged_count > 0 {
        let words =
            format!("{} of {} damaged", pass.damaged_count, plural(records, "record is", "records are"));
        return Check::damaged(name, words, pass.damaged.clone());
    }
    if pass.unlisted > 0 {
        let who = plural(pass.unlisted, "record names", "records name");
        let words = format!("{who} blobs that the list of blobs has lost");
        return Check::damaged(name, words, pass.damaged.clone());
    }
    let hashed = records.saturating_sub(pass.lost);
    let words = format!("{} ({}) hash to their CIDs", plural(hashed, "record", "records"), size(pass.bytes));
    if pass.lost == 0 {
        return Check::ok(name, words);
    }
    let lost = plural(pass.lost, "record has", "records have");
    Check {
        result: CheckResult::Incomplete,
        ..Check::ok(name, format!("{words}; {lost} no bytes here, because the source did not send them"))
    }
}
