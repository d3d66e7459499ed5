//! CARs for readers who may be slow: nothing is read ahead of them but one page, no transaction outlives a read, and
//! whether they may still read is asked before each piece.
//!
//! All pieces show one head: what is replaced while a reader is slow comes from the history. Once that is gone the
//! stream ends with a refusal, never with other bytes.

use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use p2pds_ipld::Cid;
use p2pds_ipld::car::{write_header, write_section};
use p2pds_repo::bucket::nodes_of;
use p2pds_store::Repo;
use p2pds_store::view::{ExportStream, ViewError};
use p2pds_syntax::{Did, Tid};

use crate::Reading;
use crate::blocklist::BlockList;
use crate::gate::Viewer;
use crate::refusal::Refusal;
use crate::view::View;
use crate::walk::{Walk, place};

enum Source {
    Whole(Box<ExportStream>),
    Part(Box<Walk>),
    Once(Option<Vec<u8>>),
}

struct Sending {
    door: Reading,
    viewer: Viewer,
    repo: Repo,
    blocked: BlockList,
    source: Source,
}

/// A CAR, piece by piece. An error is the last item: what came before it is not to be used.
pub type Car = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, Refusal>> + Send>>;

impl Sending {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Refusal> {
        // The answer is read while the piece is made, and heeded before it is given out.
        let may = async {
            self.door.account(self.viewer, &self.repo.did).await?;
            Ok::<_, Refusal>(Arc::ptr_eq(&self.blocked, &self.door.block_list().await?))
        };
        let piece = async {
            match &mut self.source {
                Source::Whole(export) => export.next().await.map_err(|error| of_view(&self.repo.did, error)),
                Source::Part(walk) => walk.piece().await,
                Source::Once(bytes) => Ok(bytes.take()),
            }
        };
        let (may, piece) = futures::join!(may, piece);
        if !may? {
            return Err(Refusal::Moved(self.repo.did));
        }
        match piece {
            Ok(piece) => Ok(piece.map(|piece| (piece.into(), self))),
            // What is gone from the history is no damage.
            Err(Refusal::Damaged { what, .. }) => match &self.repo.head {
                Some(head) => Err(self.door.moved_or(&self.repo, head, what).await),
                None => Err(Refusal::Nothing(self.repo.did)),
            },
            Err(refusal) => Err(refusal),
        }
    }

    fn stream(self) -> Car {
        Box::pin(futures::stream::try_unfold(self, Self::next))
    }
}

impl Reading {
    /// The present repo as a CAR in streamable order, or what of it is new since a rev. Blocked records are left out,
    /// as are those whose bytes the source had lost; the tree still names them.
    ///
    /// # Errors
    /// [`Refusal`] before the first byte.
    pub async fn car(&self, viewer: Viewer, seen: View, since: Option<Tid>) -> Result<Car, Refusal> {
        let (repo, blocked) = (seen.repo.clone(), self.blocked_for(viewer).await?);
        if let Some(cid) =
            [seen.head.commit, seen.head.data].into_iter().find(|cid| blocked.contains_key(cid))
        {
            return Err(Refusal::Blocked(cid));
        }
        let source = match since {
            Some(since) => Source::Part(Box::new(Walk::since(self, seen, blocked, since).await?)),
            None => {
                let list = Arc::clone(&blocked);
                let export = ExportStream::new(Arc::clone(&self.store), &seen.repo, Arc::clone(&seen.spine))
                    .map_err(|error| of_view(&repo.did, error))?
                    .leaving_out(move |cid| list.contains_key(cid));
                Source::Whole(Box::new(export))
            }
        };
        Ok(self.send(viewer, repo, source).await?.stream())
    }

    /// All below one block as a CAR whose root it is: the whole repo for its commit, a subtree for a node, one block
    /// for a record. Links inside records are not followed.
    ///
    /// # Errors
    /// [`Refusal`] before the first byte.
    pub async fn car_below(&self, viewer: Viewer, seen: View, cid: &Cid) -> Result<Car, Refusal> {
        if seen.head.commit == *cid {
            return self.car(viewer, seen, None).await;
        }
        self.not_blocked(viewer, cid).await?;
        let (repo, blocked) = (seen.repo.clone(), self.blocked_for(viewer).await?);
        let after = match place(&seen.spine, cid) {
            Some(after) => Some(after),
            None => self.bucket_of_node(&seen, cid).await?,
        };
        let source = match after {
            Some(after) => Source::Part(Box::new(Walk::below(self, seen, blocked, *cid, after))),
            None => Source::Once(Some(car_of(cid, &self.block_in(&seen, cid).await?))),
        };
        Ok(self.send(viewer, repo, source).await?.stream())
    }

    async fn send(&self, viewer: Viewer, repo: Repo, source: Source) -> Result<Sending, Refusal> {
        Ok(Sending { door: self.clone(), viewer, repo, blocked: self.block_list().await?, source })
    }

    /// What is left out for a viewer.
    async fn blocked_for(&self, viewer: Viewer) -> Result<BlockList, Refusal> {
        match viewer {
            Viewer::Operator => Ok(Arc::default()),
            Viewer::Peer | Viewer::Public => self.block_list().await,
        }
    }

    /// First key of the bucket in whose run a node stands.
    async fn bucket_of_node(&self, seen: &View, cid: &Cid) -> Result<Option<Vec<u8>>, Refusal> {
        for lo in self.store.bucket_candidates(seen.repo.id, cid.prefix4()).await? {
            let Some((lo, until)) = seen.spine.range(seen.spine.bucket_of(&lo)) else { continue };
            let rows = self.rows_at(seen, lo, until, false).await?;
            let keys: Vec<(&[u8], Cid)> = rows.iter().map(|row| (row.key.as_bytes(), row.cid)).collect();
            let nodes = nodes_of(lo, &keys)
                .map_err(|error| Refusal::Damaged { did: seen.repo.did.clone(), what: error.to_string() })?;
            if nodes.iter().any(|(node, _)| node == cid) {
                return Ok(Some(lo.to_vec()));
            }
        }
        Ok(None)
    }
}

/// What the store's view met, as a refusal.
pub(crate) fn of_view(did: &Did, error: ViewError) -> Refusal {
    match error {
        ViewError::Store(error) => error.into(),
        ViewError::Moved(did) => Refusal::Moved(did),
        other => Refusal::Damaged { did: did.clone(), what: other.to_string() },
    }
}

/// A CAR of one block.
fn car_of(cid: &Cid, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().saturating_add(128));
    write_header(&mut out, &[*cid]);
    write_section(&mut out, cid, bytes);
    out
}
