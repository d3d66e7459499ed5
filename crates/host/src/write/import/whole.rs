//! A whole repo: proved while it is read, stored out of sight.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use p2pds_ipld::Cid;
use p2pds_ipld::cbor::{Item, Limits, scan};
use p2pds_repo::car_in::{ReadError, ReadOptions, Sink, Spool};
use p2pds_repo::commit::Commit;
use p2pds_store::hosting::{LinkRow, LinksUnit};
use p2pds_store::view::{self, Staged, Stager, block_on};
use p2pds_store::{BlobRef, HostingUnit, Receipt, StagedRow, Store, Unit};
use p2pds_syntax::RecordPath;

use super::spooled::Spooled;
use super::{Came, Ground, bad_car, stored, unexpected};
use crate::write::backlinks::link_of_block;
use crate::{HostError, HostResult};

/// Units of marks on their way at a time.
const IN_FLIGHT: usize = 4;
/// Marks of one unit. Each stands elsewhere in the index, and changes a page of its own there: a thousand of them are a
/// flush of 5 MiB, for which others would wait.
const LINKS: usize = 250;

/// Reads the commit of a file and nothing else.
pub(super) fn peek(file: &Spooled, options: ReadOptions) -> HostResult<Came> {
    let mut sink = OnlyCommit(None);
    let outcome = Spool::read(file, options, &mut sink);
    match (sink.0, outcome) {
        (Some((cid, commit)), _) => Ok(Came { cid, commit }),
        (None, Err(error)) => Err(bad_car(&error)),
        (None, Ok(_)) => Err(unexpected("a CAR was read without its commit")),
    }
}

/// Reads a file whose tree is here already to its end: one that was cut off or damaged on its way is refused all the
/// same. What a part of a repo leaves out is here.
pub(super) fn read_through(file: &Spooled, options: ReadOptions) -> HostResult<()> {
    match Spool::read(file, options, &mut Unheeded) {
        Ok(_) | Err(ReadError::MissingNode(_)) => Ok(()),
        Err(error) => Err(bad_car(&error)),
    }
}

struct Unheeded;

impl Sink for Unheeded {
    fn record(&mut self, _: &[u8], _: &Cid, _: Option<&[u8]>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
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

/// Reads a file into a new staging repo; runs on a blocking thread. The inner error is the file's.
pub(super) fn stage(
    store: &Arc<dyn Store>,
    ground: &Ground,
    file: &Spooled,
    came: &Came,
    options: ReadOptions,
) -> HostResult<Result<Staged, ReadError>> {
    let mut taker = Taker::begin(store, ground, came.cid)?;
    let outcome = Spool::read(file, options, &mut taker);
    let repo = taker.rows.repo();
    let failed = match (taker.failure.take(), outcome) {
        (Some(failure), _) => Err(failure),
        (None, Err(error)) => Ok(Err(error)),
        (None, Ok(_)) => match taker.finish() {
            Ok(staged) if staged.root == came.commit.data => return Ok(Ok(staged)),
            Ok(staged) => Err(unexpected(&format!(
                "the records of {} build {}, the reader proved {}",
                ground.did, staged.root, came.commit.data
            ))),
            Err(error) => Err(error),
        },
    };
    block_on(super::drop_repo(&**store, &ground.did, repo));
    failed
}

/// Hands records to the store, with the marks of their subjects.
pub(super) struct Taker<'g> {
    store: Arc<dyn Store>,
    ground: &'g Ground,
    /// The commit that the file must have.
    expect: Cid,
    rows: Stager,
    links: Vec<LinkRow>,
    receipts: VecDeque<Receipt>,
    failure: Option<HostError>,
}

impl<'g> Taker<'g> {
    pub(super) fn begin(store: &Arc<dyn Store>, ground: &'g Ground, expect: Cid) -> HostResult<Self> {
        let rows =
            Stager::begin(Arc::clone(store), ground.did.clone(), ground.rev).map_err(stored(&ground.did))?;
        Ok(Self {
            store: Arc::clone(store),
            ground,
            expect,
            rows,
            links: Vec::new(),
            receipts: VecDeque::new(),
            failure: None,
        })
    }

