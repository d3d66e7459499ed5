//! A part of a repo, as `getRepo?since=` gives it: what it leaves out is in the repo that is here.
//!
//! The new tree is read from the blocks that came and, where it has not changed, from our own. Its difference to ours is
//! a claim until it was applied to ours and gave the root that was signed. Few changes become one commit; many become
//! a new repo, merged from both.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use p2pds_ipld::car::{CarError, CarLimits, Decoder, SectionCid};
use p2pds_ipld::{CID_LEN, Cid};
use p2pds_repo::bucket::{Bucket, Spine, nodes_of};
use p2pds_repo::car_in::{ReadError, Scratch as _};
use p2pds_repo::mst::{Nodes, Op, diff};
use p2pds_store::hosting::LinksUnit;
use p2pds_store::view::{block_on, bucket_rows, stored_changes};
use p2pds_store::{
    BucketChange, BucketUpdate, CHUNK_BYTES, Change, Head, HostingUnit, Seen, Store, Unit, Version,
};
use p2pds_syntax::RecordPath;

use super::spooled::Spooled;
use super::whole::{Taker, Touched, blobs_of, page};
use super::{Came, Ground, Taken, bad_car, drop_repo, stored, unexpected};
use crate::write::backlinks::{has_links, link_of_block};
use crate::{HostError, HostResult};

/// Most changes that a part may make; more of them are a whole repo.
const MOST: usize = 200_000;
/// Most changes in one commit.
const AT_ONCE: usize = 1_000;
/// How much of the file is read at a time.
const CHUNK: usize = 256 << 10;

/// Changes that only have to be stored.
pub(super) struct Planned {
    pub(super) root: Cid,
    pub(super) records: u64,
    changes: Vec<Change>,
    buckets: Vec<BucketChange>,
}

impl Planned {
    /// The units under this head.
    pub(super) fn units(self, ground: &Ground, head: &Head, now: i64) -> Vec<Unit> {
        let mut links =
            LinksUnit { did: ground.did.clone(), repo: ground.live.id, put: Vec::new(), gone: Vec::new() };
        for change in self.changes.iter().filter(|change| has_links(change.key.collection())) {
            let body = change.new.as_ref().and_then(|new| new.body.as_deref());
            match body.and_then(|body| link_of_block(&change.key, body)) {
                Some(link) => links.put.push(link),
                None => links.gone.push(change.key.clone()),
            }
        }
        vec![
            Unit::ApplyCommit {
                did: ground.did.clone(),
                expect: ground.live.rev,
                head: Box::new(head.clone()),
                changes: self.changes,
                buckets: BucketUpdate::Planned(self.buckets),
                seen: Seen { at: now, since: Some(ground.live.rev) },
            },
            Unit::Hosting(Box::new(HostingUnit::Links(links))),
        ]
    }
}

/// Reads a part and works out what it comes to; runs on a blocking thread.
pub(super) fn take(
    store: &Arc<dyn Store>,
    ground: &Ground,
    file: &Spooled,
    came: &Came,
) -> HostResult<Taken> {
    let old = ground.live.head.as_ref().ok_or_else(|| unexpected("a live repo without a head"))?.data;
    let rows = block_on(store.buckets(ground.live.id, true))?;
    let spine = Spine::from_buckets(rows.into_iter().map(Bucket::from).collect())
        .map_err(|error| unexpected(&error.to_string()))?;
    let part = Part::index(file)?;
    let (mut ours, mut theirs) =
        (Sides::new(store, ground, &spine, None), Sides::new(store, ground, &spine, Some(&part)));
    let found = diff(old, &mut ours, came.commit.data, &mut theirs, MOST.saturating_add(1));
    if let Some(error) = ours.failure.or(theirs.failure) {
        return Err(error);
    }
    let found = found.map_err(|error| {
        HostError::invalid(format!(
            "{error}; what is here does not complete this part of a repo: send the whole repo"
        ))
    })?;
    if !found.complete || found.ops.len() > MOST {
        return Err(HostError::invalid(format!(
            "this part of a repo changes more than {MOST} records: send the whole repo"
        )));
    }
    let reader = Bodies { store, ground, part: &part, spine: &spine };
    match reader.few(&found.ops, came)? {
        Some(planned) => Ok(Taken::Changes(Box::new(planned))),
        None => reader.merge(&found.ops, came).map(Taken::Staged),
    }
}

