//! The reference stack as an oracle: a PLC directory and one or two reference PDSes on loopback.

mod account;
mod consent;
mod network;
mod truth;

pub use account::{Account, POST, Write, Written, bulk_key, image, post_record};
pub use consent::consent;
pub(crate) use network::post;
pub use network::{Network, Options, Pds, dying_with_parent, node};
pub use truth::{Truth, car_blocks, cid_text};
