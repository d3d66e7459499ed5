//! Builders of hostile files: each breaks one rule and keeps all others. And the catalogue of hostile behaviours, which
//! the servers of this crate play.

mod behaviour;
pub mod car;
pub mod cbor;
mod client;
pub mod commit;
mod log;
pub mod mst;
mod names;
mod offer;
pub mod plc;
mod reader;
mod rule;

pub use behaviour::{Behaviour, Party, behaviours, behaviours_of};
pub use client::{Came, Client, Known, Step, clients};
pub use log::{LogLie, true_log};
pub use names::NameLie;
pub use offer::{Ground, Offer, Offered};
pub use reader::{Abuse, Targets, ask};
pub use rule::{Act, On, Rule};
