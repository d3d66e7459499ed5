//! What a directory's export does wrong.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{goodbye, respond};
use crate::stream::wire;

/// One kind of wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportLie {
    /// The stream ends at once with this reason, every time.
    Goodbye(String),
    /// The stream sends what is no JSON, without end.
    Words,
    /// The stream sends one message of this many bytes.
    Huge(usize),
    /// The stream sends a message that never ends, a byte at a time.
    Trickle,
    /// The stream sends pings without end.
    Pings,
    /// The stream's numbers go backwards, and start again.
    Backwards,
    /// The stream sends so many operations of others, as fast as it can.
    Flood(usize),
    /// The stream sends so many operations of this account that are in no log.
    Forged(String, usize),
    /// The connection is taken and nothing said.
    Silence,
    /// A page for people instead of a stream.
    NoUpgrade,
    /// The stream is elsewhere: a redirect to this address.
    Redirect(String),
    /// Pages never end.
    EndlessPage,
    /// Every page is full and ends where it began.
    Circle,
    /// Pages are no pages.
    WordyPage,
}

/// All of them with a name each, for an account that is archived.
#[must_use]
pub fn export_lies(did: &str) -> Vec<(&'static str, ExportLie)> {
    use ExportLie::{
        Backwards, Circle, EndlessPage, Flood, Forged, Goodbye, Huge, NoUpgrade, Pings, Redirect, Silence,
        Trickle, Words, WordyPage,
    };
    vec![
        ("export-always-from-the-future", Goodbye("FutureCursor".to_owned())),
        ("export-always-outdated", Goodbye("OutdatedCursor".to_owned())),
        ("export-always-too-slow", Goodbye("ConsumerTooSlow".to_owned())),
        ("export-goodbye-with-a-speech", Goodbye("\u{1b}[31mpay me\n".repeat(9))),
        ("export-no-json", Words),
        ("export-huge-message", Huge(64 << 20)),
        ("export-trickle", Trickle),
        ("export-ping-flood", Pings),
        ("export-numbers-backwards", Backwards),
        ("export-flood-of-others", Flood(100_000)),
        ("export-forged-operations", Forged(did.to_owned(), 100_000)),
        ("export-silence", Silence),
        ("export-page-for-people", NoUpgrade),
        ("export-redirected-inwards", Redirect("http://169.254.169.254/latest".to_owned())),
        ("export-endless-page", EndlessPage),
        ("export-page-in-a-circle", Circle),
        ("export-page-in-words", WordyPage),
    ]
}

/// How long a silent server stays so, unless the other side leaves before.
const LONG: Duration = Duration::from_secs(120);

impl ExportLie {
    /// Whether it is the pages that are wrong.
    pub(super) fn is_of_pages(&self) -> bool {
        matches!(self, Self::EndlessPage | Self::Circle | Self::WordyPage)
    }

    /// Instead of the upgrade; whether that was all.
    pub(super) fn before_upgrade(&self, stream: &TcpStream) -> Result<bool> {
        match self {
            Self::Silence => wait(stream),
            Self::NoUpgrade => respond(stream, 200, "text/html", b"<p>Welcome</p>")?,
            Self::Redirect(to) => {
                let mut out = stream;
                write!(
                    out,
                    "HTTP/1.1 302 X\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Instead of the stream; whether that was all.
    pub(super) fn on_stream(&self, stream: &TcpStream) -> Result<bool> {
        let mut out = stream;
        match self {
            Self::Goodbye(reason) => {
                let short: String = reason.chars().take(100).collect();
                goodbye(stream, &short)?;
            }
            // What the pages do wrong is seen only by who is sent there.
            Self::EndlessPage | Self::Circle | Self::WordyPage => goodbye(stream, "OutdatedCursor")?,
            Self::Words => forever(stream, |n| text(&format!("the {n}th word")))?,
            Self::Huge(size) => {
                out.write_all(&wire::head(wire::FIN | wire::TEXT, *size as u64))?;
                forever(stream, |_| vec![b' '; 65_536])?;
            }
            Self::Trickle => {
                out.write_all(&wire::head(wire::FIN | wire::TEXT, 60_000))?;
                loop {
                    out.write_all(b" ")?;
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
            Self::Pings => forever(stream, |_| wire::head(wire::FIN | wire::PING, 0))?,
            Self::Backwards => {
                forever(stream, |n| operation("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", 1_000_000 - n % 1_000_000))?
            }
            Self::Flood(count) => {
                for n in 0..*count as u64 {
                    out.write_all(&operation(&format!("did:plc:{n:024}"), n + 1))?;
                }
                wait(stream);
            }
            Self::Forged(did, count) => {
                for n in 0..*count as u64 {
                    out.write_all(&operation(did, n + 1))?;
                }
                wait(stream);
            }
            Self::Silence | Self::NoUpgrade | Self::Redirect(_) => return Ok(false),
        }
        Ok(true)
    }

    /// Instead of a page; whether that was all.
    pub(super) fn on_page(&self, stream: &TcpStream) -> Result<bool> {
        let mut out = stream;
        match self {
            Self::EndlessPage => {
                write!(
                    out,
                    "HTTP/1.1 200 X\r\nContent-Type: application/jsonlines\r\nConnection: close\r\n\r\n"
                )?;
                forever(stream, |n| {
                    format!("{}\n", line("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", n)).into_bytes()
                })?;
            }
            Self::Circle => {
                let lines: Vec<String> =
                    (1..=1_000).map(|_| line("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", 1)).collect();
                respond(stream, 200, "application/jsonlines", lines.join("\n").as_bytes())?;
            }
            Self::WordyPage => respond(stream, 200, "application/jsonlines", &b"word\n".repeat(1_000))?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn line(did: &str, seq: u64) -> String {
    json!({"seq": seq, "type": "sequenced_op", "did": did, "operation": {}, "cid": format!("bafyreiforged{seq}"),
        "createdAt": "2026-01-01T00:00:00.000Z"})
    .to_string()
}

fn operation(did: &str, seq: u64) -> Vec<u8> {
    text(&line(did, seq))
}

fn text(text: &str) -> Vec<u8> {
    let mut message = wire::head(wire::FIN | wire::TEXT, text.len() as u64);
    message.extend(text.as_bytes());
    message
}

fn forever(mut out: &TcpStream, piece: impl Fn(u64) -> Vec<u8>) -> Result<()> {
    for n in 0.. {
        out.write_all(&piece(n))?;
    }
    Ok(())
}

/// Waits until the other side has left.
fn wait(mut stream: &TcpStream) {
    let _ = stream.set_read_timeout(Some(LONG));
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}
