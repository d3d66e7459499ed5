//! `com.atproto.sync.getCheckout`, which getRepo replaced: the whole repo as a CAR.

pub use super::get_repo::handle;
