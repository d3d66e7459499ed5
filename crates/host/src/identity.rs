//! Identities of hosted accounts as their owners and others ask for them: handles, documents, what to write into them.

use p2pds_directory::{HandleState, Identity};
use p2pds_identity::DidDocument;
use p2pds_identity::plc::{Data, Service};
use p2pds_store::hosting::Login;
use p2pds_store::{AccountPatch, StoreError, Unit};
use p2pds_syntax::{AtIdentifier, Did, DidMethod, ErrorKind, Handle};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::error::{HostError, HostResult};
use crate::events;
use crate::handles::Chooser;
use crate::host::Host;
use crate::plc::{Wanted, check_submitted, of_directory};
use crate::reason::Reason;

/// What the document of an account here should say: the answer of `getRecommendedDidCredentials`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recommended {
    /// Rotation keys in order of authority; for did:plc only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_keys: Option<Vec<String>>,
    /// The handle as URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub also_known_as: Option<Vec<String>>,
    /// `atproto`: the account's signing key here.
    pub verification_methods: BTreeMap<String, String>,
    /// `atproto_pds`: this host.
    pub services: BTreeMap<String, Service>,
}

/// An account as `resolveIdentity` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityInfo {
    /// The account.
    pub did: Did,
    /// Its handle, or `handle.invalid` when that does not lead back.
    pub handle: Handle,
    /// Its document.
    pub did_doc: Value,
}

/// Whom a document names for an account.
struct Named {
    /// Its host.
    pds: Option<String>,
    /// Its signing key, a did:key.
    key: Option<String>,
    /// Who may change it; of a did:plc only.
    rotation_keys: Option<Vec<String>>,
}

impl Host {
    /// The login of an account that is hosted here.
    ///
    /// # Errors
    /// `AccountNotFound`.
    pub(crate) async fn hosted(&self, did: &Did) -> HostResult<Login> {
        self.store().login(did).await?.ok_or_else(|| {
            HostError::named("AccountNotFound", format!("Account not found: {did} is not hosted here"))
                .because(Reason::NotHere)
        })
    }

    /// The handle under which a hosted account is known here.
    pub(crate) async fn handle_of(&self, did: &Did) -> HostResult<Option<Handle>> {
        let account = self.store().account(did).await?;
        Ok(account.and_then(|account| account.handle).and_then(|handle| Handle::parse(&handle).ok()))
    }

    /// `getRecommendedDidCredentials`.
    ///
    /// # Errors
    /// The account is not hosted here.
    pub async fn recommended_credentials(&self, did: &Did) -> HostResult<Recommended> {
        let login = self.hosted(did).await?;
        let handle = self.handle_of(did).await?;
        let mut data = Data::default();
        data.set_pds(&self.config().public_url);
        data.verification_methods.insert("atproto".to_owned(), login.signing_did_key);
        Ok(Recommended {
            rotation_keys: (did.method() == DidMethod::Plc).then(|| self.rotation_keys(None)),
            also_known_as: handle.map(|handle| vec![format!("at://{handle}")]),
            verification_methods: data.verification_methods,
            services: data.services,
        })
    }

    /// `submitPlcOperation`: checks an operation that was signed elsewhere, submits it and tells the network.
    ///
    /// # Errors
    /// What the operation must say and does not, or what the directory says.
    pub async fn submit_plc_operation(&self, did: &Did, operation: &Value) -> HostResult<()> {
        let login = self.hosted(did).await?;
        let handle = self.handle_of(did).await?;
        let rotation_key = self.keys().plc_rotation().public_key().to_did_key();
        let wanted = Wanted {
            rotation_key: &rotation_key,
            endpoint: &self.config().public_url,
            signing_key: &login.signing_did_key,
            handle: handle.as_ref(),
        };
        let operation = check_submitted(operation, &wanted)?;
        self.submit_checked(did, &operation).await?;
        self.tell_identity(did, None).await
    }

    /// `#identity`: the account's document or handle may have changed.
    ///
    /// # Errors
    /// The store's.
    pub async fn tell_identity(&self, did: &Did, handle: Option<&Handle>) -> HostResult<()> {
        self.directory().forget(&AtIdentifier::Did(did.clone()));
        self.store().apply(events::identity(did, handle, self.now())?).await?;
        Ok(())
    }

