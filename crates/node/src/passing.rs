//! Services that requests of hosted accounts are passed on to: from the settings to the door.

use p2pds_syntax::Did;
use p2pds_xrpc::proxy::{ProxyConfig, Service};

use crate::config::Config;
use crate::config::setting::ServiceUrl;
use crate::operator::Failure;

/// The AppView that nearly everybody uses: origin, DID, pattern of its images.
const APPVIEW: (&str, &str, &str) =
    ("https://api.bsky.app", "did:web:api.bsky.app", "https://cdn.bsky.app/img/%s/plain/%s/%s@jpeg");

/// The settings of each service, and the variables that set them.
const APPVIEW_NAMES: (&str, &str) =
    ("services.appview_url (PDS_BSKY_APP_VIEW_URL)", "services.appview_did (PDS_BSKY_APP_VIEW_DID)");
const MODERATION_NAMES: (&str, &str) =
    ("services.moderation_url (PDS_MOD_SERVICE_URL)", "services.moderation_did (PDS_MOD_SERVICE_DID)");
const REPORT_NAMES: (&str, &str) =
    ("services.report_url (PDS_REPORT_SERVICE_URL)", "services.report_did (PDS_REPORT_SERVICE_DID)");

/// What the settings say of them.
///
/// # Errors
/// A service with an address and no DID, or the reverse; a DID that is none.
pub fn proxy(config: &Config) -> Result<ProxyConfig, Failure> {
    let services = &config.services;
    let pattern = services.appview_cdn_url_pattern.clone();
    let (app_view, cdn) = match (&services.appview_url, config.hosting.dev_mode) {
        (Some(set), _) => match set.url() {
            Some(url) => {
                let view = service(APPVIEW_NAMES, Some(url), services.appview_did.as_deref())?;
                (view, Some(pattern.unwrap_or(format!("{url}/img/%s/plain/%s/%s@jpeg"))))
            }
            None => (None, None),
        },
        (None, true) => (None, None),
        (None, false) => {
            let did = services.appview_did.as_deref().or(Some(APPVIEW.1));
            let view = service(APPVIEW_NAMES, Some(APPVIEW.0), did)?;
            (view, Some(pattern.unwrap_or_else(|| APPVIEW.2.to_owned())))
        }
    };
    let set = |url: &Option<ServiceUrl>| url.as_ref().and_then(ServiceUrl::url).map(str::to_owned);
    let moderation = service(
        MODERATION_NAMES,
        set(&services.moderation_url).as_deref(),
        services.moderation_did.as_deref(),
    )?;
    let reports =
        service(REPORT_NAMES, set(&services.report_url).as_deref(), services.report_did.as_deref())?;
    Ok(ProxyConfig {
        app_view,
        cdn,
        reports: reports.or_else(|| moderation.clone()),
        moderation,
        max_response: services.max_response.0,
        header_timeout: services.headers_timeout.0,
        body_timeout: services.body_timeout.0,
        retries: u8::try_from(services.max_retries).unwrap_or(u8::MAX),
        ..ProxyConfig::default()
    })
}

fn service(
    (url_name, did_name): (&str, &str),
    url: Option<&str>,
    did: Option<&str>,
) -> Result<Option<Service>, Failure> {
    let wrong = |what: String| Failure::new("invalid", what);
    match (url, did) {
        (None, None) => Ok(None),
        (Some(url), Some(did)) => {
            let parsed = Did::parse(did).map_err(|_| wrong(format!("{did_name}: `{did}` is no DID")))?;
            Ok(Some(Service { did: parsed, url: url.trim_end_matches('/').to_owned() }))
        }
        (set, _) => {
            let missing = if set.is_some() { did_name } else { url_name };
            Err(wrong(format!("{url_name} and {did_name} belong together, and {missing} is not set"))
                .hint("set both, or neither"))
        }
    }
}
