//! Sign-ins that are under way: in memory only, each for ten minutes and for one answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use p2pds_crypto::PrivateKey;
use p2pds_syntax::Did;
use sha2::{Digest as _, Sha256};

use super::error::SignInError;
use super::server::Server;
use crate::Secret;

/// How long somebody may take, microseconds.
pub(super) const LASTS: i64 = 10 * 60 * 1_000_000;
/// Sign-ins under way at a time.
const MOST: usize = 10_000;

/// What is remembered of a sign-in.
pub(super) struct Flow {
    pub(super) server: Server,
    /// Whom it must be; `None` when an address was typed.
    pub(super) expect: Option<Did>,
    pub(super) key: PrivateKey,
    pub(super) verifier: Secret,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) scope: String,
    /// SHA-256 of what the browser that began it holds.
    pub(super) browser: [u8; 32],
    pub(super) begun_at: i64,
}

#[derive(Default)]
pub(super) struct Pending(Mutex<HashMap<[u8; 32], Flow>>);

fn name(state: &str) -> [u8; 32] {
    Sha256::digest(state.as_bytes()).into()
}

impl Pending {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<[u8; 32], Flow>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn begin(&self, state: &str, flow: Flow) -> Result<(), SignInError> {
        let now = flow.begun_at;
        self.with(|all| {
            if all.len() >= MOST {
                all.retain(|_, flow| now.saturating_sub(flow.begun_at) < LASTS);
            }
            if all.len() >= MOST {
                return Err(SignInError::Busy);
            }
            all.insert(name(state), flow);
            Ok(())
        })
    }

    /// The sign-in with this state, which is over with that: a second answer finds nothing.
    pub(super) fn take(&self, state: &str, browser: [u8; 32], now: i64) -> Result<Flow, SignInError> {
        let flow = self.with(|all| all.remove(&name(state))).ok_or(SignInError::UnknownState)?;
        if now.saturating_sub(flow.begun_at) >= LASTS {
            return Err(SignInError::UnknownState);
        }
        if flow.browser != browser {
            return Err(SignInError::OtherBrowser);
        }
        Ok(flow)
    }
}
