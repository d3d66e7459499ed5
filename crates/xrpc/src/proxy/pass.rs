//! One request, passed on.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use p2pds_host::Host;
use p2pds_identity::DidDocument;
use p2pds_net::{Forward, NetError};
use p2pds_syntax::{AtIdentifier, Did};
use serde_json::{Value, json};
use url::Url;

use super::ProxyConfig;
use super::target::{Named, PROXY, Service, protected};
use crate::error::XrpcError;

/// Headers of a request that go along, beside all `x-atproto-*`.
const GO_ALONG: [&str; 3] = ["accept-language", "atproto-accept-labelers", "x-bsky-topics"];
/// Headers of an answer that come back.
const COME_BACK: [&str; 5] =
    ["content-type", "content-language", "atproto-repo-rev", "atproto-content-labelers", "retry-after"];
/// Largest error answer that is read.
const MAX_ERROR: u64 = 64 * 1024;

/// A request to pass on.
#[derive(Debug)]
pub(crate) struct Passing<'r> {
    /// GET, HEAD or POST.
    pub(crate) method: Method,
    /// The method's name.
    pub(crate) nsid: &'r str,
    /// The query, as it came.
    pub(crate) query: Option<&'r str>,
    /// The caller's headers.
    pub(crate) headers: &'r HeaderMap,
    /// The body, as it came.
    pub(crate) body: Option<Bytes>,
    /// Another audience or method for the token than those of the request.
    pub(crate) token_for: Option<(Did, &'r str)>,
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub(crate) struct Passed {
    answer: p2pds_net::Response,
}

impl Passing<'_> {
    /// Where it goes: the service's DID and origin.
    ///
    /// # Errors
    /// The header is wrong, the service cannot be found, or none is configured.
    pub(crate) async fn target(&self, host: &Host, config: &ProxyConfig) -> Result<Service, XrpcError> {
        if protected(self.nsid) {
            return Err(XrpcError::new(StatusCode::BAD_REQUEST, "InvalidToken", "Bad token method"));
        }
        let Some(named) = self.headers.get(PROXY) else {
            let found = config.default_for(self.nsid).map(|(service, _)| service.clone());
            return found.ok_or_else(|| {
                XrpcError::invalid(format!(
                    "No service configured for {}: name one in the header {PROXY}",
                    self.nsid
                ))
            });
        };
        let text = named
            .to_str()
            .map_err(|_| XrpcError::invalid(format!("the header {PROXY} is not plain text")))?;
        let named = Named::parse(text)?;
        if let Some(view) = &config.app_view
            && view.did == named.did
            && named.service == "bsky_appview"
        {
            return Ok(view.clone());
        }
        resolve(host, &named).await
    }

    /// Passes it on in the name of `did`.
    ///
    /// # Errors
    /// As [`Passing::target`]; the service does not answer.
    pub(crate) async fn pass(
        &self,
        host: &Host,
        config: &ProxyConfig,
        did: &Did,
    ) -> Result<Passed, XrpcError> {
        let service = self.target(host, config).await?;
        self.pass_to(host, config, did, &service).await
    }

    /// Passes it on to this service.
    ///
    /// # Errors
    /// The service does not answer.
    pub(crate) async fn pass_to(
        &self,
        host: &Host,
        config: &ProxyConfig,
        did: &Did,
        service: &Service,
    ) -> Result<Passed, XrpcError> {
        let (audience, method) = match &self.token_for {
            Some((audience, method)) => (audience, *method),
            None => (&service.did, self.nsid),
        };
        let token = host.service_token(did, audience.as_str(), Some(method), None).await?;
        let mut headers = self.going_along();
        if let Ok(mut bearer) = HeaderValue::from_str(&format!("Bearer {token}")) {
            bearer.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, bearer);
        }
        self.send(host, config, &service.url, headers).await
    }

    /// Passes it on in nobody's name.
    ///
    /// # Errors
    /// The service does not answer.
    pub(crate) async fn pass_unnamed(
        &self,
        host: &Host,
        config: &ProxyConfig,
        service: &Service,
    ) -> Result<Passed, XrpcError> {
        self.send(host, config, &service.url, self.going_along()).await
    }

    async fn send(
        &self,
        host: &Host,
        config: &ProxyConfig,
        origin: &str,
        headers: HeaderMap,
    ) -> Result<Passed, XrpcError> {
        let mut url = Url::parse(origin).map_err(|_| unreachable_service())?;
        if url.host_str().is_some_and(|name| name.eq_ignore_ascii_case(&host.config().hostname))
            && !host.config().dev_mode
        {
            return Err(XrpcError::invalid(
                "this host is not asked through itself: leave the header atproto-proxy out",
            ));
        }
        url.set_path(&format!("/xrpc/{}", self.nsid));
        url.set_query(self.query);
        let request = Forward {
            headers,
            body: self.body.clone(),
            header_timeout: config.header_timeout,
            deadline: config.header_timeout.saturating_add(config.body_timeout),
            max_bytes: config.max_response,
            retries: config.retries,
            ..Forward::new(self.method.clone())
        };
        match host.net().forward(url.as_str(), &request).await {
            Ok(answer) => Ok(Passed { answer }),
            Err(error) => Err(failed(&error)),
        }
    }

    fn going_along(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let along = GO_ALONG.contains(&name.as_str()) || name.as_str().starts_with("x-atproto-");
            let of_body = *name == header::CONTENT_TYPE && self.body.is_some();
            if along || of_body {
                headers.append(name.clone(), value.clone());
            }
        }
        headers
    }
}

