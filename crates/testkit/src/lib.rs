//! Test nodes, hostile builders and servers, the reference stack.
//!
//! *Owns* everything that tests need around the code under test: a private network of reference servers, the
//! `p2pds` program run as a child, file systems that lose power or fill up, accounts and repositories made up.
//! *Speaks* XRPC as a client, the command line of `p2pds`, the commands of the operating system.
//! *Knows nothing about* the insides of `p2pds`: it never links the node.
//! *Start reading at* [`oracle::Network`] and [`program::Program`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "test support: a broken assumption must fail the test where it is noticed"
)]

mod answer;
pub mod apart;
pub mod bucket;
pub mod demo;
pub mod directory;
pub mod disk;
pub mod dns;
pub mod exported;
pub mod goat;
pub mod hosted;
pub mod hostile;
pub mod http;
pub mod indigo;
pub mod madeup;
pub mod need;
pub mod oracle;
pub mod ports;
pub mod postgres;
pub mod program;
pub mod random;
pub mod script;
pub mod secure;
pub mod smtp;
pub mod source;
pub mod stream;
pub mod subscriber;
pub mod sweep;
pub mod synthetic;
pub mod visit;
pub mod website;

pub use need::shared;
