//! Whether the old host still answers for an account.

use p2pds_archive::when;
use p2pds_net::{Client, GetOptions, NetError};
use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

/// Largest answer that is read.
const MAX_ANSWER: u64 = 64 * 1024;

/// What asking the old host gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum OldHost {
    /// The identity names none.
    None,
    /// The identity names this node already.
    ThisNode,
    /// It does not answer.
    Silent {
        /// Why not.
        why: String,
    },
    /// It answers, and not as a host that works.
    Broken {
        /// What it said.
        why: String,
    },
    /// It answers, and does not have the account in use: it left, or is withheld.
    Left {
        /// What it said.
        what: String,
    },
    /// It answers for the account.
    Answers {
        /// The revision that it has, if it said.
        rev: Option<String>,
    },
}

#[derive(Deserialize)]
struct Status {
    active: bool,
    status: Option<String>,
    rev: Option<String>,
}

impl OldHost {
    /// Asks it.
    pub(crate) async fn ask(net: &Client, url: Option<&str>, own: &str, did: &Did) -> Self {
        let Some(url) = url else { return Self::None };
        if url.trim_end_matches('/') == own.trim_end_matches('/') {
            return Self::ThisNode;
        }
        let asked = net
            .xrpc_json::<Status>(
                url,
                "com.atproto.sync.getRepoStatus",
                &[("did", did.as_str())],
                &GetOptions::json(MAX_ANSWER),
            )
            .await;
        match asked {
            Ok(status) if status.active => Self::Answers { rev: status.rev },
            Ok(status) => Self::Left { what: status.status.unwrap_or_else(|| "inactive".to_owned()) },
            Err(error) => Self::of_error(&error),
        }
    }

    fn of_error(error: &NetError) -> Self {
        let words = error.to_string();
        match (error.xrpc_error(), error) {
            (Some("RepoNotFound" | "RepoDeactivated" | "RepoTakendown" | "RepoSuspended"), _) => {
                Self::Left { what: error.xrpc_error().unwrap_or_default().to_owned() }
            }
            (_, NetError::Status { .. } | NetError::Xrpc { .. } | NetError::RateLimited { .. }) => {
                Self::Broken { why: words }
            }
            _ => Self::Silent { why: words },
        }
    }

    /// One sentence about it.
    #[must_use]
    pub fn words(&self, url: &str) -> String {
        match self {
            Self::None => "the identity names no host".to_owned(),
            Self::ThisNode => "the identity names this node already".to_owned(),
            Self::Silent { why } => format!("{url} does not answer ({why})"),
            Self::Broken { why } => format!(
                "{url} answers, but not as a host that works ({why}). If that may be mended, wait: while it comes back with \
                 newer posts than are held here, those are lost by a promotion"
            ),
            Self::Left { what } => format!("{url} answers, and does not have the account in use ({what})"),
            Self::Answers { rev } => format!(
                "{url} STILL ANSWERS for this account{}",
                rev.as_ref().map(|rev| format!(" (revision {rev})")).unwrap_or_default()
            ),
        }
    }
}

/// When a revision was made, in words.
pub(crate) fn made(rev: p2pds_syntax::Tid) -> String {
    when(i64::try_from(rev.micros()).unwrap_or(i64::MAX))
}
