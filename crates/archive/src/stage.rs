//! From a CAR file to a staged repo: read in whatever order its blocks are, proved on the way, written in small units.
//!
//! Nothing of it is visible until the flip. Killed anywhere, the staging repo is dropped and staging begins again from
//! the file.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use p2pds_ipld::Cid;
use p2pds_ipld::cbor::{Item, Limits, scan};
use p2pds_repo::bucket::{Bucket, BucketBuilder};
use p2pds_repo::car_in::{ReadError, ReadOptions, Scratch, Sink, Spool as CarSpool, Summary};
use p2pds_repo::commit::Commit;
use p2pds_store::{
    Applied, BlobRef, BucketRow, CHUNK_BYTES, CHUNK_ROWS, Kind, Receipt, RepoId, StagedRow, Store,
    StoreError, Unit,
};
use p2pds_syntax::{Did, RecordPath, Tid};
use tokio::runtime::Handle;

use crate::error::{ArchiveError, ArchiveResult};
use crate::progress::Counter;

/// Units on their way to the store at a time.
const WINDOW: usize = 8;
/// Bucket rows in one unit.
const BUCKETS: usize = 200;
/// Odd records listed by name.
const MAX_ODD: usize = 1_000;

/// What reading a file came to.
#[derive(Debug)]
pub(crate) enum Staged {
    /// All of it is proved and staged.
    Whole(Box<StagedRepo>),
    /// Hashes fit and the tree reads as a tree, but it is not the one that its records give.
    Irreproducible(String),
}

/// A staged repo, ready for its flip.
#[derive(Debug)]
pub(crate) struct StagedRepo {
    pub(crate) repo: RepoId,
    pub(crate) summary: Summary,
    /// Records that are not strict DRISL, with what is odd.
    pub(crate) odd: Vec<(String, String)>,
    /// How many there are.
    pub(crate) odd_count: u64,
}

/// The commit of a CAR file, and its CID.
pub(crate) struct Peeked {
    pub(crate) cid: Cid,
    pub(crate) commit: Commit,
    pub(crate) bytes: Vec<u8>,
}

/// A file that lies there already, as scratch space of the reader.
pub(crate) struct CarFile {
    file: File,
    len: u64,
}

impl CarFile {
    pub(crate) fn open(path: &Path) -> ArchiveResult<Self> {
        let file = File::open(path).map_err(ArchiveError::io("open", path))?;
        let len = file.metadata().map_err(ArchiveError::io("open", path))?.len();
        Ok(Self { file, len })
    }
}

impl Scratch for CarFile {
    fn append(&mut self, _: &[u8]) -> io::Result<()> {
        Err(io::Error::other("this file is only read"))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn len(&self) -> u64 {
        self.len
    }
}

/// Reads the commit of a CAR file and nothing else of it.
pub(crate) fn peek(path: &Path, options: ReadOptions) -> ArchiveResult<Result<Peeked, ReadError>> {
    let mut sink = OnlyCommit(None);
    let outcome = CarSpool::read(CarFile::open(path)?, options, &mut sink);
    Ok(match (sink.0, outcome) {
        (Some((cid, commit)), _) => {
            let bytes = commit.encode();
            Ok(Peeked { cid, commit, bytes })
        }
        (None, Err(error)) => Err(error),
        (None, Ok(_)) => return Err(ArchiveError::Bug("a CAR was read without its commit".to_owned())),
    })
}

struct OnlyCommit(Option<(Cid, Commit)>);

impl Sink for OnlyCommit {
    fn commit(&mut self, cid: &Cid, commit: &Commit) -> ControlFlow<()> {
        self.0 = Some((*cid, commit.clone()));
        ControlFlow::Break(())
    }

    fn record(&mut self, _: &[u8], _: &Cid, _: Option<&[u8]>) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

/// Reads a CAR file into a new staging repo. Runs on a blocking thread.
///
/// The commit was read and judged before; here only the tree and the records are proved.
pub(crate) fn stage(
    store: &Arc<dyn Store>,
    runtime: &Handle,
    did: &Did,
    path: &Path,
    commit: &Peeked,
    options: ReadOptions,
    counter: &Counter,
) -> ArchiveResult<Result<Staged, ReadError>> {
    let rev = commit.commit.rev;
    let begin = Unit::BeginStaging { did: did.clone(), kind: Kind::Mst, rev };
    let repo = match runtime.block_on(store.apply(begin))? {
        Applied::Staging(repo) => repo,
        other => return Err(ArchiveError::Bug(format!("BeginStaging answered {other:?}"))),
    };
    let buckets = Rc::new(RefCell::new(Vec::new()));
    let to = Rc::clone(&buckets);
    let mut stager = Stager {
        pipe: Pipe { store, runtime, window: VecDeque::new() },
        did,
        repo,
        rev,
        expect: commit.cid,
        rows: Vec::new(),
        bytes: 0,
        builder: BucketBuilder::new(Box::new(move |bucket| to.borrow_mut().push(bucket)) as BucketSink),
        buckets,
        odd: Vec::new(),
        odd_count: 0,
        failure: None,
        counter,
    };
    let outcome = CarSpool::read(CarFile::open(path)?, options, &mut stager);
    if let Some(failure) = stager.failure.take() {
        return Err(failure);
    }
    let summary = match outcome {
        Ok((summary, _)) => summary,
        Err(error) if error.is_irreproducible() => return Ok(Ok(Staged::Irreproducible(error.to_string()))),
        Err(error) => return Ok(Err(error)),
    };
    let (odd, odd_count) = (std::mem::take(&mut stager.odd), stager.odd_count);
    let root = stager.finish()?;
    if root != commit.commit.data {
        // The reader proved the tree node by node, so this would be a difference between two of our own builders.
        return Err(ArchiveError::Bug(format!(
            "the records of {did} build {root}, the reader proved {}",
            summary.commit.data
        )));
    }
    Ok(Ok(Staged::Whole(Box::new(StagedRepo { repo, summary, odd, odd_count }))))
}

type BucketSink = Box<dyn FnMut(Bucket)>;

/// Units on their way: a few at a time, so that they share flushes, never more.
struct Pipe<'a> {
    store: &'a Arc<dyn Store>,
    runtime: &'a Handle,
    window: VecDeque<Receipt>,
}

impl Pipe<'_> {
    fn send(&mut self, unit: Unit) -> Result<(), StoreError> {
        while self.window.len() >= WINDOW {
            self.wait()?;
        }
        self.window.push_back(self.store.submit(unit));
        Ok(())
    }

