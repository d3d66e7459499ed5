//! `org.p2pds.plc`.

pub mod get_log;
