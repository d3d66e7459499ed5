//! From a CAR file to a staged repo: read in whatever order its blocks are, proved on the way, written in small units.
//!
//! Nothing of it is visible until the flip. Killed anywhere, the staging repo is dropped and staging begins again from
//! the file.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use p2pds_ipld::Cid;
use p2pds_ipld::cbor::{Item, Limits, scan};
use p2pds_repo::car_in::{ReadError, ReadOptions, Sink, Spool as CarSpool, Summary};
use p2pds_repo::commit::Commit;
use p2pds_store::view::{Stager, ViewError};
use p2pds_store::{BlobRef, RepoId, StagedRow, Store};
use p2pds_syntax::{Did, RecordPath};

use crate::car_file::CarFile;
use crate::error::{ArchiveError, ArchiveResult};
use crate::progress::Counter;

/// Records between two looks at the clock.
const STEP: u64 = 500;
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

/// Reads the commit of a CAR file and nothing else of it.
pub(crate) fn peek(path: &Path, options: ReadOptions) -> ArchiveResult<Result<Peeked, ReadError>> {
    let mut sink = OnlyCommit(None);
    let outcome =
        CarSpool::read(CarFile::open(path).map_err(ArchiveError::io("open", path))?, options, &mut sink);
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
    did: &Did,
    path: &Path,
    commit: &Peeked,
    options: ReadOptions,
    counter: &Counter,
) -> ArchiveResult<Result<Staged, ReadError>> {
    let rows = Stager::begin(Arc::clone(store), did.clone(), commit.commit.rev).map_err(view_error)?;
    let mut taker = Taker {
        rows,
        expect: commit.cid,
        odd: Vec::new(),
        odd_count: 0,
        uncounted: 0,
        failure: None,
        counter,
    };
    let outcome =
        CarSpool::read(CarFile::open(path).map_err(ArchiveError::io("open", path))?, options, &mut taker);
    if let Some(failure) = taker.failure.take() {
        return Err(failure);
    }
    let summary = match outcome {
        Ok((summary, _)) => summary,
        Err(error) if error.is_irreproducible() => return Ok(Ok(Staged::Irreproducible(error.to_string()))),
        Err(error) => return Ok(Err(error)),
    };
    let Taker { rows, odd, odd_count, uncounted, .. } = taker;
    counter.add(uncounted);
    let staged = rows.finish().map_err(view_error)?;
    if staged.root != commit.commit.data {
        // The reader proved the tree node by node, so this would be a difference between two of our own builders.
        let (ours, proved) = (staged.root, summary.commit.data);
        return Err(ArchiveError::Bug(format!(
            "the records of {did} build {ours}, the reader proved {proved}"
        )));
    }
    Ok(Ok(Staged::Whole(Box::new(StagedRepo { repo: staged.repo, summary, odd, odd_count }))))
}

/// Hands records from the reader to the store.
struct Taker<'a> {
    rows: Stager,
    expect: Cid,
    odd: Vec<(String, String)>,
    odd_count: u64,
    uncounted: u64,
    failure: Option<ArchiveError>,
    counter: &'a Counter,
}

impl Taker<'_> {
    fn take(&mut self, key: &[u8], cid: &Cid, body: Option<&[u8]>) -> ArchiveResult<()> {
        let key = RecordPath::from_bytes(key).map_err(|error| ArchiveError::Bug(error.to_string()))?;
        let mut blobs = Vec::new();
        if let Some(body) = body {
            let (found, odd) = blobs_of(body);
            blobs = found;
            if let Some(odd) = odd {
                self.odd_count = self.odd_count.saturating_add(1);
                if self.odd.len() < MAX_ODD {
                    self.odd.push((key.to_string(), odd));
                }
            }
        }
        self.uncounted = self.uncounted.saturating_add(1);
        if self.uncounted >= STEP {
            self.counter.add(std::mem::take(&mut self.uncounted));
        }
        let row = StagedRow { key, cid: *cid, body: body.map(<[u8]>::to_vec), blobs };
        self.rows.push(row).map_err(view_error)
    }
}

/// A failure of the stored view as the archive reports it.
fn view_error(error: ViewError) -> ArchiveError {
    match error {
        ViewError::Store(error) => error.into(),
        other => ArchiveError::Bug(other.to_string()),
    }
}

impl Sink for Taker<'_> {
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