/// Finds a service by the document of its DID.
pub(super) async fn resolve(host: &Host, named: &Named) -> Result<Service, XrpcError> {
    let found = host.directory().resolve(&AtIdentifier::Did(named.did.clone())).await;
    let identity = found.map_err(|error| {
        tracing::debug!(event = "proxy.unresolved", did = %named.did, %error, "a service cannot be found");
        XrpcError::invalid("could not resolve proxy did")
    })?;
    let document = DidDocument::parse(identity.doc_json.as_bytes(), &named.did)
        .map_err(|_| XrpcError::invalid("could not resolve proxy did"))?;
    let service = document.services.iter().find(|service| service.fragment == named.service);
    let url = service.and_then(|service| service.endpoint.clone());
    let url = url.ok_or_else(|| XrpcError::invalid("could not resolve proxy did service url"))?;
    Ok(Service { did: named.did.clone(), url })
}

fn unreachable_service() -> XrpcError {
    XrpcError::new(StatusCode::BAD_GATEWAY, "UpstreamFailure", "Upstream service unreachable")
}

fn failed(error: &NetError) -> XrpcError {
    tracing::debug!(event = "proxy.failed", %error, "a service did not answer");
    metrics::counter!("p2pds_proxy_requests_total", "outcome" => "failed").increment(1);
    match error {
        NetError::Timeout { .. } | NetError::TooSlow { .. } => XrpcError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "UpstreamTimeout",
            "the service did not answer in time; try again",
        ),
        NetError::TooLarge { .. } => {
            XrpcError::new(StatusCode::BAD_GATEWAY, "UpstreamFailure", "the service's answer is too large")
        }
        NetError::Refused { .. } | NetError::BadUrl { .. } => {
            XrpcError::invalid("the service's address is not one of the public internet, over https")
        }
        _ => unreachable_service(),
    }
}

impl Passed {
    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.answer.header(name)
    }

    /// Whether the answer is no error.
    pub(crate) fn is_success(&self) -> bool {
        self.answer.status().is_success()
    }

    /// Whether its body is JSON, as far as it says.
    pub(crate) fn is_json(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("json"))
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in COME_BACK {
            if let Some(value) = self.answer.headers().get(name) {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
        }
        headers
    }

    /// The answer for the caller, its body streamed.
    pub(crate) async fn respond(self) -> Response {
        let status = self.answer.status();
        metrics::counter!("p2pds_proxy_requests_total", "outcome" => word(status)).increment(1);
        if !status.is_success() {
            return self.error().await;
        }
        let headers = self.headers();
        let body = futures::stream::unfold(Some(self.answer), |answer| async move {
            let mut answer = answer?;
            match answer.chunk().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(answer))),
                Ok(None) => None,
                Err(error) => Some((Err(std::io::Error::other(error.to_string())), None)),
            }
        });
        (status, headers, Body::from_stream(body)).into_response()
    }

    /// The error of a service, under its own name; what is its own fault is not ours.
    async fn error(self) -> Response {
        let (status, mut headers) = (self.answer.status(), self.headers());
        let status = match status {
            StatusCode::INTERNAL_SERVER_ERROR => StatusCode::BAD_GATEWAY,
            other if other.is_redirection() || other.is_informational() => StatusCode::BAD_GATEWAY,
            other => other,
        };
        headers.remove(header::CONTENT_TYPE);
        let json = self.is_json();
        let body = self.answer.bytes(MAX_ERROR).await.unwrap_or_default();
        let said: Value = if json { serde_json::from_slice(&body).unwrap_or_default() } else { Value::Null };
        let text =
            |key: &str| said.get(key).and_then(Value::as_str).map(|text| text.chars().take(1_000).collect());
        let name: String = text("error").unwrap_or_else(|| "UpstreamFailure".to_owned());
        let message: String =
            text("message").unwrap_or_else(|| "the service answered with an error".to_owned());
        (status, headers, axum::Json(json!({ "error": name, "message": message }))).into_response()
    }

    /// Headers and whole body of an answer.
    pub(crate) async fn read(self, most: u64) -> Result<(HeaderMap, Bytes), XrpcError> {
        let headers = self.headers();
        let body = self.answer.bytes(most).await.map_err(|error| failed(&error))?;
        Ok((headers, body))
    }
}

fn word(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "ok",
        400..=499 => "client-error",
        _ => "server-error",
    }
}
