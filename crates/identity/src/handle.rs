//! Handles: where their proof is, and how it reads.
//!
//! A handle resolves in one of two ways, DNS first: a TXT record `did=...` of `_atproto.HANDLE`, or the text at
//! `https://HANDLE/.well-known/atproto-did`. It counts for an account only if the account's DID document names it too;
//! checking both ways is the caller's duty. Spec: <https://atproto.com/specs/handle#handle-resolution>.

use p2pds_syntax::{Did, ErrorKind, Handle};

/// An answer that names no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// Several DNS records name different accounts.
    #[error(
        "{handle} names more than one account in DNS ({first} and {second}), so it names none; its owner has to remove all but one TXT record"
    )]
    Ambiguous {
        /// Which handle.
        handle: Handle,
        /// One account.
        first: String,
        /// Another one.
        second: String,
    },
    /// The record or text is there and is no DID.
    #[error("the answer for {handle} is not a DID: {problem}")]
    NotADid {
        /// Which handle.
        handle: Handle,
        /// Why.
        problem: String,
    },
}

impl HandleError {
    /// Always [`ErrorKind::Invalid`].
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// The DNS name whose TXT records prove a handle.
pub fn dns_name(handle: &Handle) -> String {
    format!("_atproto.{handle}")
}

/// The address whose text proves a handle.
pub fn well_known_url(handle: &Handle) -> String {
    format!("https://{handle}/.well-known/atproto-did")
}

/// Reads TXT records. Records without `did=` belong to somebody else and are skipped; `None` if none is left.
pub fn did_from_txt<S: AsRef<str>>(handle: &Handle, records: &[S]) -> Result<Option<Did>, HandleError> {
    let mut found: Option<&str> = None;
    for value in records.iter().filter_map(|record| record.as_ref().strip_prefix("did=")) {
        match found {
            Some(first) if first != value => {
                let (first, second) = (excerpt(first), excerpt(value));
                return Err(HandleError::Ambiguous { handle: handle.clone(), first, second });
            }
            _ => found = Some(value),
        }
    }
    found.map(|value| parse(handle, value)).transpose()
}

/// Reads the text of the well-known address, without white space around it.
pub fn did_from_well_known(handle: &Handle, body: &str) -> Result<Did, HandleError> {
    parse(handle, body.trim())
}

fn parse(handle: &Handle, text: &str) -> Result<Did, HandleError> {
    Did::parse(text).map_err(|e| HandleError::NotADid { handle: handle.clone(), problem: e.to_string() })
}

fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Handle {
        Handle::parse("Alice.example.com").unwrap()
    }

    #[test]
    fn places() {
        assert_eq!(dns_name(&alice()), "_atproto.alice.example.com");
        assert_eq!(well_known_url(&alice()), "https://alice.example.com/.well-known/atproto-did");
    }

    #[test]
    fn txt_records() {
        let did = Did::parse("did:plc:z72i7hdynmk6r22z27h6tvur").unwrap();
        let good = format!("did={did}");
        assert_eq!(did_from_txt(&alice(), &["v=spf1 -all", &good]), Ok(Some(did.clone())));
        assert_eq!(did_from_txt(&alice(), &[&good, &good]), Ok(Some(did)));
        assert_eq!(did_from_txt::<&str>(&alice(), &[]), Ok(None));
        let two = did_from_txt(&alice(), &[good.as_str(), "did=did:plc:other"]);
        assert!(matches!(two, Err(HandleError::Ambiguous { .. })), "{two:?}");
        assert!(did_from_txt(&alice(), &["did="]).is_err());
    }

    #[test]
    fn well_known() {
        assert!(did_from_well_known(&alice(), " did:web:example.com\r\n").is_ok());
        assert!(did_from_well_known(&alice(), "<!doctype html>").is_err());
        assert!(did_from_well_known(&alice(), "did:web:example.com\ndid:web:example.org").is_err());
    }
}
