//! Which handles accounts of this host may have, and whose handle is whose.
//!
//! Under a domain of this host: one label of 3 to 18 characters that is not reserved ([`reserved`]) and not taken. Any
//! other domain: it must lead to the account already, by DNS or by its website, so that nobody claims a name that is not
//! theirs. Lower case throughout.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use p2pds_syntax::{AtIdentifier, Did, Handle};

use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::plc::of_directory;
use crate::reason::Reason;

mod reserved;

/// Shortest and longest label under a domain of this host.
const FRONT: std::ops::RangeInclusive<usize> = 3..=18;

/// Who chooses a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chooser {
    /// The account's owner, or whoever signs up.
    Owner,
    /// The operator: reserved names are allowed.
    Operator,
}

/// Where a handle stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place<'a> {
    /// Under a domain of this host; the label before it.
    Ours(&'a str),
    /// Elsewhere.
    Elsewhere,
}

/// The handle domains of a host, and what it says about names under them.
struct Rules<'a> {
    domains: &'a [String],
    dev_mode: bool,
}

impl Rules<'_> {
    fn place<'h>(&self, handle: &'h Handle) -> Place<'h> {
        let fronts = self.domains.iter().filter_map(|domain| {
            let dotted = format!(".{}", domain.trim_start_matches('.').to_ascii_lowercase());
            handle.as_str().strip_suffix(&dotted)
        });
        // The longest domain that fits counts.
        match fronts.min_by_key(|front| front.len()) {
            Some(front) if !front.is_empty() => Place::Ours(front),
            _ => Place::Elsewhere,
        }
    }

    /// Everything that can be said without asking anybody.
    fn check(&self, text: &str, chooser: Chooser) -> HostResult<Handle> {
        let invalid =
            |reason: Reason, message: String| Err(HostError::named("InvalidHandle", message).because(reason));
        let handle = match Handle::parse(text) {
            Ok(handle) => handle,
            Err(error) => return invalid(Reason::HandleUnfit, error.to_string()),
        };
        if !handle.is_resolvable() || (handle.tld() == "test" && !self.dev_mode) {
            let message = format!(
                "Handle TLD is invalid or disallowed: nothing under .{} can be resolved by others",
                handle.tld()
            );
            return invalid(Reason::HandleEnding { ending: handle.tld().to_owned() }, message);
        }
        let Place::Ours(front) = self.place(&handle) else { return Ok(handle) };
        if front.contains('.') {
            let message = format!("Invalid characters in handle: {front:?} may have no dots");
            return invalid(Reason::HandleDots, message);
        }
        if front.len() < *FRONT.start() {
            let (least, message) = (
                *FRONT.start(),
                format!("Handle too short: {} characters at least before the domain", FRONT.start()),
            );
            return invalid(Reason::HandleShort { least: least as u64 }, message);
        }
        if front.len() > *FRONT.end() {
            let (most, message) = (
                *FRONT.end(),
                format!("Handle too long: {} characters at most before the domain", FRONT.end()),
            );
            return invalid(Reason::HandleLong { most: most as u64 }, message);
        }
        if chooser == Chooser::Owner && reserved::is_reserved(front) {
            return Err(HostError::named(
                "HandleNotAvailable",
                format!("Reserved handle: {front:?} is kept free on this host, choose another name"),
            )
            .because(Reason::HandleReserved));
        }
        Ok(handle)
    }
}

/// Handles that are being given to somebody: two requests for one name do not both reach the directory.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashSet<Handle>>);

/// The right to give a handle to somebody, until it is dropped.
pub struct Claim<'a> {
    claims: &'a Claims,
    handle: Handle,
}

impl std::fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Claim").field(&self.handle).finish()
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.claims.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.handle);
    }
}

