//! Service tokens that were used.

use async_trait::async_trait;

use crate::StoreResult;

/// A used token, by digests only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpentToken {
    /// Which: a digest of its issuer and its identifier.
    pub token: [u8; 16],
    /// Whose: a digest of the issuer.
    pub issuer: [u8; 8],
    /// When it ends by itself, microseconds since 1970.
    pub ends_at: i64,
}

/// Notes a used token, and forgets some of those that have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpentUnit {
    /// The token.
    pub row: SpentToken,
    /// Tokens that ended before this time may be forgotten.
    pub now: i64,
}

/// Reading used tokens.
#[async_trait]
pub trait SpentStore: Send + Sync + 'static {
    /// Those that have not ended at `now`, `limit` at most, the last to end first.
    async fn spent_tokens(&self, now: i64, limit: u32) -> StoreResult<Vec<SpentToken>>;
}
