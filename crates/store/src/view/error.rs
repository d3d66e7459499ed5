//! What can go wrong between rows and trees.

use p2pds_ipld::Cid;
use p2pds_repo::bucket::{PlanError, SpineError};
use p2pds_repo::car_out::ExportError;
use p2pds_repo::mst::BuildError;
use p2pds_syntax::{Did, ErrorKind};

use crate::{RepoId, StoreError};

/// Result of the view's functions.
pub type ViewResult<T> = Result<T, ViewError>;

/// Any failure of the view.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The store's own.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored records give another tree than the head signed.
    #[error(
        "the stored records of {did} give the tree {computed}, its head signed {signed}; run `p2pds verify {did}`, which repairs it from the source"
    )]
    Drift {
        /// The account.
        did: Did,
        /// Root of what is stored.
        computed: Cid,
        /// Root that the head names.
        signed: Cid,
    },
    /// The head moved between two reads.
    #[error("{0} was changed meanwhile; try again")]
    Moved(Did),
    /// A staged repo has no head yet.
    #[error("repo {0} has no head")]
    NotLive(RepoId),
    /// Bucket rows that do not fit together.
    #[error(transparent)]
    Spine(#[from] SpineError),
    /// A write that cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Rows out of order.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// An export that met rows other than those the tree has.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The store answered something else than it should.
    #[error("a defect in p2pds, please report it: the store answered {0}")]
    Unexpected(String),
}

impl ViewError {
    /// The class of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Drift { .. } | Self::Build(_) => ErrorKind::Corrupt,
            Self::Moved(_) => ErrorKind::Conflict,
            Self::NotLive(_) => ErrorKind::NotFound,
            Self::Spine(error) => error.kind(),
            Self::Plan(error) => error.kind(),
            Self::Export(error) => error.kind(),
            Self::Unexpected(_) => ErrorKind::Bug,
        }
    }
}
