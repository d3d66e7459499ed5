//! A repo as a CAR stream.

use std::collections::VecDeque;
use std::sync::Arc;

use p2pds_ipld::Cid;
use p2pds_repo::bucket::Spine;
use p2pds_repo::car_out::{Export, Row};

use super::{Ahead, ViewResult, head};
use crate::{RecordsQuery, Repo, RowPage, Store, StoreResult, commit_of};

type Page = Ahead<'static, StoreResult<RowPage>>;

/// Rows and bytes of one read.
const PAGE_ROWS: usize = 4_000;
const PAGE_BYTES: usize = 1 << 20;
/// Bytes of the first read and piece, so that a reader need not wait for a whole page; each next one has twice as many.
const FIRST_BYTES: usize = 64 << 10;

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
    pages: VecDeque<RowPage>,
    /// First row of the first page that is not written yet.
    at: usize,
    ahead: Option<Page>,
    out: Vec<u8>,
    /// Bytes of the next piece.
    piece: usize,
    /// Records whose blocks are left out.
    left_out: Option<LeftOut>,
}

type LeftOut = Box<dyn Fn(&Cid) -> bool + Send + Sync>;

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
        query.max_bytes = FIRST_BYTES;
        query.at = Some(head.rev);
        let mut stream = Self {
            store,
            spine,
            export,
            query,
            pages: VecDeque::new(),
            at: 0,
            ahead: None,
            out,
            piece: FIRST_BYTES,
            left_out: None,
        };
        stream.read_ahead();
        Ok(stream)
    }

    /// The same without the blocks of some records; the tree still names them.
    #[must_use]
    pub fn leaving_out(mut self, records: impl Fn(&Cid) -> bool + Send + Sync + 'static) -> Self {
        self.left_out = Some(Box::new(records));
        self
    }

    /// Asks for the page after those at hand (or the first one) without waiting for it.
    fn read_ahead(&mut self) {
        if let Some(last) = self.pages.back().and_then(RowPage::last_key) {
            self.query.from = last.to_vec();
            self.query.inclusive = false;
            self.query.max_bytes = self.query.max_bytes.saturating_mul(2).min(PAGE_BYTES);
        }
        let (store, query) = (Arc::clone(&self.store), self.query.clone());
        self.ahead = Some(Ahead::new(Box::pin(async move { store.record_page(query).await })));
    }

    /// Reads until the last page goes beyond the bucket that ends at `hi`, or to the end.
    async fn load_until(&mut self, hi: Option<&[u8]>) -> ViewResult<()> {
        let beyond = |pages: &VecDeque<RowPage>| {
            hi.is_some_and(|hi| pages.back().and_then(RowPage::last_key).is_some_and(|last| last >= hi))
        };
        while !beyond(&self.pages) {
            let Some(page) = self.ahead.take() else { return Ok(()) };
            let page = page.await?;
            let last = page.len() < PAGE_ROWS && page.body_bytes() < self.query.max_bytes;
            if !page.is_empty() {
                self.pages.push_back(page);
            }
            if !last {
                self.read_ahead();
            }
        }
        Ok(())
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
            self.load_until(hi).await?;
            let (mut rows, mut pages, mut at) = (Vec::new(), 0_usize, self.at);
            while let Some(page) = self.pages.get(pages) {
                match page.get(at) {
                    Some((key, ..)) if hi.is_some_and(|hi| key >= hi) => break,
                    Some((key, cid, body)) => {
                        let out = self.left_out.as_ref().is_some_and(|left_out| left_out(&cid));
                        rows.push(Row { key, cid, body: body.filter(|_| !out) });
                        at = at.saturating_add(1);
                    }
                    None => (pages, at) = (pages.saturating_add(1), 0),
                }
            }
            self.export.rows(&rows, &mut self.out)?;
            self.at = at;
            self.pages.drain(..pages);
            if self.out.len() >= self.piece {
                self.piece = self.piece.saturating_mul(2).min(PAGE_BYTES);
                return Ok(Some(std::mem::take(&mut self.out)));
            }
        }
        Ok(Some(std::mem::take(&mut self.out)).filter(|out| !out.is_empty()))
    }
}
