//! Builders of hostile files: each breaks one rule and keeps all others.

pub mod car;
pub mod cbor;
pub mod commit;
pub mod mst;
pub mod plc;
