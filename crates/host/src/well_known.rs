//! What this host says under names that are its own: its document, those of accounts whose did:web leads here, the proof
//! of handles, and for which names a proxy may ask for a certificate.

use p2pds_syntax::{Did, DidMethod, Handle};
use serde_json::{Value, json};

use crate::error::HostResult;
use crate::host::Host;

impl Host {
    /// The name in a `Host` header, without port, in lower case.
    fn bare_name(header: &str) -> String {
        let name = match header.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
            _ => header,
        };
        name.trim_end_matches('.').to_ascii_lowercase()
    }

    /// Whether a did:web is this host's own name, with its port, or the single user's: settings say that its document is
    /// served here, so nobody else is asked.
    pub(crate) fn is_own_web(&self, did: &Did) -> bool {
        let url = &self.config().public_url;
        let authority = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let own = format!("did:web:{}", authority.to_ascii_lowercase().replace(':', "%3A"));
        let single = self.config().single_user.as_ref().is_some_and(|single| single.did == *did);
        did.method() == DidMethod::Web && (did.as_str() == own || *did == self.config().service_did || single)
    }

    /// Whether the document of a did:web is served by this host when its name leads here: its own, or one under its
    /// handle domains.
    pub(crate) fn serves_document_of(&self, did: &Did) -> bool {
        let under = || Handle::parse(did.identifier()).is_ok_and(|name| self.is_own_handle(&name));
        self.is_own_web(did) || (did.method() == DidMethod::Web && under())
    }

    /// `/.well-known/atproto-did`: whose handle the name is, by which the request came.
    ///
    /// # Errors
    /// The store's.
    pub async fn did_of_name(&self, host_header: &str) -> HostResult<Option<Did>> {
        let Ok(handle) = Handle::parse(&Self::bare_name(host_header)) else { return Ok(None) };
        self.hosted_handle(&handle).await
    }

    /// `/.well-known/did.json`: the document of the did:web that the name stands for: an account's, or this service's.
    ///
    /// # Errors
    /// The store's.
    pub async fn document_of_name(&self, host_header: &str) -> HostResult<Option<Value>> {
        let name = Self::bare_name(host_header);
        let port = host_header.rsplit_once(':').map(|(_, port)| format!("did:web:{name}%3A{port}"));
        let dids: Vec<Did> = port
            .into_iter()
            .chain([format!("did:web:{name}")])
            .filter_map(|text| Did::parse(&text).ok())
            .collect();
        for did in &dids {
            if let Some(document) = self.own_document(did).await? {
                return Ok(Some(document.to_json()));
            }
        }
        Ok(dids.contains(&self.config().service_did).then(|| self.service_document()))
    }

    /// The document of this service.
    #[must_use]
    pub fn service_document(&self) -> Value {
        json!({
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": self.config().service_did.as_str(),
            "service": [{
                "id": "#atproto_pds",
                "type": "AtprotoPersonalDataServer",
                "serviceEndpoint": self.config().public_url,
            }],
        })
    }

    /// `/tls-check`: whether a proxy may ask for a certificate for this name. So nobody can make it ask for names that
    /// have nothing to do with this host.
    ///
    /// # Errors
    /// The store's.
    pub async fn may_have_certificate(&self, domain: &str) -> HostResult<bool> {
        let name = domain.trim_end_matches('.').to_ascii_lowercase();
        if name == self.config().hostname {
            return Ok(true);
        }
        let Ok(handle) = Handle::parse(&name) else { return Ok(false) };
        if self.store().login_by_handle(handle.as_str()).await?.is_some() {
            return Ok(true);
        }
        let Ok(did) = Did::parse(&format!("did:web:{name}")) else { return Ok(false) };
        Ok(self.serves_document_of(&did) && self.store().login(&did).await?.is_some())
    }
}
