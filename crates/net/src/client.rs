//! The client: checks, manners, tries, redirects.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::debug;

use crate::address::Reach;
use crate::config::{GetOptions, NetConfig};
use crate::dns::{Filtered, Resolver};
use crate::error::{NetError, plain};
use crate::limiter::{Hosts, Pass};
use crate::pace::{Pace, SystemPace};
use crate::response::{Limits, Response};
use crate::retry::{backoff, exhausted_until, quiet_until};
use crate::roots::root_store;
use crate::target::Target;

/// The pause after a 429 that does not say how long.
const UNSAID_PAUSE: Duration = Duration::from_secs(5);
/// Response head fields at most.
const MAX_HEADERS: usize = 100;
/// Idle connections kept per host.
const MAX_IDLE: usize = 4;
/// How long they are kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The outbound client. Cheap to clone; all clones share their limits.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    config: NetConfig,
    public: reqwest::Client,
    /// Only with the development setting.
    loopback: Option<reqwest::Client>,
    own_service: Option<reqwest::Client>,
    resolver: Resolver,
    hosts: Hosts,
    addresses: Hosts,
    /// Hosts that requests of others are passed on to.
    forwarding: Hosts,
    pace: Arc<dyn Pace>,
}

/// What is sent to one target.
struct Request<'a> {
    method: Method,
    options: &'a GetOptions,
    body: Option<(&'a str, Bytes)>,
}

impl Client {
    /// A client on the machine's clock.
    ///
    /// # Errors
    /// [`NetError::Setup`] when TLS cannot be set up or the user agent is no header value.
    pub fn new(config: NetConfig) -> Result<Self, NetError> {
        Self::with_pace(config, Arc::new(SystemPace))
    }

