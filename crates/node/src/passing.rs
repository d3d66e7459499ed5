//! Services that requests of hosted accounts are passed on to: from the settings to the door.

use p2pds_syntax::Did;
use p2pds_xrpc::proxy::{ProxyConfig, Service};

use crate::config::Config;
use crate::operator::Failure;

/// The AppView that nearly everybody uses: origin, DID, pattern of its images.
const APPVIEW: (&str, &str, &str) =
    ("https://api.bsky.app", "did:web:api.bsky.app", "https://cdn.bsky.app/img/%s/plain/%s/%s@jpeg");

/// What the settings say of them.
///
/// # Errors
/// A service with an address and no DID, or the reverse; a DID that is none.
pub fn proxy(config: &Config) -> Result<ProxyConfig, Failure> {
    let services = &config.services;
    let pattern = services.appview_cdn_url_pattern.clone();
    let (app_view, cdn) = match (services.appview_url.as_deref(), config.hosting.dev_mode) {
        (Some("none"), _) | (None, true) => (None, None),
        (Some(url), _) => {
            let view = service("appview", Some(url), services.appview_did.as_deref())?;
            let own = format!("{}/img/%s/plain/%s/%s@jpeg", url.trim_end_matches('/'));
            (view, Some(pattern.unwrap_or(own)))
        }
        (None, false) => {
            let view =
                service("appview", Some(APPVIEW.0), services.appview_did.as_deref().or(Some(APPVIEW.1)))?;
            (view, Some(pattern.unwrap_or_else(|| APPVIEW.2.to_owned())))
        }
    };
    let moderation =
        service("moderation", services.moderation_url.as_deref(), services.moderation_did.as_deref())?;
    let reports = service("report", services.report_url.as_deref(), services.report_did.as_deref())?;
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

fn service(name: &str, url: Option<&str>, did: Option<&str>) -> Result<Option<Service>, Failure> {
    let wrong = |what: String| Failure::new("invalid", what);
    match (url, did) {
        (None, None) => Ok(None),
        (Some(url), Some(did)) => {
            let parsed =
                Did::parse(did).map_err(|_| wrong(format!("services.{name}_did: `{did}` is no DID")))?;
            Ok(Some(Service { did: parsed, url: url.trim_end_matches('/').to_owned() }))
        }
        _ => Err(wrong(format!(
            "services.{name}_url and services.{name}_did belong together, and one of them is not set"
        ))
        .hint("set both, or neither")),
    }
}
