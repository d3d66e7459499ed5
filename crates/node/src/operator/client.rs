//! The command line's end of the operator socket.

use std::path::Path;

use anyhow::{Context as _, bail};
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

use crate::operator::server::Hello;
use crate::operator::{Command, Event, Failure, socket};

/// Longest line that a node may send; a result with many accounts is one line.
const MAX_LINE: usize = 64 << 20;
/// Largest answer that is read whole.
const MAX_SMALL: usize = 1 << 20;

/// A connection to a running node. One request at a time.
#[derive(Debug)]
pub struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects to the process that works in a data directory and compares versions.
    ///
    /// # Errors
    /// Nobody answers there, or it is another version.
    pub async fn connect(data_dir: &Path) -> anyhow::Result<Self> {
        let (client, hello) = Self::meet(data_dir).await?;
        if hello.version != crate::cli::VERSION {
            bail!(
                Failure::new(
                    "conflict",
                    format!(
                        "process {} runs p2pds {}, this command is {}",
                        hello.pid,
                        hello.version,
                        crate::cli::VERSION
                    )
                )
                .hint("restart it, so that both are the same")
            );
        }
        Ok(client)
    }

    /// Connects to the process that works in a data directory, of whatever version.
    ///
    /// # Errors
    /// Nobody answers there.
    pub async fn meet(data_dir: &Path) -> anyhow::Result<(Self, Hello)> {
        let stream = socket::connect(data_dir).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the sender; the command line has no supervisor to own it.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(event = "operator.connection", %error, "the operator connection ended");
            }
        });
        let mut client = Self { sender };
        let hello = client.hello().await?;
        Ok((client, hello))
    }

    /// Asks who the node is.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn hello(&mut self) -> anyhow::Result<Hello> {
        let response = self.request("GET", "/v1/hello", Bytes::new()).await?;
        Ok(serde_json::from_slice(&small(response).await?)?)
    }

    /// Runs a command and gives its events.
    ///
    /// # Errors
    /// The connection broke or the node does not know the command.
    pub async fn run(
        mut self,
        command: &Command,
    ) -> anyhow::Result<BoxStream<'static, anyhow::Result<Event>>> {
        let response = self.request("POST", "/v1/run", serde_json::to_vec(command)?.into()).await?;
        Ok(lines(self, response.into_body()).boxed())
    }

    /// Streams the CAR of an account.
    ///
    /// # Errors
    /// The node refuses; the failure says why.
    pub async fn car(mut self, account: &str) -> anyhow::Result<BoxStream<'static, anyhow::Result<Bytes>>> {
        let query: String = account.bytes().map(encoded).collect();
        let response = self.request("GET", &format!("/v1/car?account={query}"), Bytes::new()).await?;
        let held = self;
        let body = response.into_body().into_data_stream().map_err(move |error| {
            let _ = &held;
            anyhow::Error::new(error).context("the node stopped sending")
        });
        Ok(body.boxed())
    }

    async fn request(&mut self, method: &str, path: &str, body: Bytes) -> anyhow::Result<Response<Incoming>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        self.sender.ready().await.context("the node does not answer")?;
        let response = self.sender.send_request(request).await.context("the node does not answer")?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let status = response.status();
        let text = small(response).await?;
        if let Ok(failure) = serde_json::from_slice::<Failure>(&text) {
            bail!(failure);
        }
        bail!("the node answered {status}: {}", String::from_utf8_lossy(&text).trim())
    }
}

/// Whether a request failed before the other process took it up: it was ending. A command's
/// answer begins at once, so a connection that ends without an answer has done nothing.
#[must_use]
pub fn unsent(error: &anyhow::Error) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(|error| {
        error.is_canceled() || error.is_closed() || error.is_incomplete_message() || was_reset(error)
    })
}

/// Whether the other end was gone already: its socket closed with the request still unread.
fn was_reset(error: &hyper::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| matches!(io.kind(), BrokenPipe | ConnectionAborted | ConnectionReset))
}

fn encoded(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

async fn small(response: Response<Incoming>) -> anyhow::Result<Bytes> {
    let body = http_body_util::Limited::new(response.into_body(), MAX_SMALL);
    let bytes =
        body.collect().await.map_err(|error| anyhow::anyhow!("the node's answer broke off: {error}"))?;
    Ok(bytes.to_bytes())
}

struct Lines {
    // Keeps the connection open until the last line.
    _client: Client,
    body: Incoming,
    buffer: BytesMut,
    ended: bool,
}

fn lines(client: Client, body: Incoming) -> impl futures::Stream<Item = anyhow::Result<Event>> + Send {
    let state = Lines { _client: client, body, buffer: BytesMut::new(), ended: false };
    futures::stream::unfold(state, |mut state| async move {
        if state.ended {
            return None;
        }
        let next = next_line(&mut state).await;
        state.ended = !matches!(&next, Ok(Some(Event::Progress(_))));
        match next {
            Ok(Some(event)) => Some((Ok(event), state)),
            Ok(None) => Some((
                Err(Failure::new(
                    "unavailable",
                    "the p2pds process that did the work stopped before it was done",
                )
                .hint("run the same command again: it goes on where this one stopped")
                .into()),
                state,
            )),
            Err(error) => Some((Err(error), state)),
        }
    })
}

async fn next_line(state: &mut Lines) -> anyhow::Result<Option<Event>> {
    let mut searched = 0;
    loop {
        let unsearched = state.buffer.get(searched..).unwrap_or_default();
        if let Some(end) = unsearched.iter().position(|byte| *byte == b'\n') {
            let line = state.buffer.split_to(searched.saturating_add(end).saturating_add(1));
            return Ok(Some(
                serde_json::from_slice(&line)
                    .context("the node sent a line that this command does not know")?,
            ));
        }
        searched = state.buffer.len();
        if searched > MAX_LINE {
            bail!("the node sent a line of more than {MAX_LINE} bytes");
        }
        match state.body.frame().await {
            None => return Ok(None),
            Some(frame) => {
                let frame = match frame {
                    Ok(frame) => frame,
                    Err(error) => {
                        tracing::debug!(event = "operator.connection", %error, "the operator connection broke");
                        return Ok(None);
                    }
                };
                if let Some(data) = frame.data_ref() {
                    state.buffer.extend_from_slice(data);
                }
            }
        }
    }
}
