//! Alerts by e-mail: through the host's queue on a node that hosts accounts, else straight to the mail server.

use p2pds_host::Host;
use p2pds_host::accounts::Sender;
use p2pds_store::{AlertRow, Unit};

use super::payload::{Event, Payload};
use crate::config::Config;
use crate::hosting;
use crate::words;

/// Longest subject, in characters.
const SUBJECT: usize = 120;

/// Who writes to whom.
#[derive(Debug, Clone)]
pub(super) struct Mail {
    to: String,
    /// `None`, and why, when no mail can be sent.
    sender: Result<Sender, String>,
    host: Option<Host>,
}

impl Mail {
    /// By the settings; `None` when nobody wants mail.
    pub(super) fn new(config: &Config, host: Option<Host>) -> Option<Self> {
        let to = config.alerts.email_to.as_ref()?.as_str().to_owned();
        Some(Self { sender: sender(config, &to), to, host })
    }

    /// What makes the host send this and notes in the same breath that it did; `None` where there is no host.
    pub(super) fn queued(&self, payload: &Payload, row: &AlertRow) -> anyhow::Result<Option<Unit>> {
        let Some(host) = &self.host else { return Ok(None) };
        let words = Letter::of(payload);
        let letter = host
            .operator_mail(&self.to, &words.subject, &words.text)
            .map_err(|error| anyhow::anyhow!(error.message))?;
        // A batch is somebody's: that of an account, or of the service itself.
        let did = row.did.clone().unwrap_or_else(|| host.config().service_did.clone());
        Ok(Some(Unit::Batch { did, units: vec![letter, Unit::PutAlert(row.clone())] }))
    }

    /// The host's job looks at its queue.
    pub(super) fn wake(&self) {
        if let Some(host) = &self.host {
            host.mail_waits();
        }
    }

    /// Sends now. Who gets the same alert twice, because the node died before it wrote down that it was sent, sees
    /// one mail: its name is the alert's.
    pub(super) async fn send(&self, payload: &Payload) -> anyhow::Result<()> {
        let sender = self.sender.as_ref().map_err(|why| anyhow::anyhow!("{why}"))?;
        let words = Letter::of(payload);
        let id = format!("{}.{}", payload.id, words.word);
        let sent = sender.send(&self.to, &words.subject, &words.text, Some(&id)).await;
        sent.map_err(|not| anyhow::anyhow!("the mail server did not take it: {}", not.why))
    }

    /// Whether the mail server takes this node's login.
    pub(super) async fn check(&self) -> Result<(), String> {
        self.sender.as_ref().map_err(Clone::clone)?.check().await.map_err(|not| not.why)
    }

    /// Whom it goes to.
    pub(super) fn to(&self) -> &str {
        &self.to
    }
}

/// The mail server that the settings name.
fn sender(config: &Config, to: &str) -> Result<Sender, String> {
    let mail = hosting::mail(config).map_err(|failure| failure.message)?;
    let Some(server) = mail.smtp else {
        return Err("no mail server is set (mail.smtp_url, or mail.smtp_host)".to_owned());
    };
    let hello = config.http.hostname.as_deref().unwrap_or("localhost");
    // Most servers take mail from the address that they know; without one set, the operator writes to himself.
    Ok(Sender::new(server, hello, mail.from.as_deref().unwrap_or(to)).trusting(mail.extra_roots))
}

/// What a mail says.
struct Letter {
    subject: String,
    text: String,
    word: &'static str,
}

impl Letter {
    fn of(payload: &Payload) -> Self {
        let who = payload.who();
        let (word, first) = match payload.event {
            Event::Fault => ("fault", "Something is wrong"),
            Event::Recovered => ("over", "This is over"),
            Event::Test => ("test", "This is a test"),
        };
        let subject: String = format!("[p2pds {}] {word}: {} ({who})", payload.node, payload.kind)
            .chars()
            .take(SUBJECT)
            .collect();
        let until = payload.until.map(|at| format!("\nUntil: {}", words::when(at))).unwrap_or_default();
        let text = format!(
            "{first}: {}\n\nWhat: {}\nWho: {who}\nSince: {}{until}\nNode: {}\n\n{}\n",
            payload.detail,
            payload.kind,
            words::when(payload.since),
            payload.node,
            match payload.event {
                Event::Fault =>
                    "One more mail comes when it is over. `p2pds alerts` on the node lists what lasts.",
                Event::Recovered =>
                    "Nothing is to be done. `p2pds alerts --history` on the node lists what was.",
                Event::Test => "Nothing is to be done.",
            }
        );
        Self { subject: subject.replace(['\r', '\n'], " "), text, word }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_says_what_who_and_since_when() {
        let row = AlertRow {
            id: "quota-1".into(),
            did: None,
            kind: "quota".into(),
            subject: "a.example\r\nBcc: b@example.com".into(),
            detail: "the account is full".into(),
            opened_at: 1_795_000_000_000_000,
            closed_at: Some(1_795_000_060_000_000),
            told: false,
            told_recovery: false,
            mailed: false,
            mailed_recovery: false,
        };
        let fault = Letter::of(&Payload::of(&row, Event::Fault, None, "pds.example.com"));
        assert!(
            fault.subject.starts_with("[p2pds pds.example.com] fault: quota (a.example"),
            "{}",
            fault.subject
        );
        assert!(!fault.subject.contains(['\r', '\n']));
        assert!(
            fault.text.contains("the account is full") && !fault.text.contains("Until:"),
            "{}",
            fault.text
        );
        let over = Letter::of(&Payload::of(&row, Event::Recovered, None, "pds.example.com"));
        assert!(over.subject.contains("over: quota") && over.text.contains("Until: 2026-"), "{}", over.text);
    }
}
