//! From a DID to its document: did:plc by its log, did:web by its host.

use std::sync::Arc;

use p2pds_identity::plc::{self, Log, State};
use p2pds_identity::{DidDocument, did_web_url};
use p2pds_net::{Client, GetOptions, NetError};
use p2pds_store::Store;
use p2pds_syntax::{Did, DidMethod};

use crate::config::DirectoryConfig;
use crate::error::DirectoryError;
use crate::identity::{Identity, Source};
use crate::mirror;

/// How far ahead of ours the clock of a directory may be. Later operations are not taken over: a postdated one would make
/// all that honestly follow it look as if they came too early.
const FUTURE_MICROS: i64 = 5 * 60 * 1_000_000;

/// The tools of one resolution.
pub(crate) struct Asking<'a> {
    pub(crate) client: &'a Client,
    pub(crate) store: &'a dyn Store,
    pub(crate) config: &'a DirectoryConfig,
    pub(crate) now_micros: i64,
}

/// What asking for a log brought.
enum Fetched {
    Log(Log),
    /// The directory answers but not with a log.
    NoLog(NetError),
}

impl Asking<'_> {
    /// The identity of `did`, its handle not yet checked.
    pub(crate) async fn resolve(&self, did: &Did) -> Result<Identity, DirectoryError> {
        match did.method() {
            DidMethod::Plc => self.plc(did).await,
            DidMethod::Web => self.web(did).await,
            DidMethod::Other => Err(DirectoryError::UnknownMethod { did: did.clone() }),
        }
    }

    /// The identity that the mirror in the store gives, without asking anyone.
    pub(crate) async fn mirrored(&self, did: &Did) -> Result<Option<Identity>, DirectoryError> {
        let row = self.store.identity(did).await?;
        if let Some(log) = mirror::stored(self.store, did).await? {
            let at = self.store.plc_fetched_at(did).await?.unwrap_or(0);
            return of_log(Arc::new(log), Source::Mirror, at).map(Some);
        }
        let Some(row) = row else { return Ok(None) };
        let document = DidDocument::parse(&row.doc, did)?;
        let json: Arc<str> = String::from_utf8_lossy(&row.doc).into();
        let source = if did.method() == DidMethod::Web { Source::Web } else { Source::PlcDocument };
        Ok(Some(Identity::of_document(&document, json, source, row.fetched_at)))
    }

    async fn plc(&self, did: &Did) -> Result<Identity, DirectoryError> {
        let asked = self.config.plc_url.trim_end_matches('/');
        match self.fetch_log(did, asked).await {
            Ok(Fetched::Log(log)) => {
                let (log, is_old) = mirror::reconcile(self.store, asked, log, self.now_micros).await?;
                let source = if is_old { Source::Mirror } else { Source::PlcLog };
                of_log(log, source, self.now_micros)
            }
            Ok(Fetched::NoLog(why)) => self.without_log(did, asked, why).await,
            Err(e) => {
                let why = match &e {
                    DirectoryError::Log { source, .. } => source.to_string(),
                    DirectoryError::FutureLog { at, .. } => format!("its last operation is dated {at}"),
                    _ => return Err(e),
                };
                if mirror::stored(self.store, did).await?.is_some() {
                    mirror::broken(self.store, did, asked, &why, self.now_micros).await?;
                }
                Err(e)
            }
        }
    }

    /// Compares what another directory says with what is stored.
    pub(crate) async fn compare(&self, did: &Did, asked: &str) -> Result<(), DirectoryError> {
        let Some(known) = mirror::stored(self.store, did).await? else { return Ok(()) };
        let why = match self.fetch_log(did, asked).await {
            Ok(Fetched::Log(log)) => {
                return mirror::disagreement(self.store, asked, &known, &log, self.now_micros).await;
            }
            Ok(Fetched::NoLog(why)) if !why.is_transient() => why.to_string(),
            Err(DirectoryError::Log { source, .. }) => source.to_string(),
            Err(DirectoryError::FutureLog { at, .. }) => format!("its last operation is dated {at}"),
            Err(e @ (DirectoryError::Store(_) | DirectoryError::Closed)) => return Err(e),
            Ok(Fetched::NoLog(_)) | Err(_) => return Ok(()),
        };
        mirror::broken(self.store, did, asked, &why, self.now_micros).await
    }

    async fn fetch_log(&self, did: &Did, asked: &str) -> Result<Fetched, DirectoryError> {
        let options = GetOptions::json(self.config.max_log_bytes);
        let url = format!("{asked}/{did}/log/audit");
        let what = || format!("the PLC log of {did}");
        let body = match fetch(self.client, &url, &options).await {
            Ok(body) => body,
            Err(e @ NetError::Status { .. }) => return Ok(Fetched::NoLog(e)),
            Err(source) => return Err(DirectoryError::Net { what: what(), source }),
        };
        let (asked, own) = (asked.to_owned(), did.clone());
        // A log can hold thousands of signatures: not on a thread that answers others.
        let validated = tokio::task::spawn_blocking(move || {
            plc::parse_audit(&body).and_then(|entries| plc::validate_log(&own, &entries))
        });
        match validated.await.map_err(|_| DirectoryError::Closed)? {
            Ok(log) => match log.entries().last().map(|last| &last.created_at) {
                Some(at) if at.unix_micros() > self.now_micros.saturating_add(FUTURE_MICROS) => {
                    Err(DirectoryError::FutureLog { did: did.clone(), asked, at: at.to_string() })
                }
                _ => Ok(Fetched::Log(log)),
            },
            Err(source) => Err(DirectoryError::Log { asked, source }),
        }
    }

    /// The directory has no log to show. A log seen before counts more than a bare document.
    async fn without_log(&self, did: &Did, asked: &str, why: NetError) -> Result<Identity, DirectoryError> {
        let no_answer = why.is_transient();
        if let Some(log) = mirror::stored(self.store, did).await? {
            if no_answer {
                return Err(DirectoryError::Net { what: format!("the PLC log of {did}"), source: why });
            }
            mirror::broken(self.store, did, asked, &why.to_string(), self.now_micros).await?;
            let at = self.store.plc_fetched_at(did).await?.unwrap_or(0);
            return of_log(Arc::new(log), Source::Mirror, at);
        }
        let options = document_options();
        match fetch(self.client, &format!("{asked}/{did}"), &options).await {
            Ok(body) => document(did, &body, Source::PlcDocument, self.now_micros),
            Err(NetError::Status { status: 404, .. }) => {
                Err(DirectoryError::DidNotFound { did: did.clone(), asked: asked.to_owned() })
            }
            Err(NetError::Status { status: 410, .. }) => {
                let at = "a time that the directory does not tell".to_owned();
                Err(DirectoryError::Tombstoned { did: did.clone(), at })
            }
            Err(source) => Err(DirectoryError::Net { what: format!("the document of {did}"), source }),
        }
    }

    async fn web(&self, did: &Did) -> Result<Identity, DirectoryError> {
        let mut url = did_web_url(did)?;
        if let (Some(port), Some(host)) = (
            self.config.development_http_port,
            url.strip_prefix("https://").and_then(|u| u.split('/').next()),
        ) {
            url = format!("http://{host}:{port}/.well-known/did.json");
        }
        match fetch(self.client, &url, &document_options().no_redirects()).await {
            Ok(body) => document(did, &body, Source::Web, self.now_micros),
            Err(NetError::Status { status: 404 | 410, .. } | NetError::NoSuchHost { .. }) => {
                Err(DirectoryError::DidNotFound { did: did.clone(), asked: did.identifier().to_owned() })
            }
            Err(source) => Err(DirectoryError::Net { what: format!("the document of {did}"), source }),
        }
    }
}