/// The blocks of a file: where they lie.
struct Part<'f> {
    file: &'f Spooled,
    places: HashMap<Cid, (u64, usize)>,
}

impl<'f> Part<'f> {
    /// Walks over the file and hashes every block.
    fn index(file: &'f Spooled) -> HostResult<Self> {
        let car = |error: CarError| bad_car(&ReadError::Car(error));
        let mut decoder = Decoder::new(CarLimits::DEFAULT);
        let (mut at, mut places) = (0_u64, HashMap::new());
        let mut chunk = vec![0; CHUNK];
        let length = file.len();
        while at < length {
            let count = usize::try_from(length.saturating_sub(at)).unwrap_or(CHUNK).min(CHUNK);
            let room = chunk.get_mut(..count).unwrap_or_default();
            file.read_at(at, room).map_err(|error| bad_car(&error.into()))?;
            at = at.saturating_add(count as u64);
            decoder.feed(room).map_err(car)?;
            decoder.header().map_err(car)?;
            while let Some(section) = decoder.section().map_err(car)? {
                let SectionCid::Plain(cid) = section.cid else { continue };
                if !cid.matches(section.bytes) {
                    return Err(bad_car(&ReadError::Hash { cid, offset: section.offset }));
                }
                places.insert(cid, (begin(section.offset, section.bytes.len()), section.bytes.len()));
            }
        }
        decoder.finish().map_err(car)?;
        Ok(Self { file, places })
    }

    fn read(&self, cid: &Cid) -> HostResult<Option<Vec<u8>>> {
        let Some((at, length)) = self.places.get(cid) else { return Ok(None) };
        let mut block = vec![0; *length];
        self.file.read_at(*at, &mut block).map_err(|error| bad_car(&error.into()))?;
        Ok(Some(block))
    }
}

/// Where the block of a section begins: after its length and its CID.
fn begin(offset: u64, length: usize) -> u64 {
    let mut rest = length.saturating_add(CID_LEN);
    let mut head = (CID_LEN as u64).saturating_add(1);
    while rest > 0x7f {
        rest >>= 7;
        head = head.saturating_add(1);
    }
    offset.saturating_add(head)
}

/// Nodes of a part, and behind them those of the stored tree, computed bucket by bucket.
struct Sides<'a> {
    store: &'a Arc<dyn Store>,
    ground: &'a Ground,
    spine: &'a Spine,
    part: Option<&'a Part<'a>>,
    known: HashMap<Cid, Vec<u8>>,
    failure: Option<HostError>,
}

impl<'a> Sides<'a> {
    fn new(
        store: &'a Arc<dyn Store>,
        ground: &'a Ground,
        spine: &'a Spine,
        part: Option<&'a Part<'a>>,
    ) -> Self {
        Self { store, ground, spine, part, known: HashMap::new(), failure: None }
    }