    pub(super) fn take(&mut self, key: &[u8], cid: &Cid, body: Option<&[u8]>) -> HostResult<()> {
        let key = RecordPath::from_bytes(key).map_err(|error| HostError::invalid(error.to_string()))?;
        let body = match body {
            Some(body) => body.to_vec(),
            None => self.known(&key, cid)?,
        };
        if let Some(link) = link_of_block(&key, &body) {
            self.links.push(link);
            if self.links.len() >= LINKS {
                self.send_links()?;
            }
        }
        let blobs = blobs_of(&body);
        let row = StagedRow { key, cid: *cid, body: Some(body), blobs };
        self.rows.push(row).map_err(stored(&self.ground.did))
    }

    /// The record that the file leaves out and the repo here has.
    fn known(&self, key: &RecordPath, cid: &Cid) -> HostResult<Vec<u8>> {
        let row = block_on(self.store.record(self.ground.live.id, key))?;
        row.filter(|row| row.cid == *cid && !row.damaged).and_then(|row| row.body).ok_or_else(|| {
            HostError::invalid(format!(
                "Could not parse record at '{key}': its block {cid} is not in the file; export the repo again"
            ))
        })
    }

    fn send_links(&mut self) -> HostResult<()> {
        while self.receipts.len() >= IN_FLIGHT {
            self.wait_one()?;
        }
        let put = std::mem::take(&mut self.links);
        let (did, repo) = (self.ground.did.clone(), self.rows.repo());
        let unit = LinksUnit { did, repo, put, gone: Vec::new() };
        self.receipts.push_back(self.store.submit(Unit::Hosting(Box::new(HostingUnit::Links(unit)))));
        Ok(())
    }

    fn wait_one(&mut self) -> HostResult<()> {
        match self.receipts.pop_front() {
            Some(receipt) => Ok(block_on(receipt).map(|_| ())?),
            None => Ok(()),
        }
    }

    /// Waits until everything is durable.
    pub(super) fn finish(mut self) -> HostResult<Staged> {
        if !self.links.is_empty() {
            self.send_links()?;
        }
        while !self.receipts.is_empty() {
            self.wait_one()?;
        }
        self.rows.finish().map_err(stored(&self.ground.did))
    }

    /// Where it is staged.
    pub(super) fn repo(&self) -> p2pds_store::RepoId {
        self.rows.repo()
    }
}

impl Sink for Taker<'_> {
    fn commit(&mut self, cid: &Cid, _: &Commit) -> ControlFlow<()> {
        if *cid == self.expect {
            return ControlFlow::Continue(());
        }
        self.failure = Some(unexpected("a spooled file changed while it was read"));
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

/// The blobs that a record names, each once; of one that cannot be read, those before the fault.
pub(super) fn blobs_of(body: &[u8]) -> Vec<BlobRef> {
    let mut blobs: Vec<BlobRef> = Vec::new();
    let _ = scan(body, &Limits::RECORD, &mut |item| {
        if let Item::Blob(blob) = item
            && !blobs.iter().any(|known| known.cid == blob.cid)
        {
            blobs.push(BlobRef { cid: blob.cid, size: blob.size.unwrap_or(0), mime: blob.mime.to_owned() });
        }
    });
    blobs
}

/// The store's page of records from a key on, with bodies.
pub(super) fn page(
    store: &dyn Store,
    repo: p2pds_store::RepoId,
    after: Option<&[u8]>,
) -> HostResult<p2pds_store::RowPage> {
    let mut query = p2pds_store::RecordsQuery::all(repo);
    if let Some(after) = after {
        (query.from, query.inclusive) = (after.to_vec(), false);
    }
    Ok(block_on(store.record_page(query))?)
}

pub(super) use view::Touched;
