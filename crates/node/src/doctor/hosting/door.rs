//! Whether the world reaches this node: DNS, certificate, proxy, WebSocket, uploads.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use bytes::Bytes;
use p2pds_host::Host;
use p2pds_net::{Client, GetOptions, NetError, Reach, Resolver, WsOptions};
use p2pds_xrpc::{OwnCall, SEEN_BYTES, SEEN_CALLER, SEEN_FORWARDED, SEEN_HOST, SEEN_PEER, SEEN_TRUSTED};
use serde_json::Value;

use super::proxies;
use crate::config::Config;
use crate::doctor::{Check, Verdict};
use crate::node::engine::net_config;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Larger than what nginx takes by default.
const LARGE: usize = 2 << 20;
const UNREACHABLE: &str = "apps cannot log in and relays cannot follow";

/// Whether the host name and names under the handle domains lead somewhere.
pub(super) async fn names(config: &Config, host: &Host) -> Vec<Check> {
    let settings = host.config();
    if settings.dev_mode {
        return vec![Check::skipped("public-dns", "development mode needs none")];
    }
    let resolver = Resolver::new(&net_config(config));
    let name = &settings.hostname;
    let mut checks = vec![match resolver.addresses(name, Reach::Public).await {
        Ok(addresses) => {
            let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            Check::ok("public-dns", format!("{name} is {}", shown.join(", ")))
        }
        Err(error) => Check::bad(
            Verdict::Failed,
            "public-dns",
            error.to_string(),
            UNREACHABLE,
            format!(
                "add an A record (and AAAA for IPv6) for {name} with this machine's public address at your DNS provider"
            ),
        ),
    }];
    for domain in &settings.handle_domains {
        // A name that nobody has: only a record for all names answers to it.
        let probe = format!("p2pds-doctor{domain}");
        checks.push(match resolver.addresses(&probe, Reach::Public).await {
            Ok(_) => Check::ok("handle-dns", format!("names under {domain} lead to an address")),
            Err(error) => Check::bad(
                Verdict::Failed,
                "handle-dns",
                error.to_string(),
                "handles given out here are shown as invalid everywhere",
                format!(
                    "add a record for *{domain} with the same address as {name}; then certificates for these names: {}",
                    proxies::handle_names(domain, config.http.port)
                ),
            ),
        });
    }
    checks
}

/// What the public URL answers, by HTTP and by WebSocket.
pub(super) async fn reached(config: &Config, host: &Host, own: &OwnCall) -> Vec<Check> {
    // Not the node's: that one may have been told to wait, for requests that have nothing to do with this.
    let way = match Way::new(config, own) {
        Ok(way) => way,
        Err(error) => return vec![Check::skipped("public-url", error.to_string())],
    };
    let (door, callers) = match answers(&way, config, host).await {
        Ok(_) if host.config().dev_mode => {
            (ok(host), Check::skipped("client-address", "development mode needs no proxy"))
        }
        Ok(arrived) => (ok(host), arrived.check()),
        Err(door) => {
            let why = "public-url has to work first";
            let later = ["client-address", "websocket", "uploads"].map(|name| Check::skipped(name, why));
            return std::iter::once(door).chain(later).collect();
        }
    };
    vec![door, callers, websocket(&way, host).await, uploads(&way, host).await]
}

fn ok(host: &Host) -> Check {
    let (url, own) = (&host.config().public_url, host.config().service_did.as_str());
    Check::ok("public-url", format!("{url} leads here, as {own}"))
}

/// How the proxies have passed a request of this node on to itself.
struct Arrived {
    /// The other end of the connection.
    peer: String,
    /// The address under which the request was counted.
    caller: String,
    /// What the proxy said of where the request came from.
    forwarded: Option<String>,
    /// Whether it is believed.
    trusted: bool,
}

impl Arrived {
    /// Whether callers can be told from one another.
    fn check(&self) -> Check {
        const NAME: &str = "client-address";
        let (peer, caller) = (&self.peer, &self.caller);
        let (what, fix) = match &self.forwarded {
            None => {
                (format!("the proxy does not say who asks: everybody is {peer}"), proxies::client_address())
            }
            Some(said) if peer != caller || said == caller => {
                return Check::ok(NAME, format!("the proxy says who asks: this was {caller}"));
            }
            Some(said) if self.trusted => (
                format!("the proxy at {peer} says who asks, and it is no address: {said:?}"),
                proxies::client_address(),
            ),
            Some(_) => (
                format!("the proxy at {peer} says who asks, and is not believed"),
                format!(
                    "set serving.trusted_proxies (P2PDS_TRUSTED_PROXIES) to {peer}, if that is your proxy"
                ),
            ),
        };
        let why = "limits count everybody as one, so that one caller uses up what all of them have";
        Check::bad(Verdict::Warning, NAME, what, why, fix)
    }
}

/// How this node asks itself from outside: its own limits on requests do not count this.
struct Way {
    net: Client,
    header: (HeaderName, HeaderValue),
}

impl Way {
    fn new(config: &Config, own: &OwnCall) -> anyhow::Result<Self> {
        let (name, value) = own.header();
        let header = (HeaderName::from_static(name), HeaderValue::from_str(value)?);
        Ok(Self { net: Client::new(net_config(config))?, header })
    }

    fn options(&self) -> GetOptions {
        let (name, value) = self.header.clone();
        GetOptions { deadline: PATIENCE, retries: 0, ..GetOptions::json(64 * 1024) }
            .no_redirects()
            .header(name, value)
    }
}