    fn wait(&mut self) -> Result<(), StoreError> {
        match self.window.pop_front() {
            Some(receipt) => self.runtime.block_on(receipt).map(|_| ()),
            None => Ok(()),
        }
    }

    fn drain(&mut self) -> Result<(), StoreError> {
        while !self.window.is_empty() {
            self.wait()?;
        }
        Ok(())
    }
}

struct Stager<'a> {
    pipe: Pipe<'a>,
    did: &'a Did,
    repo: RepoId,
    rev: Tid,
    expect: Cid,
    rows: Vec<StagedRow>,
    bytes: usize,
    builder: BucketBuilder<BucketSink>,
    buckets: Rc<RefCell<Vec<Bucket>>>,
    odd: Vec<(String, String)>,
    odd_count: u64,
    failure: Option<ArchiveError>,
    counter: &'a Counter,
}

impl Stager<'_> {
    fn take(&mut self, key: &[u8], cid: &Cid, body: Option<&[u8]>) -> ArchiveResult<()> {
        let path = RecordPath::from_bytes(key).map_err(|error| ArchiveError::Bug(error.to_string()))?;
        self.builder.push(key, cid).map_err(|error| ArchiveError::Bug(error.to_string()))?;
        let mut blobs = Vec::new();
        if let Some(body) = body {
            let (found, odd) = blobs_of(body);
            blobs = found;
            if let Some(odd) = odd {
                self.odd_count = self.odd_count.saturating_add(1);
                if self.odd.len() < MAX_ODD {
                    self.odd.push((path.to_string(), odd));
                }
            }
        }
        let size = body.map_or(0, <[u8]>::len);
        if self.rows.len() >= CHUNK_ROWS || self.bytes.saturating_add(size) > CHUNK_BYTES {
            self.flush()?;
        }
        self.bytes = self.bytes.saturating_add(size);
        self.rows.push(StagedRow { key: path, cid: *cid, body: body.map(<[u8]>::to_vec), blobs });
        Ok(())
    }

    fn flush(&mut self) -> ArchiveResult<()> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if !rows.is_empty() {
            self.counter.add(u64::try_from(rows.len()).unwrap_or(0));
            self.pipe.send(Unit::StageRecords { did: self.did.clone(), repo: self.repo, rows })?;
        }
        let ready = {
            let mut buckets = self.buckets.borrow_mut();
            if buckets.len() < BUCKETS { Vec::new() } else { std::mem::take(&mut *buckets) }
        };
        self.send_buckets(ready)
    }

    fn send_buckets(&mut self, buckets: Vec<Bucket>) -> ArchiveResult<()> {
        let rows: Vec<BucketRow> =
            buckets.into_iter().map(|bucket| BucketRow::new(bucket, self.rev)).collect();
        for rows in rows.chunks(BUCKETS) {
            let unit = Unit::StageBuckets { did: self.did.clone(), repo: self.repo, rows: rows.to_vec() };
            self.pipe.send(unit)?;
        }
        Ok(())
    }

    /// Everything is on the disk when this returns; the root that the rows build.
    fn finish(mut self) -> ArchiveResult<Cid> {
        self.flush()?;
        let builder =
            std::mem::replace(&mut self.builder, BucketBuilder::new(Box::new(|_| {}) as BucketSink));
        let built = builder.finish();
        let rest = std::mem::take(&mut *self.buckets.borrow_mut());
        self.send_buckets(rest)?;
        self.pipe.drain()?;
        Ok(built.root)
    }
}

impl Sink for Stager<'_> {
    fn commit(&mut self, cid: &Cid, _: &Commit) -> ControlFlow<()> {
        if *cid == self.expect {
            return ControlFlow::Continue(());
        }
        self.failure = Some(ArchiveError::Bug("the file changed while it was read".to_owned()));
        ControlFlow::Break(())
    }

    fn record(&mut self, key: &[u8], cid: &Cid, body: Option<&[u8]>) -> ControlFlow<()> {
        match self.take(key, cid, body) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// The blobs that a record names, each once, and what is odd about the record if something is.
pub(crate) fn blobs_of(body: &[u8]) -> (Vec<BlobRef>, Option<String>) {
    let mut blobs: Vec<BlobRef> = Vec::new();
    let outcome = scan(body, &Limits::RECORD, &mut |item| {
        if let Item::Blob(blob) = item
            && !blobs.iter().any(|known| known.cid == blob.cid)
        {
            blobs.push(BlobRef { cid: blob.cid, size: blob.size.unwrap_or(0), mime: blob.mime.to_owned() });
        }
    });
    (blobs, outcome.err().map(|error| error.to_string()))
}