impl Host {
    fn handle_rules(&self) -> Rules<'_> {
        Rules { domains: &self.config().handle_domains, dev_mode: self.config().dev_mode }
    }

    /// Whether a handle is under a domain of this host.
    #[must_use]
    pub fn is_own_handle(&self, handle: &Handle) -> bool {
        self.handle_rules().place(handle) != Place::Elsewhere
    }

    /// A handle that may be given to `did`, or, at a sign-up that makes its DID, to nobody yet.
    ///
    /// # Errors
    /// `InvalidHandle`, `UnsupportedDomain`, `HandleNotAvailable`, each with what to do.
    pub async fn admit_handle(&self, text: &str, did: Option<&Did>, chooser: Chooser) -> HostResult<Handle> {
        let handle = self.handle_rules().check(text, chooser)?;
        if !self.is_own_handle(&handle) {
            self.check_leads_to(&handle, did).await?;
        }
        match self.store().login_by_handle(handle.as_str()).await? {
            Some(login) if Some(&login.did) != did => Err(taken(&handle)),
            _ => Ok(handle),
        }
    }

    /// Takes the handle for the time of a change.
    ///
    /// # Errors
    /// `HandleNotAvailable`: it is being given to somebody at this moment.
    pub fn claim_handle(&self, handle: &Handle) -> HostResult<Claim<'_>> {
        let claims = self.handle_claims();
        let mut held = claims.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.insert(handle.clone()) {
            return Err(taken(handle));
        }
        drop(held);
        Ok(Claim { claims, handle: handle.clone() })
    }

    /// A domain of one's own must lead to the account before it can be its handle.
    async fn check_leads_to(&self, handle: &Handle, did: Option<&Did>) -> HostResult<()> {
        let Some(did) = did else {
            let domains = self.config().handle_domains.join(" or ");
            let message = format!(
                "Not a supported handle domain: sign up under {domains}; a domain of your own can become your handle after \
                 that"
            );
            let domains = self.config().handle_domains.join(", ");
            return Err(
                HostError::named("UnsupportedDomain", message).because(Reason::HandleDomain { domains })
            );
        };
        // Somebody who has just changed DNS is asking: what is remembered does not count.
        self.directory().forget(&AtIdentifier::Handle(handle.clone()));
        let how = format!(
            "set the DNS record TXT _atproto.{handle} to \"did={did}\", and try again when it is visible"
        );
        let why = match self.directory().resolve_handle(handle).await {
            Ok(found) if found == *did => return Ok(()),
            Ok(found) => format!("{handle} leads to {found}"),
            Err(error) => error.to_string(),
        };
        let message = format!("External handle did not resolve to DID: {why}; {how}");
        let reason = Reason::HandleElsewhere { handle: handle.to_string() };
        Err(HostError::named("InvalidHandle", message).because(reason))
    }

    /// `resolveHandle`: the hosted account with this handle, or where it leads elsewhere.
    ///
    /// # Errors
    /// `InvalidHandle`, `HandleNotFound`, `UpstreamFailure`.
    pub async fn resolve_handle(&self, text: &str) -> HostResult<Did> {
        let handle =
            Handle::parse(text).map_err(|error| HostError::named("InvalidHandle", error.to_string()))?;
        if let Some(did) = self.hosted_handle(&handle).await? {
            return Ok(did);
        }
        if self.is_own_handle(&handle) {
            return Err(HostError::named(
                "HandleNotFound",
                format!("Unable to resolve handle: no account of this host is called {handle}"),
            ));
        }
        self.directory().resolve_handle(&handle).await.map_err(of_directory)
    }

    /// The hosted account that answers to a handle: one that is neither paused nor taken down.
    ///
    /// # Errors
    /// The store's.
    pub async fn hosted_handle(&self, handle: &Handle) -> HostResult<Option<Did>> {
        let login = self.store().login_by_handle(handle.as_str()).await?;
        Ok(login
            .filter(|login| login.deactivated_at.is_none() && login.takedown.is_none())
            .map(|login| login.did))
    }
}

fn taken(handle: &Handle) -> HostError {
    HostError::named("HandleNotAvailable", format!("Handle already taken: {handle}; choose another name"))
        .because(Reason::HandleTaken)
}

