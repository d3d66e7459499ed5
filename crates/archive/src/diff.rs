//! What changed since the stored revision: the host's diff, compared with our own tree, proved by recomputation.
//!
//! The new tree is read from the blocks that came and, where it has not changed, from our own; what differs from the
//! stored tree gives the changes; planning them on our buckets must lead to the signed root. Whatever does not fit leads
//! to a whole fetch, never to a guess.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use p2pds_ipld::car::{CarLimits, SectionCid, SliceReader};
use p2pds_ipld::{Cid, Codec};
use p2pds_net::NetError;
use p2pds_repo::bucket::{Bucket, Spine, nodes_of, plan};
use p2pds_repo::commit::Commit;
use p2pds_repo::mst::{Nodes, Op, diff};
use p2pds_store::view::stored_changes;
use p2pds_store::{
    AccountPatch, BucketChange, BucketUpdate, CHUNK_BYTES, Change, Head, RecordRow, RecordsQuery, Repo,
    Store, Unit, Version,
};
use p2pds_syntax::RecordPath;
use tokio::runtime::Handle;
use tokio::sync::SemaphorePermit;

use crate::archive::Inner;
use crate::error::{ArchiveError, ArchiveResult};
use crate::fetch::blocking;
use crate::host::{Host, withheld};
use crate::judge::{Verdict, judge};
use crate::progress::{Phase, Progress, Unit as Counted};
use crate::report::Outcome;
use crate::stage::{Peeked, blobs_of};
use crate::take::{Terms, changes_words, head_of, verified_state};
use crate::update::Subject;
use crate::words::size;

/// What came of an update by diff.
pub(crate) enum Diffed {
    /// It is applied, or there was a reason not to.
    Done { outcome: Outcome, bytes: u64, notes: Vec<String> },
    /// The host does not serve the account.
    Withheld(NetError),
    /// This way does not lead there; fetch the whole repo.
    NeedWhole { why: String, bytes: u64 },
}

/// A planned update.
struct Planned {
    changes: Vec<Change>,
    buckets: Vec<BucketChange>,
    counts: (u64, u64, u64),
}

impl Inner {
    /// Fetches what changed since the live revision, and applies it.
    pub(crate) async fn update_by_diff(
        &self,
        subject: &Subject<'_>,
        host: &Host<'_>,
        live: &Repo,
        progress: &Progress,
    ) -> ArchiveResult<Diffed> {
        let Some(head) = &live.head else {
            return Ok(Diffed::NeedWhole { why: "nothing is stored yet".to_owned(), bytes: 0 });
        };
        let (car, _room) = match self.fetch_diff(host, head, progress).await {
            Ok(Some(fetched)) => fetched,
            Ok(None) => {
                let why = "there is no room in memory for more answers at a time".to_owned();
                return Ok(Diffed::NeedWhole { why, bytes: 0 });
            }
            Err(error) if withheld(&error, true).is_some() => return Ok(Diffed::Withheld(error)),
            Err(error) if error.is_transient() => {
                return Err(ArchiveError::Host {
                    doing: format!("asking {} for what is new", subject.host),
                    source: error,
                });
            }
            Err(error) => return Ok(Diffed::NeedWhole { why: error.to_string(), bytes: 0 }),
        };
        let bytes = u64::try_from(car.len()).unwrap_or(u64::MAX);
        let need_whole = |why: String| Ok(Diffed::NeedWhole { why, bytes });
        let (peeked, blocks) = match open(&car) {
            Ok(opened) => opened,
            Err(why) => return need_whole(why),
        };
        if peeked.commit.did != *subject.did {
            return need_whole(format!("the answer is the repo of {}", peeked.commit.did));
        }
        let terms = Terms::network(subject);
        let vouched = self.vouch(&terms, &peeked).await?;
        let (now, future) = (self.now_micros(), self.config().max_future);
        let offered = (peeked.commit.rev, &peeked.cid);
        let verdict = judge(offered, Some((head.rev, &head.commit)), now, future);
        match verdict {
            Verdict::Same => return Ok(Diffed::Done { outcome: Outcome::Current, bytes, notes: Vec::new() }),
            Verdict::Older | Verdict::Equivocation | Verdict::Future => {
                let why = verdict.words(subject.host, peeked.commit.rev, Some(head.rev));
                let block = Some(peeked.bytes.clone());
                let outcome = self.refuse(subject.did, verdict, subject.host, offered, &why, block).await?;
                return Ok(Diffed::Done { outcome, bytes, notes: Vec::new() });
            }
            Verdict::First | Verdict::Newer => {}
        }
        let planned = match self.plan_diff(live, head, &peeked, car.clone(), blocks).await? {
            Ok(planned) => planned,
            Err(why) => return need_whole(why),
        };
        let (created, updated, deleted) = planned.counts;
        let unit = Unit::ApplyCommit {
            did: subject.did.clone(),
            expect: head.rev,
            head: Box::new(head_of(&peeked, &vouched)),
            changes: planned.changes,
            buckets: BucketUpdate::Planned(planned.buckets),
            seen: p2pds_store::Seen { at: self.now(), since: None },
        };
        self.store().apply(unit).await?;
        let verified = Some(verified_state(&vouched));
        self.patch(subject.did, AccountPatch { verified, ..AccountPatch::default() }).await?;
        for kind in
            ["older-head", "equivocation", "future-rev", "irreproducible", crate::update::HEAD_WITHHELD]
        {
            self.resolve_faults(subject.did, kind, None).await?;
        }
        let notes = self.note_vouched(subject.did, &vouched).await?;
        progress.note(Phase::Store, changes_words(created, updated, deleted));
        Ok(Diffed::Done { outcome: Outcome::Updated { created, updated, deleted }, bytes, notes })
    }

