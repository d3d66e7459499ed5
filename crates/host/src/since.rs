//! What an account wrote since a rev: for showing it what it has just written.

use p2pds_reading::{Order, Viewer};
use p2pds_store::RecordRow;
use p2pds_syntax::{Did, Nsid, RecordPath, Tid};

use crate::error::{HostError, HostResult};
use crate::host::Host;

/// Newest posts that are looked at.
const POSTS: usize = 50;

/// What was written since a rev, as far as it is shown before others have heard of it.
#[derive(Debug, Clone, Default)]
pub struct Since {
    /// The account's handle.
    pub handle: Option<String>,
    /// The profile, if it was written since.
    pub profile: Option<RecordRow>,
    /// The profile as it is now.
    pub profile_now: Option<RecordRow>,
    /// The newest posts written since, oldest first.
    pub posts: Vec<RecordRow>,
}

impl Host {
    /// What an account hosted here wrote after `rev`; `None` when it wrote nothing.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn since(&self, did: &Did, rev: Tid) -> HostResult<Option<Since>> {
        let refused = |refusal: p2pds_reading::Refusal| {
            HostError::new(refusal.kind(), "InternalServerError", refusal.to_string())
        };
        let (_, head) = self.reading().head(Viewer::Operator, did).await.map_err(refused)?;
        if head.rev <= rev {
            return Ok(None);
        }
        let seen = self.reading().view(Viewer::Operator, did).await.map_err(refused)?;
        let (post, profile) = (name("app.bsky.feed.post")?, path("app.bsky.actor.profile/self")?);
        let page = self
            .reading()
            .list(Viewer::Operator, &seen, &post, (None, Order::Descending), POSTS)
            .await
            .map_err(refused)?;
        let mut posts: Vec<_> = page.rows.into_iter().filter(|row| row.since > rev).collect();
        posts.sort_by_key(|row| row.since);
        let profile_now = self.reading().served_record(Viewer::Operator, &seen, &profile).await.ok();
        let profile = profile_now.clone().filter(|row| row.since > rev);
        Ok(Some(Since { handle: seen.account.handle, profile, profile_now, posts }))
    }
}

fn name(text: &str) -> HostResult<Nsid> {
    Nsid::parse(text).map_err(|error| HostError::invalid(error.to_string()))
}

fn path(text: &str) -> HostResult<RecordPath> {
    RecordPath::from_bytes(text.as_bytes()).map_err(|error| HostError::invalid(error.to_string()))
}
