//! How a server answers, as data: to which question, and what instead of the truth.

use std::io::{Result, Write};
use std::net::TcpStream;
use std::time::Duration;

use p2pds_ipld::{Cid, car};
use serde::{Deserialize, Serialize};

/// A question, and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rule {
    /// Which question.
    pub on: On,
    /// What happens.
    pub act: Act,
    /// How often at most; `None`: whenever it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

/// A question to a host or a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum On {
    /// Any.
    Everything,
    /// `getRepo`, whole.
    WholeRepo,
    /// `getRepo` with `since`.
    RepoSince,
    /// `getRepo`.
    Repo,
    /// `getLatestCommit`.
    Latest,
    /// `getRepoStatus`.
    Status,
    /// `getBlob`.
    Blob,
    /// `listBlobs`.
    ListBlobs,
    /// `describeRepo` and `describeServer`.
    Describe,
    /// The DID document.
    Document,
    /// The log of operations.
    Log,
}

impl On {
    /// Whether a request is this question.
    #[must_use]
    pub fn is(self, path: &str, query: &str) -> bool {
        let since = query.split('&').any(|pair| pair.starts_with("since="));
        let method = |name: &str| path.strip_prefix("/xrpc/com.atproto.") == Some(name);
        match self {
            Self::Everything => true,
            Self::Repo => method("sync.getRepo"),
            Self::WholeRepo => method("sync.getRepo") && !since,
            Self::RepoSince => method("sync.getRepo") && since,
            Self::Latest => method("sync.getLatestCommit"),
            Self::Status => method("sync.getRepoStatus"),
            Self::Blob => method("sync.getBlob"),
            Self::ListBlobs => method("sync.listBlobs"),
            Self::Describe => method("repo.describeRepo") || method("server.describeServer"),
            Self::Document => !path.starts_with("/xrpc/") && !path.ends_with("/log/audit"),
            Self::Log => path.ends_with("/log/audit"),
        }
    }
}

/// What happens instead of the true answer, or to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Another answer.
    Answer {
        /// Status code.
        status: u16,
        /// Further header lines.
        #[serde(default)]
        headers: Vec<String>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// A redirect there.
    Redirect(String),
    /// The answer up to so many hundredths, announced whole.
    Cut(u64),
    /// The same without announcing a length.
    CutUnsaid(u64),
    /// The answer, and blocks of noise without end.
    EndlessBlocks,
    /// The answer, and a block without end.
    EndlessBlock,
    /// Noise without end.
    EndlessNoise,
    /// An open JSON list, level below level without end.
    EndlessNesting,
    /// Header lines without end.
    EndlessHeaders,
    /// One header line of this many bytes.
    HugeHeader(usize),
    /// One byte, then one more every so many milliseconds.
    Trickle(u64),
    /// No answer; the connection stays open.
    Silence,
    /// The head of an answer, then nothing.
    SilentBody,
    /// The connection is closed at once.
    HangUp,
    /// Bytes that are no HTTP.
    NoHttp,
    /// A chunk whose length is no number.
    BadChunk,
    /// A length that is shorter than the answer.
    ShortLength,
    /// So many megabytes of zeros, compressed.
    GzipBomb(usize),
    /// The answer with a byte changed, so many hundredths into it.
    Flip(usize),
    /// These bytes, in hex, as the body.
    Hex(String),
}

/// How long a silent server stays so, unless the other side leaves before.
const LONG: Duration = Duration::from_secs(120);

