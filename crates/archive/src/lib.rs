//! *Owns*: how an account gets into the archive, stays current, is checked, repaired and removed; the disk space that
//! fetching needs; what is said about all that in plain words.
//! *Speaks*: the store's units, the directory's identities, the one outbound client; [`Progress`] and serializable reports.
//! *Knows nothing about*: SQL, sockets, terminals, command lines, who may see what (that is `reading`).
//! *Start reading at*: [`Archive`], then `add.rs` and `sync.rs`; the rules for heads and keys are in `judge.rs`.

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

mod add;
mod archive;
mod car_file;
mod clock;
mod conditions;
mod config;
mod diff;
mod error;
mod fetch;
mod fetch_blobs;
mod history;
mod host;
mod identity;
mod import;
mod intake;
mod judge;
pub mod live;
mod locks;
mod overview;
mod progress;
mod quota;
mod reach;
mod rebuild;
mod remove;
mod report;
pub mod schedule;
mod serve;
mod served_status;
mod show;
mod spool;
mod stage;
mod take;
mod update;
mod verify;
mod wake;
mod watch;
mod words;

pub use archive::{Archive, ArchiveDeps};
pub use car_file::CarFile;
pub use clock::{Clock, SystemClock};
pub use conditions::{Condition, Conditions};
pub use config::ArchiveConfig;
pub use error::{ArchiveError, ArchiveResult};
pub use history::{At, Browse, Browsed, Glance, HistoryQuery, Retained, Withdrawal};
pub use identity::given_by_host;
pub use intake::{Candidate, Estimate, Fit, Intake, MOST_AT_ONCE, NotFound, RoomNote, Source, Span, TakenIn};
pub use locks::AccountGuard;
pub use overview::{Arrivals, Choice, ListPage, ListQuery, Show, Sort};
pub use progress::{Counter, Phase, Progress, ProgressEvent, Stage, Unit};
pub use quota::{Full, QUOTA_FINDING, Recount};
pub use report::{
    AccountLine, Announcement, AsOf, BlobNote, Check, CheckName, CheckResult, CollectionLine, Counts,
    Details, DiffReport, Difference, EvidenceNote, FindingNote, Found, HandleNote, HandleSituation, HeadNote,
    HistoryReport, IdentityHistory, ImportReport, Kept, KeyNote, KeySituation, KeyState, NamedBlob,
    OldRecord, OperationLine, Outcome, PlcNote, Proof, RecordView, RemoveReport, Revision, ServingNote,
    Summary, Traces, UndoLine, Verdict, VerifyOptions, VerifyReport, Watched, WebVersion, Written,
};
pub use verify::scrub::{Pace, Paced, Scrub, Step};
pub use wake::{Asked, Wakes};
pub use watch::{Alarm, Following, TOMBSTONE, UNEXPECTED, WEB_CHANGED};
pub use words::{count, plural, size, when};