    /// Gives an account another handle: in its document, here, and to the network. Doing it again with the same handle
    /// repairs whatever was left undone, and tells the network again.
    ///
    /// # Errors
    /// `InvalidHandle`, `HandleNotAvailable`, or what the PLC directory says; nothing was changed here then.
    pub async fn update_handle(&self, did: &Did, text: &str, chooser: Chooser) -> HostResult<Handle> {
        self.hosted(did).await?;
        let handle = self.admit_handle(text, Some(did), chooser).await?;
        let _claim = self.claim_handle(&handle)?;
        match did.method() {
            DidMethod::Plc => {
                self.update_plc(did, |data| data.set_handle(&handle)).await?;
            }
            _ => self.check_document_claims(did, &handle).await?,
        }
        let before = self.handle_of(did).await?;
        let patch =
            AccountPatch { handle: Some(Some(handle.as_str().to_owned())), ..AccountPatch::default() };
        let units = vec![
            Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) },
            events::identity(did, Some(&handle), self.now())?,
        ];
        match self.store().apply(Unit::Batch { did: did.clone(), units }).await {
            Ok(_) => {}
            Err(StoreError::Taken(_)) => {
                return Err(HostError::named(
                    "HandleNotAvailable",
                    format!("Handle already taken: {handle}; choose another name"),
                )
                .because(Reason::HandleTaken));
            }
            Err(error) => return Err(error.into()),
        }
        for old in before.iter().chain([&handle]) {
            self.directory().forget(&AtIdentifier::Handle(old.clone()));
        }
        self.directory().forget(&AtIdentifier::Did(did.clone()));
        tracing::info!(event = "host.handle", %did, %handle, "an account has a handle");
        Ok(handle)
    }

    /// The document of a did:web is its owner's to change; unless this host serves it.
    async fn check_document_claims(&self, did: &Did, handle: &Handle) -> HostResult<()> {
        if self.serves_document_of(did) {
            return Ok(());
        }
        self.directory().forget(&AtIdentifier::Did(did.clone()));
        let identity =
            self.directory().resolve(&AtIdentifier::Did(did.clone())).await.map_err(of_directory)?;
        if identity.handle.claimed() == Some(handle) {
            return Ok(());
        }
        Err(HostError::invalid(format!(
            "DID is not properly configured for handle: put \"at://{handle}\" first into alsoKnownAs of the document of \
             {did}, where it is served, and try again"
        ))
        .because(Reason::HandleDocument { handle: handle.to_string() }))
    }

    /// `resolveDid`: the document, whoever hosts the account.
    ///
    /// # Errors
    /// `DidNotFound`, `DidDeactivated`, `UpstreamFailure`.
    pub async fn did_document(&self, did: &Did) -> HostResult<Value> {
        if let Some(document) = self.own_document(did).await? {
            return Ok(document.to_json());
        }
        let identity =
            self.directory().resolve(&AtIdentifier::Did(did.clone())).await.map_err(of_directory)?;
        parsed(&identity)
    }

    /// `resolveIdentity`: DID, handle and document, the handle checked both ways.
    ///
    /// # Errors
    /// `HandleNotFound`, `DidNotFound`, `DidDeactivated`, `UpstreamFailure`.
    pub async fn identity_info(&self, who: &AtIdentifier) -> HostResult<IdentityInfo> {
        let did = match who {
            AtIdentifier::Did(did) => did.clone(),
            AtIdentifier::Handle(handle) => self.resolve_handle(handle.as_str()).await?,
        };
        if let Some(document) = self.own_document(&did).await? {
            let handle = self.handle_of(&did).await?.unwrap_or_else(Handle::invalid);
            return Ok(IdentityInfo { did, handle, did_doc: document.to_json() });
        }
        let identity =
            self.directory().resolve(&AtIdentifier::Did(did.clone())).await.map_err(of_directory)?;
        let handle = self.proven_handle(&identity).await?.unwrap_or_else(Handle::invalid);
        if let AtIdentifier::Handle(asked) = who
            && *asked != handle
        {
            return Err(HostError::named(
                "HandleNotFound",
                format!("{asked} leads to {did}, which does not claim it"),
            ));
        }
        Ok(IdentityInfo { did, handle, did_doc: parsed(&identity)? })
    }

    /// `refreshIdentity`: what is remembered of somebody does not count any more.
    ///
    /// # Errors
    /// As [`identity_info`](Self::identity_info).
    pub async fn refresh_identity(&self, who: &AtIdentifier) -> HostResult<IdentityInfo> {
        self.directory().forget(who);
        let did = match who {
            AtIdentifier::Did(did) => did.clone(),
            AtIdentifier::Handle(handle) => self.resolve_handle(handle.as_str()).await?,
        };
        // At most once a minute for one account, whoever asks.
        self.directory().refresh(&did).await.map_err(of_directory)?;
        self.identity_info(who).await
    }

    /// The handle that a document claims, if it leads back. Our own handles are ours to say.
    async fn proven_handle(&self, identity: &Identity) -> HostResult<Option<Handle>> {
        if let HandleState::Verified { handle } = &identity.handle {
            return Ok(Some(handle.clone()));
        }
        let Some(claimed) = identity.handle.claimed() else { return Ok(None) };
        let own = self.hosted_handle(claimed).await?;
        Ok((own.as_ref() == Some(&identity.did)).then(|| claimed.clone()))
    }

    /// Whether the document of an account, as the network sees it, makes this host its host: our rotation key (for
    /// did:plc), our address, our signing key for it. Asked anew each time.
    ///
    /// # Errors
    /// What does not fit, and what to do about it.
    pub async fn check_points_here(&self, login: &Login) -> HostResult<()> {
        let did = &login.did;
        let Some(named) = self.named_in_document(did).await? else { return Ok(()) };
        let own = self.keys().plc_rotation().public_key().to_did_key();
        if named.rotation_keys.as_ref().is_some_and(|keys| !keys.contains(&own)) {
            return Err(HostError::invalid(format!(
                "Server rotation key not included in PLC DID data: submit a PLC operation that has {own}, as \
                 getRecommendedDidCredentials says"
            ))
            .because(Reason::IdentityElsewhere));
        }
        self.check_named(&named, &login.signing_did_key)
    }

    /// The same without the rotation key: whether the network believes what this host says of an account, signed with
    /// this key. A document that this host serves itself need not be reached yet.
    ///
    /// # Errors
    /// Kind Unavailable: the identity could not be asked. Else what does not fit.
    pub async fn check_named_here(&self, did: &Did, did_key: &str) -> HostResult<()> {
        if self.serves_document_of(did) {
            return Ok(());
        }
        match self.named_in_document(did).await? {
            Some(named) => self.check_named(&named, did_key),
            None => Ok(()),
        }
    }

    fn check_named(&self, named: &Named, did_key: &str) -> HostResult<()> {
        let url = &self.config().public_url;
        if named.pds.as_deref().map(|pds| pds.trim_end_matches('/')) != Some(url.as_str()) {
            return Err(HostError::invalid(format!(
                "DID document atproto_pds service endpoint does not match PDS public url: it says {}, {url} is wanted",
                named.pds.as_deref().unwrap_or("nothing")
            ))
            .because(Reason::IdentityElsewhere));
        }
        if named.key.as_deref() != Some(did_key) {
            return Err(HostError::invalid(format!(
                "DID document verification method does not match expected signing key: it says {}, {did_key} is wanted",
                named.key.as_deref().unwrap_or("nothing"),
            ))
            .because(Reason::IdentityElsewhere));
        }
        Ok(())
    }

    /// What the network sees in the document of an account, asked anew; `None` when it is this host's own by its settings.
    async fn named_in_document(&self, did: &Did) -> HostResult<Option<Named>> {
        if did.method() == DidMethod::Plc {
            let data = self.plc_log_now(did).await?.data().unwrap_or_default();
            return Ok(Some(Named {
                pds: data.services.get("atproto_pds").map(|service| service.endpoint.clone()),
                key: data.signing_key().map(str::to_owned),
                rotation_keys: Some(data.rotation_keys),
            }));
        }
        if self.is_own_web(did) {
            return Ok(None);
        }
        self.directory().forget(&AtIdentifier::Did(did.clone()));
        let found = self.directory().resolve(&AtIdentifier::Did(did.clone())).await;
        let identity = found.map_err(of_directory)?;
        if let Some(why) = identity.stale {
            return Err(HostError::upstream(format!("the document of {did} could not be fetched: {why}")));
        }
        let key = identity.signing_key.map(|key| key.to_did_key());
        Ok(Some(Named { pds: identity.pds, key, rotation_keys: None }))
    }

    /// The document of a hosted did:web that this host serves itself.
    pub(crate) async fn own_document(&self, did: &Did) -> HostResult<Option<DidDocument>> {
        if !self.serves_document_of(did) {
            return Ok(None);
        }
        let Some(login) = self.store().login(did).await? else { return Ok(None) };
        let mut data = Data::default();
        data.set_pds(&self.config().public_url);
        data.verification_methods.insert("atproto".to_owned(), login.signing_did_key);
        if let Some(handle) = self.handle_of(did).await? {
            data.set_handle(&handle);
        }
        Ok(Some(DidDocument::from_plc(did, &data)))
    }
}

fn parsed(identity: &Identity) -> HostResult<Value> {
    serde_json::from_str(&identity.doc_json).map_err(|error| {
        HostError::new(
            ErrorKind::Corrupt,
            "InternalServerError",
            format!("the document is not JSON: {error}"),
        )
    })
}
