//! The WebSocket under `subscribeRepos`: one task for each consumer, which takes pages from its
//! [`Subscription`](p2pds_host::firehose::Subscription) and hands them to the socket as they are stored.
//!
//! What goes out is never masked and never compressed, so that a frame in memory is written as it lies there, behind
//! its few bytes of header: all consumers share one copy. What comes in says nothing but that the other end is there;
//! it is read in small pieces, and whoever sends more than that is cut off.
//!
//! Bounds, for each consumer: two pages on the way, one frame when it takes nothing for a second. For all together:
//! [`MOST_SOCKETS`], and the memory for stored pages of [`p2pds_host::firehose`].

mod feed;
mod handshake;
mod inbound;
mod outbound;
mod seats;
mod socket;

pub(crate) use handshake::open;
pub(crate) use seats::{Seat, Seats};
pub(crate) use socket::{First, Times, run};

/// Consumers at a time.
pub const MOST_SOCKETS: usize = 2_000;
/// Consumers of one address at a time.
pub const MOST_OF_ONE: usize = 64;

/// Why a socket is closed, as RFC 6455 numbers it.
pub(crate) mod code {
    /// This end goes away.
    pub(crate) const AWAY: u16 = 1001;
    /// The other end breaks the protocol.
    pub(crate) const PROTOCOL: u16 = 1002;
    /// The last frame says why.
    pub(crate) const POLICY: u16 = 1008;
    /// A message is too big.
    pub(crate) const TOO_BIG: u16 = 1009;
    /// Something here failed.
    pub(crate) const TROUBLE: u16 = 1011;
}
