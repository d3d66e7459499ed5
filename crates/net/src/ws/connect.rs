//! From a URL to an open stream: the URL rules, manners, DNS through the address table, TCP, TLS, upgrade.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::{HeaderValue, LOCATION, USER_AGENT};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Host;

use super::WsOptions;
use super::meter::{Metered, Wire};
use crate::client::{Client, deadline, tls};
use crate::error::{NetError, plain};
use crate::limiter::Pass;
use crate::target::Target;

/// Writes are pings and closes: nothing is gathered before it is sent.
const WRITE_BUFFER: usize = 0;
/// Pongs that a host does not take.
const MAX_WRITE_BUFFER: usize = 64 * 1024;

pub(super) async fn open(
    client: &Client,
    url: &str,
    options: &WsOptions,
) -> Result<(WebSocketStream<Metered>, String), NetError> {
    client.check_open(url)?;
    let target = Target::check(&as_http(url), client.config().allow_loopback)?;
    let pass = client.enter(&target).await?;
    let host = target.host().to_owned();
    let late = || NetError::Timeout { host: target.host().to_owned(), phase: "open its stream" };
    let until = deadline(options.handshake);
    let socket = timeout_at(until, upgrade(client, &target, &pass, options, until)).await;
    Ok((socket.unwrap_or_else(|_| Err(late()))?, host))
}

/// The URL rules know http alone.
fn as_http(url: &str) -> String {
    for (stream, plain) in [("wss://", "https://"), ("ws://", "http://")] {
        if url.get(..stream.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(stream)) {
            return format!("{plain}{}", url.get(stream.len()..).unwrap_or_default());
        }
    }
    url.to_owned()
}

async fn upgrade(
    client: &Client,
    target: &Target,
    pass: &Pass,
    options: &WsOptions,
    until: Instant,
) -> Result<WebSocketStream<Metered>, NetError> {
    let wire = connect(client, target, until).await?;
    let config = WebSocketConfig::default()
        .read_buffer_size(options.read_buffer)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(options.max_frame))
        .max_frame_size(Some(options.max_frame));
    let wire = Metered::new(wire, options.max_frame);
    match client_async_with_config(request(client, target, options)?, wire, Some(config)).await {
        Ok((mut socket, _)) => {
            socket.get_mut().whole();
            Ok(socket)
        }
        Err(WsError::Http(answer)) => Err(refusal(client, target, pass, &answer)),
        Err(error) => Err(failed(target, &format!("it does not open a stream: {error}"))),
    }
}

fn request(client: &Client, target: &Target, options: &WsOptions) -> Result<Request, NetError> {
    // `http` becomes `ws`, `https` becomes `wss`.
    let url = format!("ws{}", target.url.as_str().strip_prefix("http").unwrap_or_default());
    let bad = |why: String| NetError::BadUrl { url: plain(target.url.as_str(), 200), why };
    let mut request = url.into_client_request().map_err(|error| bad(error.to_string()))?;
    let agent = HeaderValue::from_str(&client.config().user_agent).map_err(|error| bad(error.to_string()))?;
    request.headers_mut().insert(USER_AGENT, agent);
    for (name, value) in &options.headers {
        request.headers_mut().insert(name, value.clone());
    }
    Ok(request)
}

/// TCP to the first address that answers, and TLS where the URL says so.
async fn connect(client: &Client, target: &Target, until: Instant) -> Result<Box<dyn Wire>, NetError> {
    let port = target.url.port_or_known_default().unwrap_or(443);
    let addresses: Vec<IpAddr> = match target.url.host() {
        Some(Host::Ipv4(ip)) => vec![ip.into()],
        Some(Host::Ipv6(ip)) => vec![ip.into()],
        _ => client.resolver().addresses_now(target.host(), target.reach).await?,
    };
    let mut last = failed(target, "it has no address");
    for ip in addresses {
        // Whatever the name was resolved to, nothing outside its reach is contacted.
        if !target.reach.allows(ip) || Instant::now() >= until {
            continue;
        }
        match timeout(client.config().connect_timeout, TcpStream::connect(SocketAddr::new(ip, port))).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return secure(client, target, stream).await;
            }
            Ok(Err(error)) => last = failed(target, &error.to_string()),
            Err(_) => {
                last = NetError::Timeout { host: target.host().to_owned(), phase: "take the connection" };
            }
        }
    }
    Err(last)
}

async fn secure(client: &Client, target: &Target, stream: TcpStream) -> Result<Box<dyn Wire>, NetError> {
    if target.url.scheme() != "https" {
        return Ok(Box::new(stream));
    }
    let mut config = tls(client.config())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name =
        ServerName::try_from(target.host().to_owned()).map_err(|error| failed(target, &error.to_string()))?;
    match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(failed(target, &error.to_string())),
    }
}

/// The host answered, but not with a stream.
fn refusal(client: &Client, target: &Target, pass: &Pass, answer: &Response<Option<Vec<u8>>>) -> NetError {
    let (host, status) = (target.host().to_owned(), answer.status());
    if status.is_redirection() {
        let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
        let why = format!("its stream to {}; streams are not followed elsewhere", plain(to, 100));
        return NetError::Redirect { host, why };
    }
    if status.as_u16() == 429 {
        return client.told_to_wait(target, pass, answer.headers());
    }
    NetError::Status { host, status: status.as_u16() }
}

fn failed(target: &Target, detail: &str) -> NetError {
    NetError::Connect { host: target.host().to_owned(), detail: plain(detail, 200) }
}
