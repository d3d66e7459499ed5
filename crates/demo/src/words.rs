//! Time as the records write it.

use std::time::{SystemTime, UNIX_EPOCH};

use p2pds_syntax::Datetime;

/// Microseconds since 1970.
pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A time in words of the protocol.
pub(crate) fn datetime(micros: i64) -> String {
    Datetime::from_unix_micros(micros).map_or_else(String::new, |at| at.as_str().to_owned())
}
