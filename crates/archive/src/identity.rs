//! Who the account is, as far as archiving needs it: the keys that may have signed, and what an owner should know.

use p2pds_crypto::PublicKey;
use p2pds_directory::{DirectoryError, HandleState, Identity};
use p2pds_identity::plc::{KeyPeriod, Log, State};
use p2pds_syntax::{AtIdentifier, Did, DidMethod};

use crate::archive::Inner;
use crate::error::{ArchiveError, ArchiveResult};
use crate::judge::Keys;
use crate::report::{HandleNote, HandleSituation, KeyNote, KeySituation, KeyState};

/// Rotation keys that a large host is known to give all its accounts.
const KNOWN_HOST_KEYS: [&str; 2] = [
    "did:key:zQ3shhCGUqDKjStzuDxPkTxN6ujddP4RkEKJJouJGRRkaLGbg",
    "did:key:zQ3shpKnbdPx3g3CmPf5cRVTPe1HtSwVn5ish3wSnDPQCbLJK",
];

/// Whether a rotation key is one that a large host gives all its accounts.
pub(crate) fn is_known_host_key(key: &str) -> bool {
    KNOWN_HOST_KEYS.contains(&key)
}

impl Inner {
    /// Resolves a name both ways.
    pub(crate) async fn resolve(&self, name: &AtIdentifier) -> ArchiveResult<Identity> {
        self.directory().resolve(name).await.map_err(|error| identity_error(&name.to_string(), &error))
    }
}

/// A failed resolution as the archive reports it.
pub(crate) fn identity_error(name: &str, error: &DirectoryError) -> ArchiveError {
    ArchiveError::Identity { name: name.to_owned(), cause: error.to_string(), kind: error.kind() }
}

/// The keys that may have signed commits of this account.
pub(crate) fn keys_of(identity: &Identity) -> Keys {
    Keys {
        current: identity.signing_key.clone(),
        earlier: identity.plc.as_deref().map(earlier_keys).unwrap_or_default(),
    }
}

/// The keys that a log names for signing and their times, newest first; the current one among them.
fn earlier_keys(log: &Log) -> Vec<(PublicKey, KeyPeriod)> {
    let periods = log.signing_keys().into_iter().rev();
    periods.filter_map(|period| Some((PublicKey::from_did_key(&period.key).ok()?, period))).collect()
}

/// The keys of a log alone, without a document.
pub(crate) fn keys_of_log(log: &Log) -> Keys {
    let current = log.data().and_then(|data| PublicKey::from_did_key(data.signing_key()?).ok());
    Keys { current, earlier: earlier_keys(log) }
}

/// Who can move the identity.
pub(crate) fn key_situation(did: &Did, log: Option<&Log>, signing: Option<&PublicKey>) -> KeySituation {
    let web = did.method() == DidMethod::Web;
    let signing_key = signing.map(PublicKey::to_did_key);
    let Some(log) = log else {
        return KeySituation {
            state: KeyState::NoLog,
            rotation_keys: Vec::new(),
            signing_key,
            operations: 0,
            web,
        };
    };
    let operations = u64::try_from(log.entries().len()).unwrap_or(u64::MAX);
    let data = match log.state() {
        State::Active(data) => data,
        State::Tombstoned { .. } => {
            let rotation_keys = Vec::new();
            return KeySituation { state: KeyState::Tombstoned, rotation_keys, signing_key, operations, web };
        }
    };
    let rotation_keys: Vec<KeyNote> = data
        .rotation_keys
        .iter()
        .zip(1..)
        .map(|(key, position)| {
            let signed = signed_by(log, key);
            let likely_host = signed > 0 || KNOWN_HOST_KEYS.contains(&key.as_str());
            KeyNote { key: key.clone(), position, signed, likely_host }
        })
        .collect();
    let state = if rotation_keys.is_empty() {
        KeyState::Frozen
    } else if rotation_keys.iter().all(|note| note.likely_host) {
        KeyState::HostOnly
    } else {
        KeyState::PerhapsOwner
    };
    KeySituation { state, rotation_keys, signing_key, operations, web }
}

fn signed_by(log: &Log, key: &str) -> u64 {
    let Ok(key) = PublicKey::from_did_key(key) else { return 0 };
    let signed = log.canonical().filter(|entry| entry.operation.verify(&key)).count();
    u64::try_from(signed).unwrap_or(u64::MAX)
}

/// What becomes of the handle when the host is gone. `domains` are those that the host gives handles under; `None` when
/// it did not say.
pub(crate) fn handle_situation(
    handle: &HandleState,
    host: Option<&str>,
    domains: Option<&[String]>,
) -> HandleNote {
    let claimed = handle.claimed().map(|handle| handle.as_str().to_owned());
    let (situation, detail) = match handle {
        HandleState::None => (HandleSituation::None, None),
        HandleState::Mismatch { resolves_to, .. } => {
            (HandleSituation::Mismatch, Some(format!("it leads to another account, {resolves_to}")))
        }
        HandleState::Unresolvable { why, .. } => (HandleSituation::Unresolvable, Some(why.clone())),
        HandleState::Verified { handle } => (given_by_host(handle.as_str(), host, domains), None),
    };
    HandleNote { handle: claimed, situation, detail }
}

/// Whether a handle is one that the host gave. `domains` are those that it gives handles under; `None` when it did not say.
#[must_use]
pub fn given_by_host(handle: &str, host: Option<&str>, domains: Option<&[String]>) -> HandleSituation {
    let under = |domain: &str| {
        let domain = domain.trim_start_matches('.').to_ascii_lowercase();
        !domain.is_empty() && handle.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
    };
    let host_name =
        host.and_then(|url| url.split("://").nth(1)).and_then(|rest| rest.split([':', '/']).next());
    match domains {
        Some(domains) if domains.iter().any(|domain| under(domain)) => HandleSituation::HostProvided,
        _ if host_name.is_some_and(under) => HandleSituation::HostProvided,
        Some(_) => HandleSituation::Custom,
        None => HandleSituation::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_of_the_host_and_of_the_owner() {
        let domains = vec![".bsky.social".to_owned()];
        let ask = |handle, domains: Option<&[String]>| {
            given_by_host(handle, Some("https://pds.example.net"), domains)
        };
        assert_eq!(ask("alice.bsky.social", Some(&domains)), HandleSituation::HostProvided);
        assert_eq!(ask("alice.pds.example.net", Some(&domains)), HandleSituation::HostProvided);
        assert_eq!(ask("alicebsky.social", Some(&domains)), HandleSituation::Custom);
        assert_eq!(ask("alice.example.com", Some(&domains)), HandleSituation::Custom);
        assert_eq!(ask("alice.example.com", None), HandleSituation::Unknown);
    }
}