#[cfg(test)]
mod tests {
    use p2pds_syntax::Handle;

    use super::{Chooser, Claims, Place, Rules};

    fn domains() -> Vec<String> {
        vec![".pds.example.com".to_owned(), ".example.com".to_owned(), ".test".to_owned()]
    }

    fn check(text: &str, dev_mode: bool, chooser: Chooser) -> Result<String, (&'static str, String)> {
        let domains = domains();
        Rules { domains: &domains, dev_mode }
            .check(text, chooser)
            .map(|handle| handle.as_str().to_owned())
            .map_err(|error| (error.name, error.message))
    }

    #[test]
    fn one_label_of_3_to_18_under_the_longest_domain() {
        for (text, expected) in [
            ("Alice.pds.example.com", "alice.pds.example.com"),
            ("a-1.example.com", "a-1.example.com"),
            ("abcdefghijklmnopqr.example.com", "abcdefghijklmnopqr.example.com"),
            ("example.com", "example.com"),
            ("a.b.elsewhere.org", "a.b.elsewhere.org"),
            ("x.org", "x.org"),
            ("myexample.com", "myexample.com"),
        ] {
            assert_eq!(check(text, false, Chooser::Owner).as_deref(), Ok(expected), "{text}");
        }
        for (text, word) in [
            ("al.example.com", "too short"),
            ("abcdefghijklmnopqrs.example.com", "too long"),
            ("a.b.example.com", "no dots"),
            ("alice.bob.pds.example.com", "no dots"),
            ("alice", "two parts"),
            ("-alice.example.com", ""),
            ("al_ice.example.com", ""),
            ("@alice.example.com", ""),
            ("alice.example.com.", ""),
            ("alice.pds.local", "disallowed"),
            ("alice.onion", "disallowed"),
            ("handle.invalid", "disallowed"),
            ("alice.test", "disallowed"),
        ] {
            let (name, message) = check(text, false, Chooser::Owner).unwrap_err();
            assert_eq!(name, "InvalidHandle", "{text}");
            assert!(message.contains(word), "{text}: {message}");
        }
    }

    #[test]
    fn test_names_are_for_development() {
        assert!(check("alice.test", true, Chooser::Owner).is_ok());
        assert!(check("alice.localhost", true, Chooser::Owner).is_err());
    }

    #[test]
    fn reserved_names_are_the_operators_to_give() {
        for front in ["admin", "support", "www", "xrpc", "security"] {
            let text = format!("{front}.example.com");
            let (name, _) = check(&text, false, Chooser::Owner).unwrap_err();
            assert_eq!(name, "HandleNotAvailable", "{text}");
            assert!(check(&text, false, Chooser::Operator).is_ok(), "{text}");
        }
        // Reserved is the label under our domain, not the words of others' domains.
        assert!(check("admin.elsewhere.org", false, Chooser::Owner).is_ok());
        assert!(check("al.example.com", false, Chooser::Operator).is_err());
    }

    #[test]
    fn domains_are_matched_whole() {
        let domains = domains();
        let rules = Rules { domains: &domains, dev_mode: false };
        let handle = |text: &str| Handle::parse(text).unwrap();
        assert_eq!(rules.place(&handle("alice.pds.example.com")), Place::Ours("alice"));
        assert_eq!(rules.place(&handle("pds.example.com")), Place::Ours("pds"));
        assert_eq!(rules.place(&handle("example.com")), Place::Elsewhere);
        assert_eq!(rules.place(&handle("notexample.com")), Place::Elsewhere);
    }

    #[test]
    fn a_claim_ends_with_its_guard() {
        let claims = Claims::default();
        let handle = Handle::parse("alice.example.com").unwrap();
        claims.0.lock().unwrap().insert(handle.clone());
        let claim = super::Claim { claims: &claims, handle };
        drop(claim);
        assert!(claims.0.lock().unwrap().is_empty());
    }
}
