//! The directory: caches in front, the two ways of resolution behind.

use std::sync::Arc;

use p2pds_identity::plc::Log;
use p2pds_net::{Client, Pace, SystemPace};
use p2pds_store::{IdentityRow, Store, StoreError, Unit};
use p2pds_syntax::{AtIdentifier, Did, Handle};
use tracing::debug;

use crate::cache::{Answer, Cache, Found, Want};
use crate::config::DirectoryConfig;
use crate::did::Asking;
use crate::error::DirectoryError;
use crate::handle;
use crate::identity::{HandleState, Identity, Source};

/// Finds accounts and remembers them. Cheap to clone.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    client: Client,
    store: Arc<dyn Store>,
    config: DirectoryConfig,
    pace: Arc<dyn Pace>,
    handles: Arc<Cache<Handle, Did>>,
    identities: Arc<Cache<Did, Identity>>,
}

impl Directory {
    /// A directory on the machine's clock.
    #[must_use]
    pub fn new(client: Client, store: Arc<dyn Store>, config: DirectoryConfig) -> Self {
        Self::with_pace(client, store, config, Arc::new(SystemPace))
    }

    /// A directory whose time comes from `pace`.
    #[must_use]
    pub fn with_pace(
        client: Client,
        store: Arc<dyn Store>,
        config: DirectoryConfig,
        pace: Arc<dyn Pace>,
    ) -> Self {
        let handles = Arc::new(Cache::new(&config, Arc::clone(&pace)));
        let identities = Arc::new(Cache::new(&config, Arc::clone(&pace)));
        Self(Arc::new(Inner { client, store, config, pace, handles, identities }))
    }

    /// The client that it asks with.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// The settings it was made with.
    #[must_use]
    pub fn config(&self) -> &DirectoryConfig {
        &self.0.config
    }

    /// Finds an account by handle or DID, both ways: a handle counts only if the account claims it, and a
    /// claimed handle only if it leads to the account.
    ///
    /// A DID resolves whatever becomes of its handle; see [`Identity::handle`]. A handle that the account
    /// does not claim is an error that names the DID.
    ///
    /// # Errors
    /// Every [`DirectoryError`].
    pub async fn resolve(&self, who: &AtIdentifier) -> Result<Identity, DirectoryError> {
        match who {
            AtIdentifier::Did(did) => self.identity(did, Want::Fresh).await,
            AtIdentifier::Handle(handle) => self.resolve_by_handle(handle).await,
        }
    }