fn document_options() -> GetOptions {
    let max_bytes = u64::try_from(DidDocument::MAX_BYTES).unwrap_or(u64::MAX);
    GetOptions { max_bytes, ..GetOptions::metadata().accept("application/did+ld+json, application/json") }
}

async fn fetch(client: &Client, url: &str, options: &GetOptions) -> Result<Vec<u8>, NetError> {
    let body = client.get(url, options).await?.success()?.bytes(options.max_bytes).await?;
    Ok(body.to_vec())
}

fn document(did: &Did, body: &[u8], source: Source, now_micros: i64) -> Result<Identity, DirectoryError> {
    let document = DidDocument::parse(body, did)?;
    Ok(Identity::of_document(&document, String::from_utf8_lossy(body).into(), source, now_micros))
}

fn of_log(log: Arc<Log>, source: Source, at: i64) -> Result<Identity, DirectoryError> {
    match (log.state(), log.document()) {
        (State::Active(_), Some(document)) => {
            let json: Arc<str> = document.to_json().to_string().into();
            let mut identity = Identity::of_document(&document, json, source, at);
            identity.plc = Some(log);
            Ok(identity)
        }
        (State::Tombstoned { at }, _) => {
            Err(DirectoryError::Tombstoned { did: log.did().clone(), at: at.as_str().to_owned() })
        }
        (State::Active(_), None) => Err(DirectoryError::Closed),
    }
}
