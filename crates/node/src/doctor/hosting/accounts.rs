//! Whether hosted accounts are what the network believes: handles both ways, keys, addresses.

use p2pds_host::Host;
use p2pds_store::Login;
use p2pds_syntax::{AtIdentifier, Did, Handle};

use super::proxies;
use crate::config::Config;
use crate::doctor::{Check, Verdict};
use crate::words;

/// Accounts looked at.
const MOST: usize = 50;
/// Accounts named in one check.
const NAMED: usize = 3;

pub(super) async fn all(config: &Config, host: &Host) -> Vec<Check> {
    let logins = match host.store().logins(None, MOST).await {
        Ok(logins) => logins,
        Err(error) => return vec![Check::skipped("handles", error.to_string())],
    };
    let active: Vec<&Login> =
        logins.iter().filter(|login| login.deactivated_at.is_none() && login.takedown.is_none()).collect();
    if active.is_empty() {
        let first = "no active account is hosted: `p2pds account create HANDLE --email ADDRESS` makes one";
        return vec![Check::skipped("handles", first)];
    }
    vec![handles(config, host, &active).await, identities(host, &active).await]
}

/// A handle that does not lead both ways.
struct Wrong {
    did: Did,
    handle: Option<Handle>,
    words: String,
}

async fn handles(config: &Config, host: &Host, logins: &[&Login]) -> Check {
    const NAME: &str = "handles";
    let mut wrong = Vec::new();
    for login in logins {
        wrong.extend(wrong_handle(host, &login.did).await);
    }
    let Some(first) = wrong.first() else {
        let n = words::plural(count(logins), "handle", "handles");
        return Check::ok(NAME, format!("{n} looked at, which lead both ways"));
    };
    let named: Vec<&str> = wrong.iter().take(NAMED).map(|wrong| wrong.words.as_str()).collect();
    Check::bad(
        Verdict::Failed,
        NAME,
        format!("{} of {} do not lead both ways: {}", wrong.len(), logins.len(), named.join("; ")),
        "apps show these accounts with an invalid handle",
        fix(config, host, first),
    )
}

fn fix(config: &Config, host: &Host, wrong: &Wrong) -> String {
    let did = &wrong.did;
    let Some(handle) = &wrong.handle else {
        return format!("give it a handle: `p2pds admin handle {did} NEW-HANDLE`, or in the app's settings");
    };
    if !host.is_own_handle(handle) {
        return format!(
            "its owner's DNS needs a TXT record _atproto.{handle} with did={did}, or his web server the text {did} under \
             https://{handle}/.well-known/atproto-did"
        );
    }
    let domain = handle.as_str().split_once('.').map_or(String::new(), |(_, rest)| format!(".{rest}"));
    format!(
        "`curl https://{handle}/.well-known/atproto-did` from elsewhere must print {did}: a DNS record for *{domain} and a \
         certificate. {}",
        proxies::handle_names(&domain, config.http.port)
    )
}

/// What is wrong with an account's handle, if anything.
async fn wrong_handle(host: &Host, did: &Did) -> Option<Wrong> {
    let account = host.store().account(did).await.ok().flatten()?;
    let Some(handle) = account.handle.as_deref().and_then(|handle| Handle::parse(handle).ok()) else {
        return Some(Wrong { did: did.clone(), handle: None, words: format!("{did} has none") });
    };
    let words = match host.directory().resolve_handle(&handle).await {
        Ok(found) if found == *did => match host.directory().resolve(&AtIdentifier::Did(did.clone())).await {
            Ok(identity) if identity.handle.claimed().is_none_or(|claimed| *claimed == handle) => {
                return None;
            }
            Ok(identity) => {
                let says = identity.handle.claimed().map_or("no handle", Handle::as_str);
                format!("{handle}: its identity says {says}")
            }
            Err(error) => format!("{handle}: its identity cannot be read: {error}"),
        },
        Ok(other) => format!("{handle} leads to {other}, not to {did}"),
        // In development names are known to this node alone.
        Err(_) if host.config().dev_mode && host.is_own_handle(&handle) => return None,
        Err(error) => format!("{handle}: {error}"),
    };
    Some(Wrong { did: did.clone(), handle: Some(handle), words })
}

async fn identities(host: &Host, logins: &[&Login]) -> Check {
    const NAME: &str = "identities";
    let mut wrong = Vec::new();
    for login in logins {
        if let Err(error) = host.check_points_here(login).await {
            wrong.push(format!("{}: {}", login.did, error.message));
        }
    }
    if wrong.is_empty() {
        let n = words::plural(count(logins), "identity", "identities");
        return Check::ok(
            NAME,
            format!("{n} looked at: signing key, rotation key and address are this host's"),
        );
    }
    let named: Vec<&str> = wrong.iter().take(NAMED).map(String::as_str).collect();
    Check::bad(
        Verdict::Failed,
        NAME,
        format!("{} of {} do not name this host: {}", wrong.len(), logins.len(), named.join("; ")),
        "their posts are not believed elsewhere, or they have moved away",
        "an account that has moved: `p2pds account delete`, or let it stay deactivated. Keys of another data directory: \
         put `keys/` back from the backup. Another host name: set the old PDS_HOSTNAME again, or change the identities \
         with a rotation key (`p2pds plc log ACCOUNT` shows who holds one)",
    )
}

fn count(logins: &[&Login]) -> u64 {
    u64::try_from(logins.len()).unwrap_or(u64::MAX)
}
