//! Mail: written, queued in the store before anybody is told that it is on its way, sent, tried again, given up.
//!
//! Without a mail server it stays in the queue and the operator reads it there. What waits is encrypted with a key that
//! lies outside the database, because it holds tokens.

mod job;
mod smtp;
mod words;

use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use p2pds_store::Unit;
use p2pds_store::hosting::{AccountsUnit, HostingUnit, MailRow};
use p2pds_syntax::{Did, ErrorKind};
use serde_json::{Value, json};

use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::keys::Purpose;
use crate::passwords::no_entropy;

pub use job::MailJob;
pub use smtp::{NotSent, Sender, check_address, check_smtp};
pub use words::{MODERATION, Words};

/// How long a mail that nobody sends is kept for the operator, microseconds.
pub const KEPT: i64 = 7 * 24 * 3_600 * 1_000_000;
/// Longest text of a message.
pub const LONGEST_TEXT: usize = 64 * 1024;

const NONCE: usize = 24;
const TAG: usize = 16;
const DAY: i64 = 24 * 3_600 * 1_000_000;

/// A mail to be queued.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) to: String,
    pub(crate) did: Option<Did>,
    pub(crate) kind: &'static str,
    /// How long it is worth sending, microseconds.
    pub(crate) lasts: i64,
    pub(crate) words: Words,
}

/// A queued mail as the operator reads it.
#[derive(Debug, Clone)]
pub struct ReadMail {
    /// The row.
    pub row: MailRow,
    /// What it says; `None` when another `node.key` sealed it.
    pub words: Option<Words>,
}

impl Host {
    /// The unit that queues a mail.
    pub(crate) fn letter(&self, letter: Letter) -> HostResult<Unit> {
        let now = self.now();
        let has_server = self.mail_server(letter.kind).is_some();
        let expires_at = now.saturating_add(letter.lasts);
        let row = MailRow {
            id: 0,
            sealed: self.seal_mail(&letter.words)?,
            did: letter.did,
            to: letter.to,
            kind: letter.kind.to_owned(),
            created_at: now,
            next_at: if has_server { now } else { now.saturating_add(KEPT) },
            expires_at,
            tries: 0,
            last_error: None,
            given_up_at: None,
        };
        Ok(Unit::Hosting(Box::new(HostingUnit::Accounts(AccountsUnit::PutMail(row)))))
    }

    /// The unit that queues a mail of the node to its operator. It goes the way of all mail here: tried again for three
    /// days, or waiting in the spool when no mail server is set.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn operator_mail(&self, to: &str, subject: &str, text: &str) -> HostResult<Unit> {
        let words = Words { subject: subject.to_owned(), text: text.to_owned() };
        self.letter(Letter { to: to.to_owned(), did: None, kind: "alert", lasts: 3 * DAY, words })
    }

    /// Tells the job that sends mail that there is some.
    pub fn mail_waits(&self) {
        self.accounts().mail.notify_one();
    }

    /// Queues a message to the owner of an account: from the operator or a moderator.
    ///
    /// # Errors
    /// No such account, no address, too long; the store.
    pub async fn send_message(&self, did: &Did, subject: &str, text: &str) -> HostResult<()> {
        let login = self.store().login(did).await?;
        let login = login.ok_or_else(|| HostError::invalid("Recipient not found"))?;
        if login.email.is_empty() {
            return Err(HostError::invalid("account does not have an email address"));
        }
        if text.len() > LONGEST_TEXT || subject.chars().count() > 300 {
            return Err(HostError::invalid(
                "the message is too long: 64 KiB of text and 300 characters of subject",
            ));
        }
        let words = Words { subject: subject.replace(['\r', '\n'], " "), text: text.to_owned() };
        let letter =
            Letter { to: login.email, did: Some(did.clone()), kind: MODERATION, lasts: 3 * DAY, words };
        self.store().apply(self.letter(letter)?).await?;
        self.accounts().mail.notify_one();
        Ok(())
    }

    /// Mail that waits or was given up, newest first.
    ///
    /// # Errors
    /// The store.
    pub async fn mail_list(&self, limit: usize) -> HostResult<Vec<MailRow>> {
        Ok(self.store().mails(limit).await?)
    }

    /// One mail with its text.
    ///
    /// # Errors
    /// The store.
    pub async fn mail_show(&self, id: i64) -> HostResult<Option<ReadMail>> {
        let row = self.store().mail(id).await?;
        Ok(row.map(|row| ReadMail { words: self.open_mail(&row.sealed), row }))
    }

    fn seal_mail(&self, words: &Words) -> HostResult<Vec<u8>> {
        let key = self.keys().derived(Purpose::Mail);
        let mut nonce = [0_u8; NONCE];
        getrandom::fill(&mut nonce).map_err(|e| no_entropy(&e))?;
        let mut bytes = json!({ "subject": words.subject, "text": words.text }).to_string().into_bytes();
        let tag = XChaCha20Poly1305::new((&*key).into())
            .encrypt_inout_detached(&XNonce::from(nonce), b"mail", bytes.as_mut_slice().into())
            .map_err(|_| {
                HostError::new(ErrorKind::Bug, "InternalServerError", "the cipher refused a mail")
            })?;
        Ok([nonce.as_slice(), bytes.as_slice(), tag.as_slice()].concat())
    }

    pub(crate) fn open_mail(&self, sealed: &[u8]) -> Option<Words> {
        let key = self.keys().derived(Purpose::Mail);
        let (nonce, rest) = sealed.split_first_chunk::<NONCE>()?;
        let (bytes, tag) = rest.split_last_chunk::<TAG>()?;
        let mut bytes = bytes.to_vec();
        XChaCha20Poly1305::new((&*key).into())
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                b"mail",
                bytes.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .ok()?;
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        Some(Words {
            subject: value.get("subject")?.as_str()?.to_owned(),
            text: value.get("text")?.as_str()?.to_owned(),
        })
    }
}
