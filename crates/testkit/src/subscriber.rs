//! A consumer of `subscribeRepos`, by hand: it reads when it is asked to, and nothing is hidden from it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use data_encoding::BASE64;
use p2pds_replica::{Frame, decode};

/// How long a read may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// An open stream.
#[derive(Debug)]
pub struct Subscriber {
    stream: BufReader<TcpStream>,
    /// Code of the goodbye.
    pub closed: Option<u16>,
    /// Number of the last event.
    pub seq: u64,
    /// The pieces of a message so far.
    begun: Vec<u8>,
}

impl Subscriber {
    /// Connects to a host (`http://localhost:PORT`); `cursor` as it is written in the query.
    ///
    /// # Errors
    /// The host answers something else than a stream: its status and body.
    pub fn open(host: &str, cursor: Option<&str>) -> Result<Self> {
        Self::open_with(host, cursor, &[])
    }

    /// The same with further headers.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(host: &str, cursor: Option<&str>, headers: &[(&str, &str)]) -> Result<Self> {
        let query = cursor.map_or_else(String::new, |cursor| format!("?cursor={cursor}"));
        Self::at(host, &format!("/xrpc/com.atproto.sync.subscribeRepos{query}"), headers)
    }

    /// Any stream of any server.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn at(host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Self> {
        let authority = host.trim_start_matches("http://");
        let mut stream = TcpStream::connect(authority)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let key = BASE64.encode(&[7; 16]);
        let mut head = format!(
            "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        let mut stream = BufReader::new(stream);
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            if stream.read_line(&mut answer)? == 0 {
                bail!("the connection ended: {answer}");
            }
        }
        if !answer.starts_with("HTTP/1.1 101") {
            let length = answer.to_ascii_lowercase();
            let length = length.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
            stream.read_exact(&mut body)?;
            bail!("{} {}", answer.lines().next().unwrap_or_default(), String::from_utf8_lossy(&body));
        }
        Ok(Self { stream, closed: None, seq: 0, begun: Vec::new() })
    }

    /// The next message; `None` after a goodbye, or when the connection ended. Pings are answered.
    ///
    /// # Errors
    /// What comes is no WebSocket, or nothing comes for two minutes.
    #[expect(clippy::should_implement_trait, reason = "it fails")]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let mut head = [0; 2];
            match self.stream.read_exact(&mut head) {
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                other => other?,
            }
            let length = match head[1] {
                126 => {
                    let mut length = [0; 2];
                    self.stream.read_exact(&mut length)?;
                    u64::from(u16::from_be_bytes(length))
                }
                127 => {
                    let mut length = [0; 8];
                    self.stream.read_exact(&mut length)?;
                    u64::from_be_bytes(length)
                }
                short @ ..126 => u64::from(short),
                _ => bail!("a masked frame"),
            };
            let mut payload = vec![0; usize::try_from(length)?];
            self.stream.read_exact(&mut payload)?;
            match head[0] {
                // Relays send messages in pieces.
                0x01 | 0x02 => self.begun = payload,
                0x00 => self.begun.extend(payload),
                0x82 | 0x80 => {
                    let payload = [std::mem::take(&mut self.begun), payload].concat();
                    if let Ok(Some(seq)) = decode(&payload).map(|frame| frame.seq()) {
                        self.seq = seq;
                    }
                    return Ok(Some(payload));
                }
                0x88 => {
                    self.closed = payload.first_chunk::<2>().map(|code| u16::from_be_bytes(*code));
                    return Ok(None);
                }
                0x89 => self.say(0x8a, &payload)?,
                0x81 => return Ok(Some(payload)),
                0x8a => {}
                other => bail!("a frame that begins with {other:#x}"),
            }
        }
    }

    /// Messages up to the event of this number.
    ///
    /// # Errors
    /// The stream ends before.
    pub fn until(&mut self, seq: u64) -> Result<Vec<Vec<u8>>> {
        let mut all = Vec::new();
        while self.seq < seq {
            all.push(self.next()?.with_context(|| format!("the stream ends at {} of {seq}", self.seq))?);
        }
        Ok(all)
    }

    /// Name of the error frame or the `#info` that comes next.
    ///
    /// # Errors
    /// Something else comes.
    pub fn word(&mut self) -> Result<String> {
        let bytes = self.next()?.context("the stream ended")?;
        match decode(&bytes)? {
            Frame::Error(failure) => Ok(failure.error.to_owned()),
            Frame::Info(info) => Ok(info.name.to_owned()),
            other => bail!("{other:?}"),
        }
    }

    /// Sends a frame of at most 125 bytes, masked with zeros.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn say(&mut self, first: u8, payload: &[u8]) -> Result<()> {
        let mut out = vec![first, 0x80 | u8::try_from(payload.len())?, 0, 0, 0, 0];
        out.extend_from_slice(payload);
        self.raw(&out)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }
}
