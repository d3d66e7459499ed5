//! Fetching clients, and remembering them for a few minutes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use p2pds_net::{Client as Net, GetOptions, NetError};
use p2pds_syntax::json;
use serde_json::Value;
use url::Url;

use super::id::{self, ClientId};
use super::{Client, keys, metadata};
use crate::error::OAuthError;

/// Most bytes of a document, and of a key set.
const MOST_BYTES: u64 = 128 * 1024;
/// The longest that one may take.
const LONGEST: Duration = Duration::from_secs(10);
/// How long a client is remembered, microseconds. A key that vanishes is seen after this.
const REMEMBERED: i64 = 5 * 60 * 1_000_000;
/// Most clients that are remembered.
const MOST: usize = 1_000;

/// The clients that were met.
pub(crate) struct Clients {
    net: Net,
    dev_mode: bool,
    known: Mutex<HashMap<String, (Arc<Client>, i64)>>,
}

impl Clients {
    pub(crate) fn new(net: Net, dev_mode: bool) -> Self {
        Self { net, dev_mode, known: Mutex::default() }
    }

    /// A client by its `client_id`. The second value says whether its document was fetched just now.
    pub(crate) async fn get(&self, id: &str, now: i64) -> Result<(Arc<Client>, bool), OAuthError> {
        match id::parse(id, self.dev_mode)? {
            ClientId::Localhost { redirect_uris, scope } => {
                Ok((Arc::new(metadata::localhost(id, redirect_uris, scope)), false))
            }
            ClientId::Document(url) => {
                if let Some(known) = self.remembered(id, now) {
                    return Ok((known, false));
                }
                let client = Arc::new(self.fetch(&url).await?);
                self.remember(id, &client, now);
                Ok((client, true))
            }
        }
    }

    fn remembered(&self, id: &str, now: i64) -> Option<Arc<Client>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(id)
            .filter(|(_, at)| now.saturating_sub(*at) < REMEMBERED)
            .map(|(client, _)| Arc::clone(client))
    }

    fn remember(&self, id: &str, client: &Arc<Client>, now: i64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, (_, at)| now.saturating_sub(*at) < REMEMBERED);
            let oldest = known.iter().min_by_key(|(_, (_, at))| *at).map(|(id, _)| id.clone());
            if let (true, Some(oldest)) = (known.len() >= MOST, oldest) {
                known.remove(&oldest);
            }
        }
        known.insert(id.to_owned(), (Arc::clone(client), now));
    }

    async fn fetch(&self, url: &Url) -> Result<Client, OAuthError> {
        let document = self.document(url.as_str()).await?;
        let Value::Object(map) = document else { return Err(OAuthError::ClientDocument("it is no object")) };
        let read = metadata::read(&map, url)?;
        let mut client = read.client;
        if let Some(uri) = read.jwks_uri {
            // Over http only where documents are: on this machine, while hosts are developed.
            let on_this_machine = self.dev_mode && url.scheme() == "http";
            if !on_this_machine && !uri.starts_with("https://") {
                return Err(OAuthError::ClientKeys("jwks_uri must begin with https://"));
            }
            client.keys = keys::read(&self.document(&uri).await?)?;
        }
        Ok(client)
    }

    /// A JSON document: status 200, its own media type, no redirect.
    async fn document(&self, url: &str) -> Result<Value, OAuthError> {
        let options = GetOptions {
            max_bytes: MOST_BYTES,
            retries: 0,
            redirects: 0,
            deadline: LONGEST,
            ..GetOptions::json(MOST_BYTES)
        };
        let response = self.net.get(url, &options).await.map_err(of_net)?;
        if response.status().as_u16() != 200 {
            return Err(match response.status().is_server_error() {
                true => OAuthError::ClientUnreachable(format!("status {}", response.status().as_u16())),
                false => OAuthError::ClientDocument("its status is not 200"),
            });
        }
        let kind = response.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(OAuthError::ClientDocument("its Content-Type is not application/json"));
        }
        let bytes = response.bytes(MOST_BYTES).await.map_err(of_net)?;
        json::parse(&bytes).map_err(|_| OAuthError::ClientDocument("it is not JSON whose keys stand once"))
    }
}

fn of_net(error: NetError) -> OAuthError {
    match error {
        NetError::Redirect { .. } => OAuthError::ClientDocument("it leads to another address"),
        NetError::TooLarge { .. } => OAuthError::ClientDocument("it is longer than 128 KiB"),
        other => OAuthError::ClientUnreachable(other.to_string()),
    }
}