    fn learn(&mut self, cid: &Cid) -> HostResult<()> {
        if let Some(block) = self.part.map(|part| part.read(cid)).transpose()?.flatten() {
            self.known.insert(*cid, block);
            return Ok(());
        }
        for at in self.spine.find(cid) {
            let Some((lo, _)) = self.spine.range(at) else { continue };
            let rows = block_on(bucket_rows(&**self.store, &self.ground.live, self.spine, at, false))
                .map_err(stored(&self.ground.did))?;
            let keys: Vec<(&[u8], Cid)> = rows.iter().map(|row| (row.key.as_bytes(), row.cid)).collect();
            if let Ok(nodes) = nodes_of(lo, &keys) {
                self.known.extend(nodes);
            }
            if self.known.contains_key(cid) {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Nodes for Sides<'_> {
    fn get(&mut self, cid: &Cid) -> Option<&[u8]> {
        if self.spine.node(cid).is_none()
            && !self.known.contains_key(cid)
            && self.failure.is_none()
            && let Err(error) = self.learn(cid)
        {
            self.failure = Some(error);
        }
        self.spine.node(cid).or_else(|| self.known.get(cid).map(Vec::as_slice))
    }
}

/// Bodies of a part, and of records that stand here already.
struct Bodies<'a> {
    store: &'a Arc<dyn Store>,
    ground: &'a Ground,
    part: &'a Part<'a>,
    spine: &'a Spine,
}

impl Bodies<'_> {
    fn body(&self, key: &str, cid: &Cid) -> HostResult<Vec<u8>> {
        if let Some(body) = self.part.read(cid)? {
            return Ok(body);
        }
        // The same bytes may stand at another key already; a part leaves them out then.
        for at in self.spine.find(cid) {
            let rows = block_on(bucket_rows(&**self.store, &self.ground.live, self.spine, at, false))
                .map_err(stored(&self.ground.did))?;
            if let Some(row) = rows.into_iter().find(|row| row.cid == *cid)
                && let Some(row) = block_on(self.store.record(self.ground.live.id, &row.key))?
                && let Some(body) = row.body.filter(|_| !row.damaged)
            {
                return Ok(body);
            }
        }
        Err(HostError::invalid(format!(
            "Could not parse record at '{key}': its block {cid} is not in the file; export the repo again"
        )))
    }

    /// The changes as one commit; `None` when they are too many for that.
    fn few(&self, ops: &[Op], came: &Came) -> HostResult<Option<Planned>> {
        if ops.len() > AT_ONCE {
            return Ok(None);
        }
        let (mut changes, mut bytes) = (Vec::with_capacity(ops.len()), 0_usize);
        for op in ops {
            let key =
                RecordPath::from_bytes(&op.key).map_err(|error| HostError::invalid(error.to_string()))?;
            let new = match op.new() {
                Some(cid) => {
                    let body = self.body(key.as_str(), &cid)?;
                    bytes = bytes.saturating_add(body.len());
                    Some(Version { cid, blobs: blobs_of(&body), body: Some(body) })
                }
                None => None,
            };
            changes.push(Change { key, old: op.old(), new });
            if bytes > CHUNK_BYTES {
                return Ok(None);
            }
        }
        let keys: Vec<&[u8]> = ops.iter().map(|op| op.key.as_slice()).collect();
        let mut spine = self.spine.clone();
        let touched = block_on(Touched::load(&**self.store, &self.ground.live, &spine, &keys))
            .map_err(stored(&self.ground.did))?;
        let plan = touched.plan(&mut spine, ops).map_err(stored(&self.ground.did))?;
        proved(plan.root, came)?;
        let buckets = stored_changes(plan.bucket_changes, self.ground.rev);
        Ok(Some(Planned { root: plan.root, records: spine.records(), changes, buckets }))
    }

    /// The changes and what is here as a new repo.
    fn merge(&self, ops: &[Op], came: &Came) -> HostResult<p2pds_store::view::Staged> {
        let mut taker = Taker::begin(self.store, self.ground, came.cid)?;
        let repo = taker.repo();
        let staged = self.merge_into(&mut taker, ops).and_then(|()| taker.finish());
        match staged.and_then(|staged| proved(staged.root, came).map(|()| staged)) {
            Ok(staged) => Ok(staged),
            Err(error) => {
                block_on(drop_repo(&**self.store, &self.ground.did, repo));
                Err(error)
            }
        }
    }

    fn merge_into(&self, taker: &mut Taker<'_>, ops: &[Op]) -> HostResult<()> {
        let mut ops = ops.iter().peekable();
        let mut rows = page(&**self.store, self.ground.live.id, None)?;
        while let Some(last) = rows.last_key().map(<[u8]>::to_vec) {
            for (key, cid, body) in (0..rows.len()).filter_map(|at| rows.get(at)) {
                while let Some(op) = ops.next_if(|op| op.key.as_slice() < key) {
                    self.put(taker, op)?;
                }
                match ops.peek().map(|op| op.key.as_slice().cmp(key)) {
                    Some(Ordering::Equal) => {
                        if let Some(op) = ops.next() {
                            self.put(taker, op)?;
                        }
                    }
                    _ => taker.take(key, &cid, body)?,
                }
            }
            rows = page(&**self.store, self.ground.live.id, Some(&last))?;
        }
        for op in ops {
            self.put(taker, op)?;
        }
        Ok(())
    }

    fn put(&self, taker: &mut Taker<'_>, op: &Op) -> HostResult<()> {
        let Some(cid) = op.new() else { return Ok(()) };
        let body = self.body(&String::from_utf8_lossy(&op.key), &cid)?;
        taker.take(&op.key, &cid, Some(&body))
    }
}

/// The root that the changes give must be the one that was signed.
fn proved(root: Cid, came: &Came) -> HostResult<()> {
    if root == came.commit.data {
        return Ok(());
    }
    Err(HostError::invalid(format!(
        "the changes lead to the tree {root}, the commit names {}: send the whole repo",
        came.commit.data
    )))
}
