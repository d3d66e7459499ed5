//! A repo as a CAR stream.

use std::collections::VecDeque;
use std::sync::Arc;

use p2pds_ipld::Cid;
use p2pds_repo::bucket::{Bucket, Spine};
use p2pds_repo::car_out::{Export, Row};

use super::{Ahead, ViewResult, head};
use crate::{RecordsQuery, Repo, RowPage, Store, StoreResult, commit_of};

type Page = Ahead<'static, StoreResult<RowPage>>;

/// Rows and bytes of one read.
const PAGE_ROWS: usize = 4_000;
const PAGE_BYTES: usize = 256 << 10;
/// Most buckets have fewer records than this.
const ONE_BUCKET: usize = 400;
/// Room in a piece beyond its size: for the bucket with which it is full.
const OVER: usize = 96 << 10;
/// Bytes of the first piece, so that a reader need not wait for a whole page; each next one has twice as many, and so
/// have the reads after the first.
const FIRST_BYTES: usize = 64 << 10;
/// The first read takes the first buckets that have so many records together, and no other: from that the first piece can
/// be made, and what lies further away need not come from the disk before it.
const FIRST_ROWS: u32 = 200;
/// Most bytes of the first read.
const FIRST_MOST: usize = 4 * FIRST_BYTES;

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
    /// All rows before this key were read, when that is known otherwise than from the last row.
    read_to: Option<Vec<u8>>,
    out: Vec<u8>,
    /// Bytes of the last read, of which the next has twice as many.
    read_bytes: usize,
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
        let mut out = Vec::with_capacity(FIRST_BYTES.saturating_add(OVER));
        let export = Export::new(Arc::clone(&spine), &head.commit, &commit, head.data, &mut out)?;
        let mut query = RecordsQuery::all(repo.id);
        query.max_rows = PAGE_ROWS;
        query.max_bytes = FIRST_MOST;
        query.until = first_end(&spine);
        query.at = Some(head.rev);
        let mut stream = Self {
            store,
            spine,
            export,
            query,
            pages: VecDeque::new(),
            at: 0,
            ahead: None,
            read_to: None,
            out,
            read_bytes: FIRST_BYTES,
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

    /// Asks for a page without waiting for it.
    fn read_ahead(&mut self) {
        let (store, query) = (Arc::clone(&self.store), self.query.clone());
        self.ahead = Some(Ahead::new(Box::pin(async move { store.record_page(query).await })));
    }

    /// Takes a page, and asks for the one after it if there may be one.
    fn take(&mut self, page: RowPage) {
        let full = page.len() >= PAGE_ROWS || page.body_bytes() >= self.query.max_bytes;
        let more = match self.query.until.take() {
            Some(until) if !full => {
                (self.query.from, self.query.inclusive) = (until.clone(), true);
                self.read_to = Some(until);
                true
            }
            _ => {
                if let Some(last) = page.last_key() {
                    (self.query.from, self.query.inclusive) = (last.to_vec(), false);
                }
                full
            }
        };
        if !page.is_empty() {
            self.pages.push_back(page);
        }
        if more {
            self.read_bytes = self.read_bytes.saturating_mul(2).min(PAGE_BYTES);
            self.query.max_bytes = self.read_bytes;
            self.read_ahead();
        }
    }

    /// Whether all rows before `hi` are at hand or written.
    fn has_until(&self, hi: &[u8]) -> bool {
        self.read_to.as_deref().is_some_and(|to| to >= hi)
            || self.pages.back().and_then(RowPage::last_key).is_some_and(|last| last >= hi)
    }

    /// Reads until the bucket that ends at `hi` is at hand, or to the end.
    async fn load_until(&mut self, hi: Option<&[u8]>) -> ViewResult<()> {
        while !hi.is_some_and(|hi| self.has_until(hi)) {
            let Some(page) = self.ahead.take() else { return Ok(()) };
            let page = page.await?;
            self.take(page);
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
            let (mut rows, mut pages, mut at) = (Vec::with_capacity(ONE_BUCKET), 0_usize, self.at);
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
                let next = Vec::with_capacity(self.piece.saturating_add(OVER));
                return Ok(Some(std::mem::replace(&mut self.out, next)));
            }
        }
        Ok(Some(std::mem::take(&mut self.out)).filter(|out| !out.is_empty()))
    }
}

/// Where the buckets end that the first read takes; `None` when they are all.
fn first_end(spine: &Spine) -> Option<Vec<u8>> {
    let mut rows = 0_u32;
    let enough = |bucket: &Bucket| {
        rows = rows.saturating_add(bucket.n);
        rows >= FIRST_ROWS
    };
    let last = spine.buckets().iter().position(enough)?;
    spine.range(last).and_then(|(_, hi)| hi).map(<[u8]>::to_vec)
}
