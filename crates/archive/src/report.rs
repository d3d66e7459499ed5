//! What operations answer: plain data for programs, with `Display` for people.

mod account;
mod found;
mod identity;
mod outcome;
mod verify;

pub use account::{
    AccountLine, BlobNote, CollectionLine, Details, EvidenceNote, FindingNote, HeadNote, PlcNote, RecordView,
};
pub use found::{Found, HandleNote, HandleSituation, KeyNote, KeySituation, KeyState};
pub use identity::{Announcement, IdentityHistory, OperationLine, UndoLine, Verdict, Watched, WebVersion};
pub use outcome::{ImportReport, Outcome, RemoveReport, Summary, Traces};
pub use verify::{Check, CheckName, CheckResult, VerifyOptions, VerifyReport};
