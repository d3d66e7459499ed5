//! What an account's host is asked, and what its refusals mean.

use p2pds_net::{Client, GetOptions, NetError, Response};
use p2pds_store::AccountStatus;
use p2pds_syntax::Did;
use serde::Deserialize;

use crate::config::ArchiveConfig;

/// Largest JSON answer that is read.
const MAX_JSON: u64 = 4 << 20;
/// Blob pages counted for the description: 20,000 blobs; more are said to be "more than".
const MAX_BLOB_PAGES: usize = 20;

/// The host of one account.
#[derive(Clone, Copy)]
pub(crate) struct Host<'a> {
    pub(crate) net: &'a Client,
    pub(crate) url: &'a str,
    pub(crate) did: &'a Did,
}

/// `com.atproto.sync.getLatestCommit`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Latest {
    pub(crate) cid: String,
    pub(crate) rev: String,
}

/// `com.atproto.sync.getRepoStatus`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RepoStatus {
    pub(crate) active: bool,
    #[serde(default)]
    pub(crate) status: Option<String>,
}

/// `com.atproto.repo.describeRepo`, as far as it is used.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Description {
    #[serde(default)]
    pub(crate) collections: Vec<String>,
}

/// `com.atproto.server.describeServer`, as far as it is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServerDescription {
    #[serde(default)]
    pub(crate) available_user_domains: Vec<String>,
}

/// `com.atproto.sync.listBlobs`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct BlobPage {
    #[serde(default)]
    pub(crate) cids: Vec<String>,
    #[serde(default)]
    pub(crate) cursor: Option<String>,
}

impl Host<'_> {
    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        nsid: &str,
        more: &[(&str, &str)],
    ) -> Result<T, NetError> {
        let mut params = vec![("did", self.did.as_str())];
        params.extend_from_slice(more);
        self.net.xrpc_json(self.url, nsid, &params, &GetOptions::json(MAX_JSON)).await
    }

    /// The head that the host offers.
    pub(crate) async fn latest(&self) -> Result<Latest, NetError> {
        self.ask("com.atproto.sync.getLatestCommit", &[]).await
    }

    /// The account's state at the host. Older hosts lack the method.
    pub(crate) async fn status(&self) -> Result<RepoStatus, NetError> {
        self.ask("com.atproto.sync.getRepoStatus", &[]).await
    }

    /// Which collections there are.
    pub(crate) async fn describe(&self) -> Result<Description, NetError> {
        let params = [("repo", self.did.as_str())];
        let options = GetOptions::json(MAX_JSON);
        self.net.xrpc_json(self.url, "com.atproto.repo.describeRepo", &params, &options).await
    }

    /// Which domains the host gives handles under.
    pub(crate) async fn server(&self) -> Result<ServerDescription, NetError> {
        let options = GetOptions::json(64 * 1024);
        self.net.xrpc_json(self.url, "com.atproto.server.describeServer", &[], &options).await
    }

    /// How many blobs the host lists, up to a bound; the flag says that there are more.
    pub(crate) async fn count_blobs(&self) -> Result<(u64, bool), NetError> {
        self.some_blobs(0).await.map(|(count, more, _)| (count, more))
    }

    /// As [`Self::count_blobs`], with the CIDs of the first `most`.
    pub(crate) async fn some_blobs(&self, most: usize) -> Result<(u64, bool, Vec<String>), NetError> {
        let (mut count, mut some) = (0_u64, Vec::new());
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_BLOB_PAGES {
            let mut more = vec![("limit", "1000")];
            if let Some(cursor) = &cursor {
                more.push(("cursor", cursor));
            }
            let page: BlobPage = self.ask("com.atproto.sync.listBlobs", &more).await?;
            count = count.saturating_add(u64::try_from(page.cids.len()).unwrap_or(0));
            let empty = page.cids.is_empty();
            some.extend(page.cids.into_iter().take(most.saturating_sub(some.len())));
            match page.cursor.filter(|next| !next.is_empty() && Some(next) != cursor.as_ref()) {
                Some(next) if !empty => cursor = Some(next),
                _ => return Ok((count, false, some)),
            }
        }
        Ok((count, true, some))
    }

    /// The repo, whole or what changed since a revision.
    pub(crate) async fn repo(
        &self,
        since: Option<&str>,
        max_bytes: u64,
        config: &ArchiveConfig,
    ) -> Result<Response, NetError> {
        let mut params = vec![("did", self.did.as_str())];
        if let Some(since) = since {
            params.push(("since", since));
        }
        let options = GetOptions::stream(max_bytes, config.repo_deadline).accept("application/vnd.ipld.car");
        self.net.xrpc_get(self.url, "com.atproto.sync.getRepo", &params, &options).await
    }

    /// Single blocks, as a CAR.
    pub(crate) async fn blocks(&self, cids: &[String]) -> Result<Response, NetError> {
        let mut params = vec![("did", self.did.as_str())];
        params.extend(cids.iter().map(|cid| ("cids", cid.as_str())));
        let options = GetOptions::json(MAX_JSON).accept("application/vnd.ipld.car");
        self.net.xrpc_get(self.url, "com.atproto.sync.getBlocks", &params, &options).await
    }

    /// One blob.
    pub(crate) async fn blob(&self, cid: &str, config: &ArchiveConfig) -> Result<Response, NetError> {
        let params = [("did", self.did.as_str()), ("cid", cid)];
        let options = GetOptions::stream(config.max_blob_bytes, config.blob_deadline);
        self.net.xrpc_get(self.url, "com.atproto.sync.getBlob", &params, &options).await
    }
}

