//! A whole repo as a CAR in streamable order: the same bytes on every run, memory for one bucket.
//!
//! Rows are read bucket by bucket, each in its own short transaction. Every bucket's subtree root is computed from the
//! rows that were read and compared with the index, and the index with the signed root, so a mixture of two states, or
//! a damaged row, ends the stream with a refusal instead of wrong bytes.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt as _, Stream, StreamExt as _};
use p2pds_repo::car_out::{Export, Row};
use p2pds_store::{Head, RecordRow, Repo};
use p2pds_syntax::{Did, RecordPath};

use crate::Reading;
use crate::gate::Viewer;
use crate::refusal::Refusal;
use crate::tree::commit_block;

/// Where damaged records are named that were left out.
pub type LeftOut = Arc<Mutex<Vec<RecordPath>>>;

/// Pieces that may wait for a slow reader.
const WAITING: usize = 4;
/// A piece is sent when it has grown to this.
const PIECE: usize = 256 << 10;

impl Reading {
    /// The current repo as a CAR, piece by piece. An error is the last item: what came before it is no repo.
    ///
    /// # Errors
    /// [`Refusal`] before the first byte.
    pub async fn repo_car(
        &self,
        viewer: Viewer,
        did: &Did,
    ) -> Result<impl Stream<Item = Result<Bytes, Refusal>> + Send + use<>, Refusal> {
        self.repo_car_with(viewer, did, None).await
    }

    /// As [`Reading::repo_car`], for the operator in an emergency: records whose stored bytes are damaged are left out
    /// and named in `left_out` instead of ending the stream. The tree that is written still names them.
    ///
    /// # Errors
    /// As [`Reading::repo_car`].
    pub async fn repo_car_without_damaged(
        &self,
        did: &Did,
        left_out: LeftOut,
    ) -> Result<impl Stream<Item = Result<Bytes, Refusal>> + Send + use<>, Refusal> {
        self.repo_car_with(Viewer::Operator, did, Some(left_out)).await
    }

    async fn repo_car_with(
        &self,
        viewer: Viewer,
        did: &Did,
        left_out: Option<LeftOut>,
    ) -> Result<impl Stream<Item = Result<Bytes, Refusal>> + Send + use<>, Refusal> {
        let (repo, head) = self.repo(viewer, did).await?;
        let (to, pieces) = mpsc::channel(WAITING);
        let door = self.clone();
        // The work runs while the stream is read, and ends with it.
        let work = async move { door.send_repo(repo, head, left_out, to).await };
        let end = futures::stream::once(work).filter_map(|outcome| async { outcome.err().map(Err) });
        Ok(futures::stream::select(pieces.map(Ok), end))
    }

    async fn send_repo(
        &self,
        repo: Repo,
        head: Head,
        left_out: Option<LeftOut>,
        mut to: mpsc::Sender<Bytes>,
    ) -> Result<(), Refusal> {
        let spine = self.spine(&repo, &head, false).await?;
        let mut out: Vec<u8> = Vec::with_capacity(PIECE.saturating_mul(2));
        let commit = commit_block(&repo.did, &head);
        let begun = Export::new(&spine, &head.commit, &commit, head.data, &mut out);
        let mut export = match begun {
            Ok(export) => export,
            Err(error) => return Err(self.moved_or(&repo, &head, error.to_string()).await),
        };
        while let Some((lo, until)) = export.bucket().and_then(|at| spine.range(at)) {
            let rows = self.rows(&repo, lo, until.map(<[u8]>::to_vec), true).await?;
            let rows = rows_of(&repo, rows, left_out.as_ref())?;
            if let Err(error) = export.rows(&rows, &mut out) {
                return Err(self.moved_or(&repo, &head, error.to_string()).await);
            }
            if out.len() >= PIECE {
                let piece = std::mem::take(&mut out);
                to.send(piece.into()).await.map_err(|_| Refusal::Gone)?;
            }
        }
        if !out.is_empty() {
            to.send(out.into()).await.map_err(|_| Refusal::Gone)?;
        }
        Ok(())
    }
}

/// A row as the writer takes it.
type CarRow = Row<Vec<u8>, Vec<u8>>;

/// Rows as the writer takes them. Damaged bytes never go out.
fn rows_of(repo: &Repo, rows: Vec<RecordRow>, left_out: Option<&LeftOut>) -> Result<Vec<CarRow>, Refusal> {
    let row = |row: RecordRow| {
        let body = match (row.damaged, left_out) {
            (false, _) => row.body,
            (true, None) => {
                return Err(Refusal::Damaged { did: repo.did.clone(), what: format!("record {}", row.key) });
            }
            (true, Some(left_out)) => {
                left_out.lock().unwrap_or_else(PoisonError::into_inner).push(row.key.clone());
                None
            }
        };
        Ok(Row { key: row.key.as_bytes().to_vec(), cid: row.cid, body })
    };
    rows.into_iter().map(row).collect()
}
