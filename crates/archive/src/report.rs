//! What operations answer: plain data for programs, with `Display` for people.

mod account;
mod found;
mod history;
mod identity;
mod outcome;
mod verify;

pub use account::{
    AccountLine, BlobNote, CollectionLine, Details, EvidenceNote, FindingNote, HeadNote, PlcNote, RecordView,
    ServingNote,
};
pub use found::{Found, HandleNote, HandleSituation, KeyNote, KeySituation, KeyState};
pub use history::{
    AsOf, Counts, DiffReport, Difference, HistoryReport, Kept, NamedBlob, OldRecord, Proof, Revision, Written,
};
pub use identity::{Announcement, IdentityHistory, OperationLine, UndoLine, Verdict, Watched, WebVersion};
pub use outcome::{ImportReport, Outcome, RemoveReport, Summary, Traces};
pub use verify::{Check, CheckName, CheckResult, VerifyOptions, VerifyReport};