    /// What is new, with the room that it takes; `None` when all room is taken: hosts together get no more memory than
    /// one may have.
    async fn fetch_diff(
        &self,
        host: &Host<'_>,
        head: &Head,
        progress: &Progress,
    ) -> Result<Option<(Bytes, Option<SemaphorePermit<'_>>)>, NetError> {
        let since = head.rev.to_string();
        let limit = self.config().max_diff_bytes;
        let mut response = host.repo(Some(&since), limit, self.config()).await?;
        let total = response.announced_length();
        let words = format!("fetching what is new since {since} from {}", host.url);
        let counter = progress.begin(Phase::Fetch, Counted::Bytes, total, words);
        let mut all = Vec::new();
        let mut room: Option<SemaphorePermit<'_>> = None;
        while let Some(chunk) = response.chunk().await? {
            counter.add(u64::try_from(chunk.len()).unwrap_or(0));
            all.extend_from_slice(&chunk);
            let held = room.as_ref().map_or(0, SemaphorePermit::num_permits);
            let more = (all.len() >> 10).saturating_add(1).saturating_sub(held);
            let Ok(more) = self.diff_room.try_acquire_many(u32::try_from(more).unwrap_or(u32::MAX)) else {
                return Ok(None);
            };
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
        }
        counter.finish(format!("{} received", size(u64::try_from(all.len()).unwrap_or(0))));
        Ok(Some((all.into(), room)))
    }

    async fn plan_diff(
        &self,
        live: &Repo,
        head: &Head,
        peeked: &Peeked,
        car: Bytes,
        blocks: Places,
    ) -> ArchiveResult<Result<Planned, String>> {
        let mut rows = self.store().buckets(live.id, true).await?;
        if rows.iter().any(|row| row.dirty) {
            // Live following leaves that to the background; what does not give the signed root shows below.
            let _ = p2pds_store::view::refresh(&**self.store(), live).await;
            rows = self.store().buckets(live.id, true).await?;
        }
        if rows.iter().any(|row| row.dirty) {
            return Ok(Err("the stored index could not be recomputed".to_owned()));
        }
        let spine = match Spine::from_buckets(rows.into_iter().map(Bucket::from).collect()) {
            Ok(spine) if spine.root() == head.data => spine,
            Ok(_) => return Ok(Err("the stored index does not lead to the stored root".to_owned())),
            Err(error) => return Ok(Err(format!("the stored index is damaged: {error}"))),
        };
        let planner = Planner {
            store: Arc::clone(self.store()),
            runtime: Handle::current(),
            repo: live.clone(),
            old: head.data,
            new: peeked.commit.data,
            rev: peeked.commit.rev,
            limit: self.config().max_diff_changes.min(p2pds_store::CHUNK_ROWS),
            blocks: Arc::new(Blocks { car, places: blocks }),
        };
        blocking(move || planner.run(spine)).await
    }
}

/// Where blocks begin and end in an answer.
type Places = HashMap<Cid, (usize, usize)>;

/// The blocks of an answer, hashed.
struct Blocks {
    car: Bytes,
    places: Places,
}

impl Blocks {
    fn get(&self, cid: &Cid) -> Option<&[u8]> {
        let (from, to) = self.places.get(cid)?;
        self.car.get(*from..*to)
    }
}

