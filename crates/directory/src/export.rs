//! The directory's export: every operation of every identity, as a stream or in pages.
//!
//! Of each operation only whose it is and its place are read; what it says is believed only after the whole log of
//! the account was fetched and validated. So a directory that makes up operations here costs a request, no more.
//!
//! Spec: <https://web.plc.directory/spec/v0.1/did-plc>, "Export".

use std::borrow::Cow;

use bytes::Bytes;
use p2pds_net::{Client, GetOptions, NetError, WsOptions, WsStream};
use serde::Deserialize;

/// Operations of one page; the directory gives no more.
const PAGE: usize = 1_000;
/// Largest page that is read: a thousand operations of the largest size, with room for what surrounds them.
const MAX_PAGE: u64 = 16 << 20;
/// Largest message of the stream.
const MAX_MESSAGE: usize = 64 * 1024;

/// Where in the export to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// After this sequence number.
    Seq(u64),
    /// After this time, for directories without sequence numbers.
    Time(String),
}

/// One operation of the export, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported<'a> {
    /// Its sequence number; directories before 2026 give none.
    pub seq: Option<u64>,
    /// Whose.
    pub did: Cow<'a, str>,
    /// Its CID.
    pub cid: Cow<'a, str>,
    /// When the directory took it, as it writes times.
    pub created_at: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(default)]
    seq: Option<u64>,
    #[serde(borrow)]
    did: Cow<'a, str>,
    #[serde(borrow)]
    cid: Cow<'a, str>,
    #[serde(borrow)]
    created_at: Cow<'a, str>,
}

/// Reads one line or message; `None` for what is no operation: other types of events may come.
#[must_use]
pub fn read(line: &[u8]) -> Option<Exported<'_>> {
    let Fields { seq, did, cid, created_at } = serde_json::from_slice(line).ok()?;
    Some(Exported { seq, did, cid, created_at })
}

/// Why a stream has ended or was not opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Ended {
    /// The directory has no stream.
    #[error("the directory offers no stream of its operations")]
    NotOffered,
    /// It knows nothing of the place asked for: it was set back, or is another one.
    #[error("the directory has not come as far as was read before: it was set back, or is another one")]
    Future,
    /// The place asked for is too long ago for the stream.
    #[error("what was missed is too long ago for the directory's stream")]
    Outdated,
    /// It sends faster than is read.
    #[error("the directory sends faster than is read")]
    TooSlow,
    /// It said goodbye.
    #[error("the directory ended its stream{}", if .0.is_empty() { String::new() } else { format!(": {}", .0) })]
    Closed(String),
    /// The connection failed.
    #[error("the directory's stream failed: {0}")]
    Net(NetError),
}

/// An open stream.
pub struct Stream(WsStream);

impl Stream {
    /// Opens the stream after a sequence number, or at what comes next.
    ///
    /// # Errors
    /// [`Ended::NotOffered`], [`Ended::Net`].
    pub async fn open(client: &Client, origin: &str, after: Option<u64>) -> Result<Self, Ended> {
        let origin = origin.trim_end_matches('/');
        let base = match origin.split_once("://") {
            Some(("http", rest)) => format!("ws://{rest}"),
            Some((_, rest)) => format!("wss://{rest}"),
            None => return Err(Ended::NotOffered),
        };
        let cursor = after.map_or_else(String::new, |seq| format!("?cursor={seq}"));
        let options = WsOptions { max_frame: MAX_MESSAGE, text: true, ..WsOptions::default() };
        match client.ws(&format!("{base}/export/stream{cursor}"), &options).await {
            Ok(stream) => Ok(Self(stream)),
            // An older directory takes it for a question about the DID "export".
            Err(NetError::Status { status: 200..=299 | 400 | 404 | 405 | 410 | 426 | 501, .. }) => {
                Err(Ended::NotOffered)
            }
            Err(error) => Err(Ended::Net(error)),
        }
    }

    /// The next message.
    ///
    /// # Errors
    /// The stream has ended.
    pub async fn next(&mut self) -> Result<Bytes, Ended> {
        match self.0.next().await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(match self.0.closed().map(|(_, reason)| reason) {
                Some("FutureCursor") => Ended::Future,
                Some("OutdatedCursor") => Ended::Outdated,
                Some("ConsumerTooSlow") => Ended::TooSlow,
                // A word of the directory's choosing that ends in a log.
                other => Ended::Closed(
                    other.unwrap_or_default().chars().filter(|c| !c.is_control()).take(100).collect(),
                ),
            }),
            Err(error) => Err(Ended::Net(error)),
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Stream").field(&self.0.host()).finish()
    }
}

/// One page of the export.
#[derive(Debug)]
pub struct Page {
    body: Bytes,
    /// Whether more is to be expected at once.
    pub full: bool,
}

impl Page {
    /// Fetches what comes after `place`.
    ///
    /// # Errors
    /// Those of a request.
    pub async fn fetch(client: &Client, origin: &str, place: &Place) -> Result<Self, NetError> {
        let origin = origin.trim_end_matches('/');
        let after = match place {
            Place::Seq(seq) => seq.to_string(),
            // A time is digits and the signs - : . T Z, of which a URL allows all.
            Place::Time(time) => {
                time.chars().filter(|c| c.is_ascii_alphanumeric() || "-:.".contains(*c)).collect()
            }
        };
        let options = GetOptions::json(MAX_PAGE).accept("application/jsonlines, application/json");
        let url = format!("{origin}/export?count={PAGE}&after={after}");
        let body = client.get(&url, &options).await?.success()?.bytes(options.max_bytes).await?;
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        Ok(Self { body, full: lines >= PAGE })
    }

    /// Its operations, in their order.
    pub fn operations(&self) -> impl Iterator<Item = Exported<'_>> {
        self.body.split(|byte| *byte == b'\n').filter_map(read)
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_is_read_of_an_operation() {
        let line = br#"{"seq":7,"type":"sequenced_op","did":"did:plc:x","operation":{"a":[1]},"cid":"bafy","createdAt":"2026-01-01T00:00:00.000Z","more":null}"#;
        let op = read(line).unwrap();
        assert_eq!(
            (op.seq, &*op.did, &*op.cid, &*op.created_at),
            (Some(7), "did:plc:x", "bafy", "2026-01-01T00:00:00.000Z")
        );
        assert!(matches!(op.did, std::borrow::Cow::Borrowed(_)), "nothing is copied");
        let old = br#"{"did":"did:plc:x","operation":{},"cid":"bafy","nullified":false,"createdAt":"2026"}"#;
        assert_eq!(read(old).unwrap().seq, None);
        for other in [
            &b""[..],
            b"{}",
            b"[]",
            br#"{"type":"news"}"#,
            br#"{"seq":-1,"did":"d","cid":"c","createdAt":"x"}"#,
        ] {
            assert_eq!(read(other), None);
        }
    }
}
