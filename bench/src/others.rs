//! The same work by other libraries, each through the fastest way its public interface offers.

pub mod atrium;
pub mod repo_stream;
pub mod shrike;