/// What a refusal says about the account; `None` for errors that say nothing about it.
///
/// `known` says that this host has served the account before: then not knowing it any more means that it was deleted
/// there.
pub(crate) fn withheld(error: &NetError, known: bool) -> Option<AccountStatus> {
    match error.xrpc_error()? {
        "RepoDeactivated" | "AccountDeactivated" => Some(AccountStatus::Deactivated),
        "RepoTakendown" | "AccountTakedown" | "AccountTakendown" => Some(AccountStatus::Takendown),
        "RepoSuspended" | "AccountSuspended" => Some(AccountStatus::Suspended),
        "RepoDeleted" => Some(AccountStatus::Deleted),
        "RepoNotFound" if known => Some(AccountStatus::Deleted),
        "RepoNotFound" => Some(AccountStatus::Unreachable),
        _ => None,
    }
}

/// The state that `getRepoStatus` names. A word that is not known, on an account that is not active, counts as
/// deactivated: it is not served, and that is all that is known.
pub(crate) fn status_of(answer: &RepoStatus) -> AccountStatus {
    match (answer.active, answer.status.as_deref()) {
        (true, _) => AccountStatus::Active,
        (false, Some(word)) => AccountStatus::from_word(word).unwrap_or(AccountStatus::Deactivated),
        (false, None) => AccountStatus::Deactivated,
    }
}

/// What a state means, in plain words.
pub(crate) fn status_words(status: AccountStatus, host: &str) -> String {
    match status {
        AccountStatus::Active => format!("active at {host}"),
        AccountStatus::Deactivated => format!("its owner has switched the account off at {host}"),
        AccountStatus::Takendown => format!("{host} has taken the account down"),
        AccountStatus::Suspended => format!("{host} has suspended the account"),
        AccountStatus::Deleted => format!("the account has been deleted at {host}, or has left it"),
        AccountStatus::Desynchronized => format!("{host} says that it has lost step with the account's repo"),
        AccountStatus::Throttled => format!("{host} throttles the account"),
        AccountStatus::Unreachable => format!("{host} does not know the account"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xrpc(error: &str) -> NetError {
        NetError::Xrpc { host: "h".into(), status: 400, error: error.into(), message: "m".into() }
    }

    #[test]
    fn refusals_tell_the_state() {
        assert_eq!(withheld(&xrpc("RepoDeactivated"), true), Some(AccountStatus::Deactivated));
        assert_eq!(withheld(&xrpc("RepoTakendown"), true), Some(AccountStatus::Takendown));
        assert_eq!(withheld(&xrpc("RepoSuspended"), false), Some(AccountStatus::Suspended));
        assert_eq!(withheld(&xrpc("RepoNotFound"), true), Some(AccountStatus::Deleted));
        assert_eq!(withheld(&xrpc("RepoNotFound"), false), Some(AccountStatus::Unreachable));
        assert_eq!(withheld(&xrpc("InternalServerError"), true), None);
        let down = NetError::Status { host: "h".into(), status: 502 };
        assert_eq!(withheld(&down, true), None, "a gateway error says nothing about the account");
    }

    #[test]
    fn unknown_words_are_not_active() {
        let answer = |active, status: Option<&str>| RepoStatus { active, status: status.map(str::to_owned) };
        assert_eq!(status_of(&answer(true, None)), AccountStatus::Active);
        assert_eq!(status_of(&answer(false, Some("takendown"))), AccountStatus::Takendown);
        assert_eq!(status_of(&answer(false, Some("on-holiday"))), AccountStatus::Deactivated);
        assert_eq!(status_of(&answer(false, None)), AccountStatus::Deactivated);
    }
}
