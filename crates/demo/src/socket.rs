//! The server's side of a WebSocket, for streams of which somebody takes what comes.

use std::future::Future;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

/// An open stream.
pub(crate) struct Socket(WebSocketStream<TokioIo<Upgraded>>);

/// Whether a request wants to become a stream.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    headers.contains_key(header::SEC_WEBSOCKET_KEY)
}

/// Makes a request a stream, and hands it over.
pub(crate) fn open<F>(mut request: Request, run: impl FnOnce(Socket) -> F + Send + 'static) -> Response
where
    F: Future<Output = ()> + Send,
{
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
    let accept = key.map(|key| derive_accept_key(key.as_bytes()));
    let Some(accept) = accept.and_then(|accept| HeaderValue::from_str(&accept).ok()) else {
        return (StatusCode::UPGRADE_REQUIRED, "this is a stream: ask for it by WebSocket\n").into_response();
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let io = TokioIo::new(upgraded);
        run(Socket(WebSocketStream::from_raw_socket(io, Role::Server, None).await)).await;
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let fields = response.headers_mut();
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

impl Socket {
    /// Sends a message; false when nobody is there any more.
    pub(crate) async fn send(&mut self, message: Message) -> bool {
        self.0.send(message).await.is_ok()
    }

    /// Waits until the other end goes. What it says counts for nothing.
    pub(crate) async fn gone(&mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }

    /// Ends it with a reason.
    pub(crate) async fn close(mut self, reason: &'static str) {
        let frame = CloseFrame { code: 1000.into(), reason: reason.into() };
        let _ = self.0.close(Some(frame)).await;
        self.gone().await;
    }
}
