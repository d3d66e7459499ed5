//! Reading rows back into the model. One file per family; each function takes a connection and
//! answers whole values, so that no snapshot outlives a call.

pub(crate) mod account;
pub(crate) mod blobs;
pub(crate) mod events;
pub(crate) mod hosting;
pub(crate) mod lexicon;
pub(crate) mod logs;
pub(crate) mod records;
pub(crate) mod repo;
pub(crate) mod stats;
mod walk;
pub(crate) mod watch;