    /// A client whose pauses and jitter come from `pace`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_pace(config: NetConfig, pace: Arc<dyn Pace>) -> Result<Self, NetError> {
        let resolver = Resolver::new(&config);
        let public = build(&config, &resolver, Reach::Public)?;
        let loopback =
            if config.allow_loopback { Some(build(&config, &resolver, Reach::Loopback)?) } else { None };
        let own_service = match &config.own_service {
            Some(_) => Some(build(&config, &resolver, Reach::OwnService)?),
            None => None,
        };
        let hosts = Hosts::by_name(&config, Arc::clone(&pace));
        let addresses = Hosts::by_address(&config, Arc::clone(&pace));
        let forwarding = Hosts::for_others(&config, Arc::clone(&pace));
        Ok(Self(Arc::new(Inner {
            config,
            public,
            loopback,
            own_service,
            resolver,
            hosts,
            addresses,
            forwarding,
            pace,
        })))
    }

    /// The settings it was made with.
    #[must_use]
    pub fn config(&self) -> &NetConfig {
        &self.0.config
    }

    /// The resolver behind it.
    #[must_use]
    pub fn resolver(&self) -> &Resolver {
        &self.0.resolver
    }

    /// The TXT records of a name; none: an empty list.
    ///
    /// # Errors
    /// [`NetError::Dns`].
    pub async fn txt(&self, name: &str) -> Result<Vec<String>, NetError> {
        self.0.resolver.txt(name).await
    }

    /// Fetches `url`. Any final status but 429 is an answer; see [`Response::success`].
    ///
    /// # Errors
    /// Every [`NetError`] but `Status`, `Xrpc` and `Json`.
    pub async fn get(&self, url: &str, options: &GetOptions) -> Result<Response, NetError> {
        self.run(url, Request { method: Method::GET, options, body: None }).await
    }

    /// Fetches a JSON document; anything but 2xx is an error.
    ///
    /// # Errors
    /// Every [`NetError`] but `Xrpc`.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        url: &str,
        options: &GetOptions,
    ) -> Result<T, NetError> {
        self.get(url, options).await?.success()?.json(options.max_bytes).await
    }

    /// Posts `body`. One try, no redirects.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(
        &self,
        url: &str,
        content_type: &str,
        body: Bytes,
        options: &GetOptions,
    ) -> Result<Response, NetError> {
        let options = GetOptions { redirects: 0, retries: 0, ..options.clone() };
        let body = Some((content_type, body));
        self.run(url, Request { method: Method::POST, options: &options, body }).await
    }

    /// Posts `value` as JSON. One try, no redirects.
    ///
    /// # Errors
    /// As [`Self::get`], and [`NetError::Json`] when the value cannot be written as JSON.
    pub async fn post_json<T: Serialize + Sync>(
        &self,
        url: &str,
        value: &T,
        options: &GetOptions,
    ) -> Result<Response, NetError> {
        let body = serde_json::to_vec(value)
            .map_err(|e| NetError::Json { host: "this request".to_owned(), detail: e.to_string() })?;
        self.post(url, "application/json", body.into(), options).await
    }

    async fn run(&self, url: &str, request: Request<'_>) -> Result<Response, NetError> {
        self.check_open(url)?;
        let own = self.0.config.own_service.as_deref();
        let target = match own.and_then(|service| Target::of_own_service(url, service)) {
            Some(target) => target,
            None => Target::check(url, self.0.config.allow_loopback)?,
        };
        let host = target.host().to_owned();
        let until = deadline(request.options.deadline);
        let outcome = tokio::time::timeout_at(until, self.follow(target, &request, until))
            .await
            .unwrap_or(Err(NetError::Timeout { host, phase: "answer" }));
        metrics::counter!("p2pds_net_requests_total", "outcome" => word(&outcome)).increment(1);
        outcome
    }

    /// Redirects, each judged like a request of its own.
    async fn follow(
        &self,
        first: Target,
        request: &Request<'_>,
        until: Instant,
    ) -> Result<Response, NetError> {
        let mut left = request.options.redirects.min(GetOptions::MAX_REDIRECTS);
        let mut target = first.clone();
        loop {
            let with_headers = target.same_origin(&first);
            let response = self.attempts(&target, request, with_headers, until).await?;
            let Some(location) = redirect_of(&response, request) else {
                return Ok(response);
            };
            let Some(rest) = left.checked_sub(1) else {
                return Err(NetError::Redirect {
                    host: target.host().to_owned(),
                    why: "too often".to_owned(),
                });
            };
            left = rest;
            target = target.redirect(&location?, self.0.config.allow_loopback)?;
        }
    }

    /// The tries at one target.
    async fn attempts(
        &self,
        target: &Target,
        request: &Request<'_>,
        with_headers: bool,
        until: Instant,
    ) -> Result<Response, NetError> {
        let mut attempt: u8 = 0;
        loop {
            let last = attempt >= request.options.retries;
            let pass = match self.enter(target).await {
                Err(NetError::Dns { .. }) if !last => {
                    self.pause(attempt).await;
                    attempt = attempt.saturating_add(1);
                    continue;
                }
                pass => pass?,
            };
            match self.once(target, request, with_headers).await {
                Ok(answer) => {
                    let quiet = self.heed(&pass, &answer);
                    match (answer.status(), last) {
                        (StatusCode::TOO_MANY_REQUESTS, true) => return Err(self.limited(target, quiet)),
                        (StatusCode::TOO_MANY_REQUESTS, false) => {}
                        (status, false) if status.is_server_error() => {
                            drop(pass);
                            self.pause(attempt).await;
                        }
                        _ => {
                            let limits = self.limits(request.options, until);
                            return Ok(Response::new(answer, target.host().to_owned(), limits, pass));
                        }
                    }
                }
                Err(e) if !last && e.is_transient() => {
                    debug!(event = "net.retry", host = target.host(), attempt, error = %e, "trying again");
                    drop(pass);
                    self.pause(attempt).await;
                }
                Err(e) => return Err(e),
            }
            attempt = attempt.saturating_add(1);
        }
    }

    /// One request over the wire.
    async fn once(
        &self,
        target: &Target,
        request: &Request<'_>,
        with_headers: bool,
    ) -> Result<reqwest::Response, NetError> {
        let client = self.plain(target)?;
        let mut builder = client.request(request.method.clone(), target.url.clone());
        if let Some(accept) = &request.options.accept {
            builder = builder.header(ACCEPT, accept.as_str());
        }
        if with_headers {
            for (name, value) in &request.options.headers {
                builder = builder.header(name, value);
            }
        }
        if let Some((content_type, body)) = &request.body {
            builder = builder.header(CONTENT_TYPE, *content_type).body(body.clone());
        }
        self.sent(target, builder, self.0.config.header_timeout).await
    }

    /// Refuses everything when the settings say that nobody is contacted.
    pub(crate) fn check_open(&self, what: &str) -> Result<(), NetError> {
        if !self.0.config.closed {
            return Ok(());
        }
        let host = what.chars().filter(|c| !c.is_control()).take(100).collect();
        Err(NetError::Refused { host, why: "nobody is contacted here".to_owned() })
    }

    /// The client for what the target may reach.
    pub(crate) fn plain(&self, target: &Target) -> Result<&reqwest::Client, NetError> {
        match (target.reach, &self.0.loopback) {
            (Reach::OwnService, _) => self.0.own_service.as_ref().ok_or_else(|| NetError::Refused {
                host: target.host().to_owned(),
                why: "no service of the operator's own is named".to_owned(),
            }),
            (Reach::Public, _) => Ok(&self.0.public),
            (Reach::Loopback, Some(client)) => Ok(client),
            (Reach::Loopback, None) => Err(NetError::Refused {
                host: target.host().to_owned(),
                why: "it is this machine".to_owned(),
            }),
        }
    }

    /// A place among the requests that are passed on to this host.
    pub(crate) async fn forwarding(&self, target: &Target) -> Result<Pass, NetError> {
        self.0.forwarding.enter(&target.authority()).await
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn sent(
        &self,
        target: &Target,
        request: reqwest::RequestBuilder,
        patience: Duration,
    ) -> Result<reqwest::Response, NetError> {
        match tokio::time::timeout(patience, request.send()).await {
            Err(_) => Err(NetError::Timeout { host: target.host().to_owned(), phase: "answer" }),
            Ok(Err(e)) => Err(translate(target.host(), &e)),
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    /// Notes what the answer says about the pace of requests; returns until when the host wants quiet.
    fn heed(&self, pass: &Pass, answer: &reqwest::Response) -> Option<u64> {
        let now = self.0.pace.now_ms();
        let said = match answer.status() {
            StatusCode::TOO_MANY_REQUESTS => {
                let unsaid = u64::try_from(UNSAID_PAUSE.as_millis()).unwrap_or(u64::MAX);
                Some(quiet_until(answer.headers(), now).unwrap_or(now.saturating_add(unsaid)))
            }
            StatusCode::SERVICE_UNAVAILABLE => quiet_until(answer.headers(), now),
            _ => exhausted_until(answer.headers(), now),
        };
        said.map(|until| self.0.hosts.quiet(pass, until))
    }

    /// The right to one request to this host, as soon as the manners towards it and towards each of its addresses allow
    /// it. The addresses found are those that the connection will use.
    pub(crate) async fn enter(&self, target: &Target) -> Result<Pass, NetError> {
        let pass = self.0.hosts.enter(&target.authority()).await?;
        let addresses = match target.url.host() {
            Some(url::Host::Ipv4(ip)) => vec![ip.into()],
            Some(url::Host::Ipv6(ip)) => vec![ip.into()],
            _ => self.0.resolver.addresses_ahead(target.host(), target.reach).await?,
        };
        // In one order for all, so that no two requests wait for each other.
        let mut machines: Vec<String> = addresses.iter().map(machine).collect();
        machines.sort_unstable();
        machines.dedup();
        let mut also = Vec::with_capacity(machines.len());
        for machine in machines {
            also.push(self.0.addresses.enter(&machine).await.map_err(|e| e.about(target.host()))?);
        }
        Ok(pass.with(also))
    }

    /// Notes a 429 that came outside of [`Self::get`].
    pub(crate) fn told_to_wait(&self, target: &Target, pass: &Pass, headers: &http::HeaderMap) -> NetError {
        let now = self.0.pace.now_ms();
        let unsaid = u64::try_from(UNSAID_PAUSE.as_millis()).unwrap_or(u64::MAX);
        let until = quiet_until(headers, now).unwrap_or(now.saturating_add(unsaid));
        self.limited(target, Some(self.0.hosts.quiet(pass, until)))
    }

    fn limited(&self, target: &Target, quiet: Option<u64>) -> NetError {
        let now = self.0.pace.now_ms();
        let until_ms = quiet.unwrap_or(now);
        NetError::RateLimited {
            host: target.host().to_owned(),
            until_ms,
            wait_ms: until_ms.saturating_sub(now),
        }
    }

    async fn pause(&self, attempt: u8) {
        let config = &self.0.config;
        let wait = backoff(u32::from(attempt), config.backoff_base, config.backoff_cap, self.0.pace.random());
        self.0.pace.sleep(wait).await;
    }

    fn limits(&self, options: &GetOptions, until: Instant) -> Limits {
        Limits {
            max_bytes: options.max_bytes,
            until,
            min_rate: self.0.config.min_rate,
            rate_window: self.0.config.rate_window,
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("config", &self.0.config).finish_non_exhaustive()
    }
}

/// How a request ended, for counting.
fn word(outcome: &Result<Response, NetError>) -> &'static str {
    match outcome {
        Ok(response) if response.status().is_client_error() => "client-error",
        Ok(response) if response.status().is_server_error() => "server-error",
        Ok(_) => "ok",
        Err(NetError::RateLimited { .. }) => "limited",
        Err(NetError::Refused { .. } | NetError::BadUrl { .. } | NetError::Redirect { .. }) => "refused",
        Err(_) => "failed",
    }
}

/// What counts as one machine: an IPv4 address, or the network of an IPv6 one, since whoever has one has all of it.
fn machine(ip: &IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// The target of a redirect, if the answer is one and redirects are followed at all.
fn redirect_of(response: &Response, request: &Request<'_>) -> Option<Result<String, NetError>> {
    let moved = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    if !moved || request.method != Method::GET || request.options.redirects == 0 {
        return None;
    }
    let location = response.headers().get(LOCATION).map(HeaderValue::to_str);
    Some(match location {
        Some(Ok(location)) => Ok(location.to_owned()),
        _ => Err(NetError::Redirect { host: response.host().to_owned(), why: "to nowhere".to_owned() }),
    })
}

pub(crate) fn deadline(after: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(after).or_else(|| now.checked_add(Duration::from_secs(86_400))).unwrap_or(now)
}

fn build(config: &NetConfig, resolver: &Resolver, reach: Reach) -> Result<reqwest::Client, NetError> {
    reqwest::Client::builder()
        .user_agent(config.user_agent.as_str())
        .no_proxy()
        .referer(false)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(config.connect_timeout)
        .pool_max_idle_per_host(MAX_IDLE)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_max_headers(MAX_HEADERS)
        .tls_backend_preconfigured(tls(config)?)
        .dns_resolver(Filtered { resolver: resolver.clone(), reach })
        .build()
        .map_err(|e| NetError::Setup { detail: describe(&e) })
}

/// TLS 1.2 and 1.3 by ring, against Mozilla's roots as shipped in the binary.
pub(crate) fn tls(settings: &NetConfig) -> Result<rustls::ClientConfig, NetError> {
    let roots = root_store(&settings.extra_roots).map_err(|detail| NetError::Setup { detail })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| NetError::Setup { detail: e.to_string() })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The resolver's own verdict if it is in the chain, else the kind of failure.
fn translate(host: &str, error: &reqwest::Error) -> NetError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(e) = cause {
        if let Some(own) = e.downcast_ref::<NetError>() {
            return own.clone();
        }
        cause = e.source();
    }
    let host = host.to_owned();
    if error.is_timeout() {
        NetError::Timeout { host, phase: "take the connection" }
    } else if error.is_builder() {
        NetError::BadUrl { url: host, why: describe(error) }
    } else {
        NetError::Connect { host, detail: describe(error) }
    }
}

/// The innermost cause, which is the one that says something.
pub(crate) fn describe(error: &reqwest::Error) -> String {
    let mut deepest: &dyn Error = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    plain(&deepest.to_string(), 200)
}
