//! Live following: accounts are kept current as they change, from their own hosts' streams, by polling, or from a relay.
//!
//! *How events go.* A [stream](stream) reads frames and passes those of followed accounts to their [slots](followed),
//! waiting when too much waits. One task per account that has events takes them in batches: they are
//! [decoded, proved and judged](prove) where computing is allowed, [stored](apply) as units that share flushes, and done
//! when durable. The stream's [position](cursor) is the one before the oldest event that is not done, so a crash loses
//! nothing. What the rules of `replica` call a gap is [fetched anew](resync) while the account's events wait. Hosts are
//! [asked](ask) for the heads of polled accounts, and for those that streams should have led to. The trees that events
//! left to be recomputed are [recomputed](tree) in the background, against the signed root.
//!
//! *Not done here.* Which accounts are served (`reading`), when the directory's logs are refreshed, alerts.

mod apply;
mod ask;
mod config;
mod cursor;
mod followed;
mod identity;
mod plan;
mod prove;
mod rate;
mod refuse;
mod report;
mod resync;
mod service;
mod status;
mod stream;
mod tree;

pub use config::LiveConfig;
pub(crate) use report::Attached;
pub use report::{LiveNote, SourceNote};
pub(crate) use service::JOB;
pub use service::Live;
