//! The accounts that are hosted here: which there are, and which one a handle means.

use p2pds_store::hosting::HostedHead;
use p2pds_syntax::{Did, Nsid};

use crate::Reading;
use crate::refusal::Refusal;

impl Reading {
    /// At most `limit` accounts hosted here that have a repo, by DID, whatever their status; with `collection` only those
    /// that have a record of it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn hosted(
        &self,
        after: Option<&Did>,
        collection: Option<&Nsid>,
        limit: usize,
    ) -> Result<Vec<HostedHead>, Refusal> {
        Ok(self.store.hosted_heads(after, collection.map(Nsid::as_str), limit).await?)
    }

    /// The account that a handle means: of those hosted here, or of those served.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn named(&self, handle: &str) -> Result<Option<Did>, Refusal> {
        match self.store.login_by_handle(handle).await? {
            Some(login) => Ok(Some(login.did)),
            None => Ok(self.did_of_handle(handle)),
        }
    }
}