/// Hashes all blocks of an answer and reads its commit.
fn open(car: &Bytes) -> Result<(Peeked, Places), String> {
    let mut reader = SliceReader::new(car, CarLimits::DEFAULT).map_err(|error| error.to_string())?;
    let root = match reader.header().roots.as_slice() {
        [root] if root.codec() == Codec::DagCbor => *root,
        [root] => return Err(format!("the answer names {root} as its commit, which is not CBOR by its CID")),
        roots => return Err(format!("the answer names {} roots", roots.len())),
    };
    let base = car.as_ptr().addr();
    let mut places = HashMap::new();
    for section in &mut reader {
        let section = section.map_err(|error| error.to_string())?;
        let SectionCid::Plain(cid) = section.cid else { continue };
        if !cid.matches(section.bytes) {
            return Err(format!("a block does not hash to its CID {cid}"));
        }
        let from = section.bytes.as_ptr().addr().saturating_sub(base);
        places.insert(cid, (from, from.saturating_add(section.bytes.len())));
    }
    let block =
        places.get(&root).and_then(|(from, to)| car.get(*from..*to)).ok_or("the answer has no commit")?;
    let commit = Commit::decode(block).map_err(|error| error.to_string())?;
    Ok((Peeked { cid: root, commit, bytes: block.to_vec() }, places))
}

/// Works out the changes; runs on a blocking thread.
struct Planner {
    store: Arc<dyn Store>,
    runtime: Handle,
    repo: Repo,
    old: Cid,
    new: Cid,
    rev: p2pds_syntax::Tid,
    limit: usize,
    blocks: Arc<Blocks>,
}

impl Planner {
    fn run(self, spine: Spine) -> ArchiveResult<Result<Planned, String>> {
        let mut ours = Ours::new(&self, &spine, None);
        let mut theirs = Ours::new(&self, &spine, Some(Arc::clone(&self.blocks)));
        let outcome = diff(self.old, &mut ours, self.new, &mut theirs, self.limit.saturating_add(1));
        if let Some(error) = ours.failure.or(theirs.failure) {
            return Err(error);
        }
        let found = match outcome {
            Ok(found) if found.complete && found.ops.len() <= self.limit => found,
            Ok(_) => return Ok(Err(format!("more than {} records changed", self.limit))),
            Err(error) => return Ok(Err(format!("the answer does not complete the tree: {error}"))),
        };
        let mut changes = Vec::with_capacity(found.ops.len());
        let (mut counts, mut bytes) = ((0_u64, 0_u64, 0_u64), 0_usize);
        for op in &found.ops {
            let change = match self.change(op, &spine)? {
                Ok(change) => change,
                Err(why) => return Ok(Err(why)),
            };
            bytes = bytes
                .saturating_add(change.new.as_ref().and_then(|new| new.body.as_ref()).map_or(0, Vec::len));
            let slot = match (&change.old, &change.new) {
                (None, _) => &mut counts.0,
                (Some(_), Some(_)) => &mut counts.1,
                (Some(_), None) => &mut counts.2,
            };
            *slot = slot.saturating_add(1);
            changes.push(change);
        }
        if bytes > CHUNK_BYTES {
            return Ok(Err("the changes are too large to be applied at once".to_owned()));
        }
        Ok(self.buckets(spine, &found.ops)?.map(|buckets| Planned { changes, buckets, counts }))
    }

