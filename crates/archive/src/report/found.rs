//! What resolving an account found, before anything is fetched.

use std::fmt;

use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

use crate::words::{plural, size};

/// The account as the network shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Its DID.
    pub did: Did,
    /// Its handle and whether that survives the loss of the host.
    pub handle: HandleNote,
    /// Where it is hosted: the URL in the DID document.
    pub host: Option<String>,
    /// State at the host, in the protocol's word.
    pub status: String,
    /// Who can move this identity when the host is gone.
    pub keys: KeySituation,
    /// Collections that the host names.
    pub collections: Vec<String>,
    /// Revision at the host.
    pub rev: Option<String>,
    /// Blobs that the host lists; `None` when it was not asked or did not say.
    pub blobs: Option<u64>,
    /// Bytes of the repo, when an earlier copy or the host tells.
    pub repo_bytes: Option<u64>,
    /// Bytes that may be used on this disk, what stays free already taken off.
    pub disk_available: u64,
    /// What a backup does not contain, one line each.
    pub not_contained: Vec<String>,
    /// What else should be known, in plain words.
    pub remarks: Vec<String>,
}

impl Found {
    /// What no backup of public data contains.
    pub const NOT_CONTAINED: [&'static str; 4] = [
        "preferences (muted words, saved feeds, content settings): they are private to the account at its host",
        "direct messages: they are kept by the chat service, not in the repo",
        "private spaces (permissioned data): they are not public and are not fetched",
        "password, e-mail address and app passwords: they belong to the account at its host",
    ];
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Account   {}", self.did)?;
        writeln!(f, "Handle    {}", self.handle)?;
        match &self.host {
            Some(host) => writeln!(f, "Host      {host} ({})", self.status)?,
            None => writeln!(f, "Host      none: the identity names no server")?,
        }
        writeln!(f, "Identity  {}", self.keys)?;
        if !self.collections.is_empty() {
            writeln!(f, "Content   {}", collections(&self.collections))?;
        }
        if let Some(blobs) = self.blobs {
            writeln!(f, "Blobs     {} listed by the host", plural(blobs, "blob", "blobs"))?;
        }
        match self.repo_bytes {
            Some(bytes) => writeln!(
                f,
                "Size      repo {}, {} usable on this disk",
                size(bytes),
                size(self.disk_available)
            )?,
            None => writeln!(
                f,
                "Size      told by the host only while it sends; {} usable on this disk",
                size(self.disk_available)
            )?,
        }
        for remark in &self.remarks {
            writeln!(f, "Note      {remark}")?;
        }
        write!(f, "Not part of a backup:")?;
        for line in &self.not_contained {
            write!(f, "\n  - {line}")?;
        }
        Ok(())
    }
}

fn collections(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let count = u64::try_from(names.len()).unwrap_or(u64::MAX);
    let more = names.len().saturating_sub(SHOWN);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}: {}{tail}", plural(count, "collection", "collections"), shown.join(", "))
}

/// What becomes of the handle when the host is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandleSituation {
    /// A domain of its own: it goes along to any host.
    Custom,
    /// A name under the host's domain: it is lost with the host.
    HostProvided,
    /// It resolves, and it could not be told whether the host gave it.
    Unknown,
    /// It resolves to another account.
    Mismatch,
    /// It does not resolve.
    Unresolvable,
    /// The identity names none.
    None,
}

/// The handle, with words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandleNote {
    /// As claimed by the DID document.
    pub handle: Option<String>,
    /// What becomes of it.
    pub situation: HandleSituation,
    /// Why it does not resolve, or where to.
    pub detail: Option<String>,
}

impl fmt::Display for HandleNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handle = self.handle.as_deref().unwrap_or("none");
        let detail = self.detail.as_deref().unwrap_or("no further details");
        match self.situation {
            HandleSituation::Custom => {
                write!(f, "{handle} (a domain of its own: it survives the loss of the host)")
            }
            HandleSituation::HostProvided => {
                write!(
                    f,
                    "{handle} (given by the host: it is lost with the host; the DID and all mentions of it stay)"
                )
            }
            HandleSituation::Unknown => write!(f, "{handle}"),
            HandleSituation::Mismatch => {
                write!(f, "{handle} is not valid: {detail}. The archive goes by the DID")
            }
            HandleSituation::Unresolvable => {
                write!(f, "{handle} does not resolve now: {detail}. The archive goes by the DID")
            }
            HandleSituation::None => {
                write!(f, "none: the identity names no handle. The archive goes by the DID")
            }
        }
    }
}

/// One rotation key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyNote {
    /// The key, as did:key.
    pub key: String,
    /// Place in the list, from 1; a lower one overrules a higher one within 72 hours.
    pub position: usize,
    /// Operations of this identity that it signed.
    pub signed: u64,
    /// Whether it looks like the host's: it signed the operations that the host makes.
    pub likely_host: bool,
}

/// Who can move the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// Every rotation key looks like the host's.
    HostOnly,
    /// There is a rotation key that has not signed what hosts sign: it may be the owner's.
    PerhapsOwner,
    /// There is no rotation key: nobody can change the identity.
    Frozen,
    /// The identity has been given up (tombstone).
    Tombstoned,
    /// No PLC log: a did:web, or a file import without log.
    NoLog,
}

/// The key situation, with words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySituation {
    /// Who can move the identity.
    pub state: KeyState,
    /// The current rotation keys in order.
    pub rotation_keys: Vec<KeyNote>,
    /// The current signing key, as did:key.
    pub signing_key: Option<String>,
    /// Operations in the log.
    pub operations: u64,
    /// Whether the identity is a did:web.
    pub web: bool,
}

impl fmt::Display for KeySituation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = u64::try_from(self.rotation_keys.len()).unwrap_or(u64::MAX);
        let log = plural(self.operations, "operation", "operations");
        match self.state {
            KeyState::HostOnly => write!(
                f,
                "{} in a log of {log}, which looks like the host's. Do you hold it? If not: when the host is gone, nobody \
                 can move this account. Add a rotation key of your own while the host is there",
                plural(keys, "rotation key", "rotation keys")
            ),
            KeyState::PerhapsOwner => {
                write!(
                    f,
                    "{} in a log of {log}. Do you hold one of these?",
                    plural(keys, "rotation key", "rotation keys")
                )?;
                for note in self.rotation_keys.iter().filter(|note| !note.likely_host) {
                    write!(f, "\n            {}. {}", note.position, note.key)?;
                }
                write!(f, "\n          With one of them this account can be restored without its host")
            }
            KeyState::Frozen => {
                write!(f, "no rotation key in a log of {log}: nobody can move this account to another host")
            }
            KeyState::Tombstoned => write!(f, "given up by its owner (tombstone after {log})"),
            KeyState::NoLog if self.web => write!(
                f,
                "did:web: whoever controls the domain controls the account; there is no log of keys and no other recovery"
            ),
            KeyState::NoLog => write!(f, "no PLC log here, so nothing proves whose keys these are"),
        }
    }
}
