//! *Owns*: the stored model (accounts, repos, records, buckets, blobs, logs), the units
//! of work that change it, the port every adapter implements, and the suite that proves one.
//! *Speaks*: `p2pds-syntax` and `p2pds-ipld` types, plain rows and plain enums.
//! *Knows nothing about*: SQL, files, the network, clocks.
//! *Start reading at*: [`Unit`] for writes, [`Store`] for reads, [`view`] for trees.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

mod account;
mod commit;
pub mod conformance;
mod error;
pub mod events;
pub mod foreign;
pub mod hosting;
mod lexicon;
mod page;
mod port;
mod rows;
mod unit;
pub mod view;
mod watch;

pub use account::{Account, AccountPatch, AccountStatus, Keep, Origin, Serve, VerifiedState};
pub use commit::{commit_cid, commit_of};
pub use error::{StoreError, StoreResult};
pub use events::{EventKind, EventRow, EventStore, NewEvent};
pub use hosting::{
    CopiedBlob, CopiedDatabase, CopyStore, HostingStore, HostingUnit, Login, LoginPatch, LoginStore,
};
pub use lexicon::LexiconRow;
pub use page::{PageRow, RowPage};
pub use port::{BlobFilter, Receipt, RecordsQuery, Store, TraceReport};
pub use rows::{
    BlobRef, BlobRow, BlobState, BucketRow, ChangeCounts, CollectionCount, CommitRow, Evidence, Finding,
    Head, IdentityRow, Kind, MOVED_BACK, MOVING_IN, PlcRow, PurgeRow, RecordRow, Repo, RepoId, Role, Seen,
    Stats, WorkerRow,
};
pub use unit::{
    Applied, BATCH_UNITS, BucketChange, BucketUpdate, CHUNK_BYTES, CHUNK_ROWS, Change, Jump, StagedRow, Unit,
    Version,
};
pub use watch::{AfterFinding, AlertRow, SampleRow};