/// How a request arrives; the check that says why it does not.
async fn answers(way: &Way, config: &Config, host: &Host) -> Result<Arrived, Check> {
    let (url, name, port) = (&host.config().public_url, &host.config().hostname, config.http.port);
    let asked = way.net.get(&format!("{url}/xrpc/com.atproto.server.describeServer"), &way.options()).await;
    let response = match asked {
        Ok(response) => response,
        Err(error) => return Err(not_reached(&error, host, port)),
    };
    match response.status().as_u16() {
        200 => {}
        421 => {
            return Err(failed(
                format!("{url} leads to a p2pds node that does not know this name"),
                proxies::host_header(),
            ));
        }
        status => {
            return Err(failed(
                format!("{url} answers with HTTP status {status}, which this node did not send"),
                proxies::upstream(name, port),
            ));
        }
    }
    let header = |name: &str| response.header(name).map(str::to_owned);
    let seen = header(SEEN_HOST);
    let arrived = Arrived {
        peer: header(SEEN_PEER).unwrap_or_default(),
        caller: header(SEEN_CALLER).unwrap_or_default(),
        forwarded: header(SEEN_FORWARDED),
        trusted: response.header(SEEN_TRUSTED) == Some("true"),
    };
    let said: Result<Value, NetError> = response.json(64 * 1024).await;
    let did = said.as_ref().ok().and_then(|value| value.get("did")?.as_str());
    let own = host.config().service_did.as_str();
    if did != Some(own) {
        let other = did.unwrap_or("none that hosts accounts");
        return Err(failed(
            format!("{url} leads to another server: it says that it is {other}"),
            proxies::upstream(name, port),
        ));
    }
    let Some(seen) = seen else {
        return Err(failed(
            format!(
                "{url} leads to a server that calls itself {own} and is not this one: an earlier one that still runs, or a \
                 cache, or something on the way that takes the header x-ratelimit-bypass out"
            ),
            proxies::upstream(name, port),
        ));
    };
    // Addresses are answered to as well, so that only handles and sign-in would tell.
    let wanted = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).trim_end_matches('/');
    if !without_port(&seen).eq_ignore_ascii_case(without_port(wanted)) {
        return Err(failed(
            format!("{url} leads here, but the proxy passes it on as {seen:?}, not as {wanted:?}"),
            proxies::host_header(),
        ));
    }
    Ok(arrived)
}

/// The name in `name:port`.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => authority,
    }
}

fn failed(what: String, fix: String) -> Check {
    Check::bad(Verdict::Failed, "public-url", what, UNREACHABLE, fix)
}

fn not_reached(error: &NetError, host: &Host, port: u16) -> Check {
    let (url, name) = (&host.config().public_url, &host.config().hostname);
    match error {
        NetError::Connect { detail, .. } if is_tls(detail) => {
            let what = format!("the certificate of {url} is not accepted: {detail}");
            Check::bad(Verdict::Failed, "tls", what, UNREACHABLE, proxies::certificate(name))
        }
        NetError::Refused { .. } | NetError::NoSuchHost { .. } => failed(
            error.to_string(),
            format!("point the DNS record of {name} at this machine's public address"),
        ),
        // This node does not count these requests: something before it does.
        NetError::RateLimited { .. } => Check::skipped(
            "public-url",
            format!("something before this node refuses too many requests: {error}; ask again then"),
        ),
        error => failed(
            format!("{url} does not answer: {error}"),
            format!(
                "open ports 80 and 443 in the firewall, and start a proxy there. {}",
                proxies::upstream(name, port)
            ),
        ),
    }
}

/// Whether a connection failed because of its certificate.
fn is_tls(detail: &str) -> bool {
    let detail = detail.to_ascii_lowercase();
    ["certificate", "tls", "handshake", "unknownissuer", "notvalidfor"]
        .iter()
        .any(|word| detail.contains(word))
}

async fn websocket(way: &Way, host: &Host) -> Check {
    const NAME: &str = "websocket";
    let base = host.config().public_url.replacen("http", "ws", 1);
    let url = format!("{base}/xrpc/com.atproto.sync.subscribeRepos");
    let options = WsOptions { headers: vec![way.header.clone()], ..WsOptions::default() };
    let opened = tokio::time::timeout(PATIENCE, way.net.ws(&url, &options)).await;
    let what = match opened {
        Ok(Ok(stream)) => {
            stream.close().await;
            return Check::ok(NAME, "the firehose opens through the public URL");
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer in {} s", PATIENCE.as_secs()),
    };
    Check::bad(
        Verdict::Failed,
        NAME,
        format!("{url} does not open: {what}"),
        "relays cannot follow: nobody elsewhere sees what is posted here",
        proxies::websocket(),
    )
}

async fn uploads(way: &Way, host: &Host) -> Check {
    const NAME: &str = "uploads";
    let url = format!("{}/xrpc/com.atproto.repo.uploadBlob", host.config().public_url);
    let body = Bytes::from(vec![0_u8; LARGE]);
    let mib = LARGE >> 20;
    match way.net.post(&url, "application/octet-stream", body, &way.options()).await {
        // This node counts what has come of its own body.
        Ok(response) if response.header(SEEN_BYTES).and_then(|n| n.parse().ok()) == Some(LARGE) => {
            Check::ok(NAME, format!("a body of {mib} MiB comes through"))
        }
        Ok(response) => Check::bad(
            Verdict::Failed,
            NAME,
            format!(
                "a body of {mib} MiB is refused before it arrives here (HTTP status {})",
                response.status().as_u16()
            ),
            "pictures, videos and repos cannot be uploaded",
            proxies::uploads(),
        ),
        // Whatever refuses early may close the connection while it is still written to.
        Err(error) => Check::skipped(NAME, format!("not to be told: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_told_from_closed_ports() {
        assert!(is_tls("invalid peer certificate: Expired"));
        assert!(is_tls("received fatal alert: HandshakeFailure"));
        assert!(!is_tls("Connection refused (os error 111)"));
    }
}