    /// Asks anew for an account, at most once a minute: for signatures that do not verify and events that
    /// announce a change.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub async fn refresh(&self, did: &Did) -> Result<Identity, DirectoryError> {
        self.identity(did, Want::New).await
    }

    /// Where a handle leads, one way only; the account may not claim it.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub async fn resolve_handle(&self, handle: &Handle) -> Result<Did, DirectoryError> {
        Ok(self.handle_answer(handle, Want::Fresh).await?.value)
    }

    /// What the mirror in the store knows about an account, however old, without asking anyone.
    ///
    /// # Errors
    /// [`DirectoryError::Store`], [`DirectoryError::Tombstoned`], [`DirectoryError::Document`].
    pub async fn stored(&self, did: &Did) -> Result<Option<Identity>, DirectoryError> {
        let Some(mut identity) = self.0.asking().mirrored(did).await? else { return Ok(None) };
        let known = self.0.store.identity(did).await?.and_then(|row| row.handle);
        if let (Some(claimed), Some(known)) = (identity.handle.claimed(), known)
            && claimed.as_str() == known
        {
            identity.handle = HandleState::Verified { handle: claimed.clone() };
        }
        Ok(Some(identity))
    }

    /// The document of an account as its method tells it, past what is remembered, and without asking where its handle
    /// leads: [`Identity::handle`] is at most claimed.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub async fn document(&self, did: &Did) -> Result<Identity, DirectoryError> {
        self.0.asking().resolve(did).await
    }

    /// Asks another directory, or a mirror of the same, for the log of a did:plc and compares it with the stored one.
    /// Where they disagree is a finding about that directory. Nothing is taken over from it. An account whose log is not
    /// stored, and a directory that does not answer, are no findings.
    ///
    /// # Errors
    /// [`DirectoryError::Store`].
    pub async fn compare(&self, did: &Did, origin: &str) -> Result<(), DirectoryError> {
        self.0.asking().compare(did, origin.trim_end_matches('/')).await
    }

    /// The log of a did:plc as the directory tells it now, past everything that is remembered: for whoever builds the
    /// next operation. It is proved from the DID up, and is neither shorter nor other than what was seen before.
    ///
    /// # Errors
    /// As [`Self::resolve`], and [`DirectoryError::NoLog`] when the directory answers with less than was known.
    pub async fn log_now(&self, did: &Did) -> Result<Arc<Log>, DirectoryError> {
        let identity = self.0.asking().resolve(did).await?;
        match identity.plc {
            Some(log) if identity.source == Source::PlcLog => Ok(log),
            _ => Err(DirectoryError::NoLog { did: did.clone(), asked: self.0.config.plc_url.clone() }),
        }
    }

    /// Forgets what is remembered, failures too, so that the next question is asked: for a person who tries again.
    /// What the store holds is kept.
    pub fn forget(&self, who: &AtIdentifier) {
        match who {
            AtIdentifier::Did(did) => self.0.identities.forget(did),
            AtIdentifier::Handle(handle) => self.0.handles.forget(handle),
        }
    }

    async fn resolve_by_handle(&self, handle: &Handle) -> Result<Identity, DirectoryError> {
        let did = self.handle_answer(handle, Want::Fresh).await?.value;
        let mut identity = self.identity(&did, Want::Fresh).await?;
        if identity.handle.verified() != Some(handle) {
            // One of the two may be remembered from before a change.
            identity = self.identity(&did, Want::New).await?;
        }
        let claimed = identity.handle.claimed().cloned();
        if claimed.as_ref() == Some(handle) {
            identity.handle = HandleState::Verified { handle: handle.clone() };
            return Ok(identity);
        }
        Err(DirectoryError::HandleMismatch { handle: handle.clone(), did, claimed })
    }

    async fn handle_answer(&self, handle: &Handle, want: Want) -> Result<Answer<Did>, DirectoryError> {
        let (inner, own) = (Arc::clone(&self.0), handle.clone());
        let ask = || async move {
            let did = handle::resolve(&inner.client, &inner.config, &own).await?;
            let weight = did.as_str().len().saturating_add(512);
            Ok(Found { value: did, weight, makeshift: false })
        };
        self.0.handles.get(handle, want, ask).await
    }

    async fn identity(&self, did: &Did, want: Want) -> Result<Identity, DirectoryError> {
        let (this, own) = (self.clone(), did.clone());
        let ask = || async move {
            let identity = this.ask(&own, want).await?;
            let weight = identity.weight();
            // The bare document of an identity that should have a log: the directory could not show it now.
            let makeshift = identity.source == Source::PlcDocument;
            Ok(Found { value: identity, weight, makeshift })
        };
        match self.0.identities.get(did, want, ask).await {
            Ok(Answer { mut value, stale }) => {
                value.stale = stale.map(|e| e.to_string());
                Ok(value)
            }
            Err(e) => self.recent(did, e).await,
        }
    }

    /// Fetches, checks the handle, and leaves a copy in the store.
    async fn ask(&self, did: &Did, want: Want) -> Result<Identity, DirectoryError> {
        let inner = &self.0;
        let mut identity = inner.asking().resolve(did).await?;
        if let Some(claimed) = identity.handle.claimed().cloned() {
            identity.handle = match self.handle_answer(&claimed, want).await {
                Ok(answer) if answer.value == *did => HandleState::Verified { handle: claimed },
                Ok(answer) => HandleState::Mismatch { claimed, resolves_to: answer.value },
                Err(e) => HandleState::Unresolvable { claimed, why: e.to_string() },
            };
        }
        let row = IdentityRow {
            did: did.clone(),
            doc: identity.doc_json.as_bytes().to_vec(),
            handle: identity.handle.verified().map(|h| h.as_str().to_owned()),
            fetched_at: identity.fetched_at,
        };
        match inner.store.apply(Unit::PutIdentity(row)).await {
            Ok(_) | Err(StoreError::Purging(_) | StoreError::UnknownAccount(_)) => Ok(identity),
            Err(e) => {
                // Knowing the account is worth more than remembering it.
                debug!(event = "identity.not-stored", %did, error = %e, "an identity could not be noted");
                Ok(identity)
            }
        }
    }

    /// After silence: what the store knows, if it is recent enough. After a verdict: the verdict.
    async fn recent(&self, did: &Did, error: DirectoryError) -> Result<Identity, DirectoryError> {
        if error.is_verdict() {
            return Err(error);
        }
        let usable = i64::try_from(self.0.config.usable_for.as_micros()).unwrap_or(i64::MAX);
        match self.stored(did).await {
            Ok(Some(mut identity)) if self.0.now_micros().saturating_sub(identity.fetched_at) < usable => {
                identity.stale = Some(error.to_string());
                Ok(identity)
            }
            Err(verdict @ DirectoryError::Tombstoned { .. }) => Err(verdict),
            _ => Err(error),
        }
    }
}

impl Inner {
    fn asking(&self) -> Asking<'_> {
        Asking {
            client: &self.client,
            store: &*self.store,
            config: &self.config,
            now_micros: self.now_micros(),
        }
    }

    fn now_micros(&self) -> i64 {
        i64::try_from(self.pace.now_ms().saturating_mul(1000)).unwrap_or(i64::MAX)
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Identity {
    /// Whether the directory answered with less than was known, so that this is the mirror's word.
    #[must_use]
    pub fn is_from_mirror(&self) -> bool {
        self.source == Source::Mirror
    }
}
