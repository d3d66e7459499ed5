//! What a webhook is sent; documented in docs/operator.md.

use p2pds_store::AlertRow;
use serde::{Deserialize, Serialize};

use crate::words;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Something is wrong.
    Fault,
    /// It is not any more.
    Recovered,
    /// Somebody ran `p2pds alerts test`.
    Test,
}

/// Whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// DID.
    pub did: String,
    /// Handle, when one is known.
    pub handle: Option<String>,
}

/// The body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// The same for a fault and its recovery; a receiver can tell a repetition by it and `event`.
    pub id: String,
    /// What happened.
    pub event: Event,
    /// Stable word.
    pub kind: String,
    /// What it is about; may be empty.
    pub subject: String,
    /// The account, unless it is a fault of the node.
    pub account: Option<Account>,
    /// One line for people.
    pub text: String,
    /// What is wrong, in plain words.
    pub detail: String,
    /// Since when, microseconds since 1970.
    pub since: i64,
    /// When it was over, microseconds since 1970.
    pub until: Option<i64>,
    /// Name of the node.
    pub node: String,
}

fn who<'a>(account: Option<&'a Account>, subject: &'a str) -> &'a str {
    let named = account.map(|account| account.handle.as_deref().unwrap_or(&account.did));
    named.unwrap_or(if subject.is_empty() { "this node" } else { subject })
}

impl Payload {
    /// Whom or what it concerns, for people.
    #[must_use]
    pub fn who(&self) -> &str {
        who(self.account.as_ref(), &self.subject)
    }

    /// Of an alert.
    #[must_use]
    pub fn of(row: &AlertRow, event: Event, handle: Option<String>, node: &str) -> Self {
        let account = row.did.as_ref().map(|did| Account { did: did.to_string(), handle });
        let who = who(account.as_ref(), &row.subject);
        let text = match event {
            Event::Recovered => {
                format!("p2pds {node}: over: {} ({who}), since {}", row.kind, words::when(row.opened_at))
            }
            Event::Fault | Event::Test => format!("p2pds {node}: {} ({who}): {}", row.kind, row.detail),
        };
        Self {
            id: row.id.clone(),
            event,
            kind: row.kind.clone(),
            subject: row.subject.clone(),
            account,
            text,
            detail: row.detail.clone(),
            since: row.opened_at,
            until: row.closed_at.filter(|_| event == Event::Recovered),
            node: node.to_owned(),
        }
    }
}
