//! A repo as a CAR stream.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use p2pds_repo::bucket::Spine;
use p2pds_repo::car_out::{Export, Row};
use p2pds_syntax::RecordPath;

use super::{ViewResult, head};
use crate::{RecordRow, RecordsQuery, Repo, Store, StoreResult, commit_of};

type Page = Pin<Box<dyn Future<Output = StoreResult<Vec<RecordRow>>> + Send>>;

/// Rows and bytes of one read.
const PAGE_ROWS: usize = 4_000;
const PAGE_BYTES: usize = 1 << 20;

/// Exports a live repo in streamable order, piece by piece.
///
/// All pieces show the state at the rev of the `repo` that it was opened with, although no
/// snapshot is held between them: what later commits replace is read from the history. The next
/// page is read while the present one is written.
pub struct ExportStream {
    store: Arc<dyn Store>,
    spine: Arc<Spine>,
    export: Export<Arc<Spine>>,
    query: RecordsQuery,
    rows: VecDeque<RecordRow>,
    ahead: Option<Page>,
    out: Vec<u8>,
}

impl ExportStream {
    /// Begins an export; `spine` is that of `repo`.
    ///
    /// # Errors
    /// When there is no head, or the spine is of another tree.
    pub fn new(store: Arc<dyn Store>, repo: &Repo, spine: Arc<Spine>) -> ViewResult<Self> {
        let head = head(repo)?;
        let commit = commit_of(&repo.did, head).encode();
        let mut out = Vec::new();
        let export = Export::new(Arc::clone(&spine), &head.commit, &commit, head.data, &mut out)?;
        let mut query = RecordsQuery::all(repo.id);
        query.max_rows = PAGE_ROWS;
        query.max_bytes = PAGE_BYTES;
        query.at = Some(head.rev);
        let mut stream = Self { store, spine, export, query, rows: VecDeque::new(), ahead: None, out };
        stream.read_ahead();
        Ok(stream)
    }

    /// Asks for the page after the rows at hand (or the first one) without waiting for it.
    fn read_ahead(&mut self) {
        if let Some(last) = self.rows.back() {
            self.query.from = last.key.as_bytes().to_vec();
            self.query.inclusive = false;
        }
        let (store, query) = (Arc::clone(&self.store), self.query.clone());
        let mut next: Page = Box::pin(async move { store.records(query).await });
        // One poll hands the read to the store; its waker is replaced by the later await.
        if let Poll::Ready(done) = next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            next = Box::pin(std::future::ready(done));
        }
        self.ahead = Some(next);
    }

    /// The next piece of the file, about a page long; `None` at its end.
    ///
    /// # Errors
    /// Damage in what is stored, or what the store says (the account was purged, the repo was
    /// replaced: begin again).
    pub async fn next(&mut self) -> ViewResult<Option<Vec<u8>>> {
        while let Some(index) = self.export.bucket() {
            let spine = Arc::clone(&self.spine);
            let hi = spine.range(index).and_then(|(_, hi)| hi);
            let complete = |rows: &VecDeque<RecordRow>| {
                hi.is_some_and(|hi| rows.back().is_some_and(|last| last.key.as_bytes() >= hi))
            };
            let mut ended = self.ahead.is_none();
            while !ended && !complete(&self.rows) {
                let Some(page) = self.ahead.take() else { break };
                let page = page.await?;
                if page.is_empty() {
                    ended = true;
                } else {
                    ended = page.len() < PAGE_ROWS && bytes_of(&page) < PAGE_BYTES;
                    self.rows.extend(page);
                    if !ended {
                        self.read_ahead();
                    }
                }
            }
            let n = match hi {
                Some(hi) => self.rows.partition_point(|row| row.key.as_bytes() < hi),
                None => self.rows.len(),
            };
            let rows: Vec<Row<Key, Vec<u8>>> =
                self.rows.drain(..n).map(|r| Row { key: Key(r.key), cid: r.cid, body: r.body }).collect();
            self.export.rows(&rows, &mut self.out)?;
            if self.out.len() >= PAGE_BYTES {
                return Ok(Some(std::mem::take(&mut self.out)));
            }
        }
        Ok(Some(std::mem::take(&mut self.out)).filter(|out| !out.is_empty()))
    }
}

/// A record's path as the engine takes keys.
struct Key(RecordPath);

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

fn bytes_of(rows: &[RecordRow]) -> usize {
    rows.iter().map(|row| row.body.as_ref().map_or(0, Vec::len)).sum()
}
