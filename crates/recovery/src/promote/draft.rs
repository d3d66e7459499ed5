//! The operation that makes this node the host: what changes, and all else kept.

use p2pds_crypto::PublicKey;
use p2pds_identity::plc::{Data, Difference, Log, Operation, Unsigned, differences};
use p2pds_syntax::{Datetime, Handle};

use super::PromoteOptions;
use super::key::RotationKey;
use super::remark::{Choice, Remark};
use crate::error::{RecoveryError, RecoveryResult};

/// Rotation keys that the directory takes.
const MOST_KEYS: usize = 10;
/// How the plan writes the key that is not made yet.
const NEW_KEY: &str = "a new key that this node makes and keeps";

/// What the identity says before and after.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) before: Data,
    pub(crate) after: Data,
}

impl Draft {
    /// The content after a promotion; the error says what is in the way.
    pub(crate) fn new(
        log: &Log,
        public_url: &str,
        server_key: &str,
        signing_key: &PublicKey,
        handle: Option<&Handle>,
        options: &PromoteOptions,
    ) -> Result<Self, Remark> {
        let before = log.data().ok_or(
            "the identity was given up (a tombstone): only a rotation key of before can undo that, within 72 hours",
        )?;
        let mut after = before.clone();
        after.set_signing_key(signing_key);
        after.set_pds(public_url);
        if let Some(handle) = handle {
            after.set_handle(handle);
        }
        for key in &options.drop_keys {
            if !after.rotation_keys.contains(key) {
                return Err(format!("{key} is to be taken out, and is none of the rotation keys").into());
            }
            after.rotation_keys.retain(|other| other != key);
        }
        if !options.no_server_key && !after.rotation_keys.iter().any(|key| key == server_key) {
            if after.rotation_keys.len() >= MOST_KEYS {
                let words = format!(
                    "the identity has {} rotation keys, and the directory takes {MOST_KEYS}: there is no place for this \
                     node's. One can be taken out, or this node's be left out: then only you can change the handle or move \
                     away",
                    after.rotation_keys.len()
                );
                return Err(Remark::choosing(words, Choice::Keys));
            }
            // The lowest authority: whoever holds a key above it can undo what this node does.
            after.rotation_keys.push(server_key.to_owned());
        }
        if after.rotation_keys.is_empty() {
            return Err(
                "no rotation key would be left, and nobody could ever change the identity again".into()
            );
        }
        Ok(Self { before, after })
    }

    /// What changes, in words; the signing key is not made yet.
    pub(crate) fn words(&self) -> Vec<String> {
        let found = differences(&self.before, &self.after).into_iter().map(|difference| match difference {
            Difference::SigningKey { from, .. } => {
                Difference::SigningKey { from, to: Some(NEW_KEY.to_owned()) }
            }
            other => other,
        });
        found.map(|difference| difference.to_string()).collect()
    }

    /// What is kept as it is, in words.
    pub(crate) fn kept(&self) -> Vec<String> {
        let (before, after) = (&self.before, &self.after);
        let mut kept: Vec<String> = Vec::new();
        for key in before.rotation_keys.iter().filter(|key| after.rotation_keys.contains(key)) {
            kept.push(format!("rotation key {key}"));
        }
        for (name, key) in &before.verification_methods {
            if after.verification_methods.get(name) == Some(key) {
                kept.push(format!("key #{name} {key}"));
            }
        }
        for (name, service) in &before.services {
            if after.services.get(name) == Some(service) {
                kept.push(format!("service #{name} {}", service.endpoint));
            }
        }
        for name in before.also_known_as.iter().filter(|name| after.also_known_as.contains(name)) {
            kept.push(format!("name {name}"));
        }
        kept
    }

    /// Signs it as the next operation of a log, and checks it against every rule.
    pub(crate) fn sign(&self, log: &Log, key: &RotationKey, now: i64) -> RecoveryResult<Operation> {
        let (_, signer) =
            key.among(&self.before.rotation_keys).ok_or_else(|| RecoveryError::NotPromoted {
                did: log.did().clone(),
                why: vec![wrong_key(&key.did_keys(), &self.before.rotation_keys).into()],
            })?;
        let operation = Unsigned::update(log.head(), self.after.clone())
            .sign(signer)
            .map_err(|error| RecoveryError::Said { kind: error.kind(), words: error.to_string() })?;
        let last = log.entries().last().map_or(0, |entry| entry.created_at.unix_micros());
        let at = Datetime::from_unix_micros(now.max(last.saturating_add(1_000)))
            .ok_or_else(|| RecoveryError::Bug("the clock is out of range".to_owned()))?;
        log.append(operation.clone(), at)
            .map_err(|error| RecoveryError::Said { kind: error.kind(), words: error.to_string() })?;
        Ok(operation)
    }
}

/// Says that a key is not one of those that count.
pub(crate) fn wrong_key(given: &[String], listed: &[String]) -> String {
    format!(
        "the key that was given ({}) is none of the identity's rotation keys: {}",
        given.join(" or "),
        if listed.is_empty() { "it has none".to_owned() } else { listed.join(", ") }
    )
}