impl Act {
    /// Does it to the honest answer. Errors are the other side's leaving.
    ///
    /// # Errors
    /// The other side has had enough.
    pub fn perform(&self, out: &TcpStream, mime: &str, honest: &[u8]) -> Result<()> {
        let whole = honest.len();
        let part = |hundredths: u64| &honest[..(whole as u64 * hundredths.min(100) / 100) as usize];
        match self {
            Self::Answer { status, headers, body } => {
                let mut lines = headers.clone();
                lines.push(format!("Content-Length: {}", body.len()));
                if !headers.iter().any(|line| line.to_ascii_lowercase().starts_with("content-type:")) {
                    lines.push("Content-Type: application/json".to_owned());
                }
                send(out, *status, &lines, body.as_bytes())
            }
            Self::Redirect(to) => {
                send(out, 302, &[format!("Location: {to}"), "Content-Length: 0".to_owned()], b"")
            }
            Self::Cut(hundredths) => {
                send(out, 200, &[typed(mime), format!("Content-Length: {whole}")], part(*hundredths))
            }
            Self::CutUnsaid(hundredths) => send(out, 200, &[typed(mime)], part(*hundredths)),
            Self::EndlessBlocks => {
                send(out, 200, &[typed(mime)], honest)?;
                forever(out, |number| {
                    let noise = number.to_le_bytes().repeat(1_000);
                    let mut section = Vec::new();
                    car::write_section(&mut section, &Cid::of_raw(&noise), &noise);
                    section
                })
            }
            Self::EndlessBlock => {
                send(out, 200, &[typed(mime)], honest)?;
                let mut head = Vec::new();
                car::write_section_head(&mut head, &Cid::of_raw(b""), 1 << 40);
                (&*out).write_all(&head)?;
                forever(out, |_| vec![0; 8_192])
            }
            Self::EndlessNoise => {
                send(out, 200, &[typed(mime)], b"")?;
                forever(out, |number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes().repeat(1_000))
            }
            Self::EndlessNesting => {
                send(out, 200, &[typed(mime)], b"")?;
                forever(out, |_| b"[".repeat(8_192))
            }
            Self::EndlessHeaders => {
                (&*out).write_all(b"HTTP/1.1 200 OK\r\n")?;
                forever(out, |number| format!("X-{number}: {number}\r\n").into_bytes())
            }
            Self::HugeHeader(size) => send(out, 200, &[format!("X-Long: {}", "x".repeat(*size))], honest),
            Self::Trickle(every) => {
                send(out, 200, &[typed(mime)], b"")?;
                for byte in honest.iter().chain(std::iter::repeat(&0)) {
                    (&*out).write_all(&[*byte])?;
                    wait(out, Duration::from_millis(*every));
                }
                Ok(())
            }
            Self::Silence => {
                wait(out, LONG);
                Ok(())
            }
            Self::SilentBody => {
                send(out, 200, &[typed(mime), format!("Content-Length: {whole}")], b"")?;
                wait(out, LONG);
                Ok(())
            }
            Self::HangUp => Ok(()),
            Self::NoHttp => (&*out).write_all(b"220 mail.example ESMTP\r\n\r\n"),
            Self::BadChunk => send(
                out,
                200,
                &[typed(mime), "Transfer-Encoding: chunked".to_owned()],
                b"zz\r\nxx\r\n0\r\n\r\n",
            ),
            Self::ShortLength => {
                send(out, 200, &[typed(mime), format!("Content-Length: {}", whole / 2)], honest)
            }
            Self::GzipBomb(megabytes) => {
                let lines = [typed(mime), "Content-Encoding: gzip".to_owned()];
                send(out, 200, &lines, &gzip_of_zeros(*megabytes))
            }
            Self::Flip(hundredths) => {
                let mut bytes = honest.to_vec();
                if let Some(byte) = bytes.get_mut((whole * hundredths / 100).min(whole.saturating_sub(1))) {
                    *byte ^= 1;
                }
                send(out, 200, &[typed(mime), format!("Content-Length: {whole}")], &bytes)
            }
            Self::Hex(hex) => {
                let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex in a script");
                send(out, 200, &[typed(mime), format!("Content-Length: {}", bytes.len())], &bytes)
            }
        }
    }
}

fn typed(mime: &str) -> String {
    format!("Content-Type: {mime}")
}

fn send(mut out: &TcpStream, status: u16, lines: &[String], body: &[u8]) -> Result<()> {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    write!(out, "HTTP/1.1 {status} X\r\n{lines}Connection: close\r\n\r\n")?;
    out.write_all(body)?;
    out.flush()
}

fn forever(mut out: &TcpStream, piece: impl Fn(u64) -> Vec<u8>) -> Result<()> {
    for number in 0_u64.. {
        out.write_all(&piece(number))?;
    }
    Ok(())
}

/// Waits for so long, or until the other side has left.
fn wait(out: &TcpStream, time: Duration) {
    use std::io::Read as _;
    let _ = out.set_read_timeout(Some(time));
    let _ = (&*out).read(&mut [0; 16]);
}

/// A gzip file of stored zeros would be as long as they are: these are runs of 258 bytes, 2 bits each.
fn gzip_of_zeros(megabytes: usize) -> Vec<u8> {
    // One block with the fixed codes: literal 0 (00110000), then matches of length 258 (11000101) at distance 1 (00000).
    let mut bits = Bits::default();
    bits.push(0b011, 3);
    bits.push_code(0b0011_0000, 8);
    let matches = megabytes * (1 << 20) / 258;
    for _ in 0..16 {
        bits.push_code(0b1100_0101, 8);
        bits.push_code(0, 5);
    }
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    // From the third byte on, 13 bytes (8 matches of 13 bits) repeat. The end of the block is never reached.
    out.extend(&bits.bytes[..2]);
    out.extend(bits.bytes[2..15].repeat(matches / 8));
    out
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    fn bit(&mut self, bit: u32) {
        if self.used.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit & 1 == 1) << (self.used % 8);
        }
        self.used += 1;
    }

    /// Numbers go in from their lowest bit.
    fn push(&mut self, value: u32, bits: u32) {
        (0..bits).for_each(|at| self.bit(value >> at));
    }

    /// Codes go in from their highest bit.
    fn push_code(&mut self, code: u32, bits: u32) {
        (0..bits).rev().for_each(|at| self.bit(code >> at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bomb_is_small_and_made_of_zeros() {
        let bomb = gzip_of_zeros(8);
        assert!(bomb.len() < 60_000, "{}", bomb.len());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bomb.gz");
        std::fs::write(&path, bomb).unwrap();
        // It has no end, so the tool complains, after it has unpacked what there is.
        let unpacked = std::process::Command::new("gzip").arg("-dc").arg(&path).output().unwrap().stdout;
        assert!(unpacked.len() > 8_000_000 && unpacked.iter().all(|byte| *byte == 0), "{}", unpacked.len());
    }
}