    /// Plans the changes on our own buckets; the root that they give must be the signed one.
    fn buckets(&self, mut spine: Spine, ops: &[Op]) -> ArchiveResult<Result<Vec<BucketChange>, String>> {
        let mut loaded = Vec::new();
        for at in spine.touched(ops.iter().map(|op| op.key.as_slice())) {
            let rows = self.rows(&spine, at)?;
            let keys: Vec<(Vec<u8>, Cid)> =
                rows.into_iter().map(|row| (row.key.as_bytes().to_vec(), row.cid)).collect();
            loaded.push((at, keys));
        }
        let plan = match plan(&mut spine, &loaded, ops) {
            Ok(plan) => plan,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if plan.root != self.new {
            return Ok(Err(format!("the changes lead to {}, the commit names {}", plan.root, self.new)));
        }
        Ok(Ok(stored_changes(plan.bucket_changes, self.rev)))
    }

    fn change(&self, op: &Op, spine: &Spine) -> ArchiveResult<Result<Change, String>> {
        let key = match RecordPath::from_bytes(&op.key) {
            Ok(key) => key,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let new = match op.new() {
            None => None,
            Some(cid) => {
                let body = match self.blocks.get(&cid) {
                    Some(body) => body.to_vec(),
                    None => match self.known_body(&cid, spine)? {
                        Some(body) => body,
                        None => return Ok(Err(format!("the answer lacks the record {key}"))),
                    },
                };
                let (blobs, _) = blobs_of(&body);
                Some(Version { cid, body: Some(body), blobs })
            }
        };
        Ok(Ok(Change { key, old: op.old(), new }))
    }

    /// The same bytes may stand at another path already; a diff leaves them out then.
    fn known_body(&self, cid: &Cid, spine: &Spine) -> ArchiveResult<Option<Vec<u8>>> {
        for at in spine.find(cid) {
            if let Some(row) = self.rows(spine, at)?.into_iter().find(|row| row.cid == *cid) {
                let row = self.runtime.block_on(self.store.record(self.repo.id, &row.key))?;
                if let Some(row) = row.filter(|row| !row.damaged) {
                    return Ok(row.body);
                }
            }
        }
        Ok(None)
    }

    fn rows(&self, spine: &Spine, at: usize) -> ArchiveResult<Vec<RecordRow>> {
        let Some((lo, until)) = spine.range(at) else { return Ok(Vec::new()) };
        let mut all: Vec<RecordRow> = Vec::new();
        let mut query = RecordsQuery {
            from: lo.to_vec(),
            until: until.map(<[u8]>::to_vec),
            ..RecordsQuery::all(self.repo.id).keys_only()
        };
        loop {
            let page = self.runtime.block_on(self.store.records(query.clone()))?;
            let Some(last) = page.last() else { return Ok(all) };
            query = query.after(&last.key);
            all.extend(page);
        }
    }
}

/// Nodes of the stored tree, computed bucket by bucket, after those of an answer.
struct Ours<'a> {
    planner: &'a Planner,
    spine: &'a Spine,
    first: Option<Arc<Blocks>>,
    computed: HashMap<Cid, Vec<u8>>,
    failure: Option<ArchiveError>,
}

impl<'a> Ours<'a> {
    fn new(planner: &'a Planner, spine: &'a Spine, first: Option<Arc<Blocks>>) -> Self {
        Self { planner, spine, first, computed: HashMap::new(), failure: None }
    }

    fn compute(&mut self, cid: &Cid) -> ArchiveResult<()> {
        for at in self.spine.find(cid) {
            let Some((lo, _)) = self.spine.range(at) else { continue };
            let rows = self.planner.rows(self.spine, at)?;
            let keys: Vec<(&[u8], Cid)> = rows.iter().map(|row| (row.key.as_bytes(), row.cid)).collect();
            if let Ok(nodes) = nodes_of(lo, &keys) {
                self.computed.extend(nodes);
            }
            if self.computed.contains_key(cid) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn has(&self, cid: &Cid) -> bool {
        let came = self.first.as_ref().is_some_and(|blocks| blocks.places.contains_key(cid));
        came || self.spine.node(cid).is_some() || self.computed.contains_key(cid)
    }
}

impl Nodes for Ours<'_> {
    fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
        if !self.has(cid)
            && self.failure.is_none()
            && let Err(error) = self.compute(cid)
        {
            self.failure = Some(error);
        }
        self.first
            .as_ref()
            .and_then(|blocks| blocks.get(cid))
            .or_else(|| self.spine.node(cid))
            .or_else(|| self.computed.get(cid).map(Vec::as_slice))
    }
}

#[cfg(test)]
mod tests {
    use p2pds_crypto::{Curve, PrivateKey};
    use p2pds_ipld::car::{write_header, write_section};
    use p2pds_repo::commit::Unsigned;
    use p2pds_repo::mst::empty_root;
    use p2pds_syntax::{Did, Tid};

    use super::*;

    #[test]
    fn a_commit_is_cbor_by_its_cid() {
        let did = Did::parse("did:plc:ewvi7nxzyoun6zhxrhs64oiz").unwrap();
        let unsigned = Unsigned { did, rev: Tid::MIN, data: empty_root() };
        let commit = unsigned.sign(&PrivateKey::from_entropy(Curve::K256, [1; 32])).unwrap();
        for (root, good) in [(commit.cid(), true), (Cid::of_raw(&commit.encode()), false)] {
            let mut car = Vec::new();
            write_header(&mut car, &[root]);
            write_section(&mut car, &root, &commit.encode());
            assert_eq!(open(&car.into()).is_ok(), good, "{root}");
        }
    }
}
