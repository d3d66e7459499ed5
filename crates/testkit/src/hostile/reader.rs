//! What somebody who reads from a node does to it, as data.

use std::io::{Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An abuse of the public door. `PUBLIC` and `HIDDEN` in paths are the DIDs of an account that is served and of one that
/// is not; `NUMBER` is another number each time, `CID` another CID that nobody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Abuse {
    /// The same question, so often, each time with other numbers.
    Ask {
        /// Path and query.
        path: String,
        /// Further header lines.
        #[serde(default)]
        headers: Vec<String>,
        /// How often.
        times: u32,
        /// Status codes of which each answer must have one.
        status: Vec<u16>,
    },
    /// Several questions, once each.
    AskAll {
        /// Paths and queries.
        paths: Vec<String>,
        /// Status codes of which each answer must have one.
        status: Vec<u16>,
    },
    /// A question whose query is this long.
    LongQuery {
        /// Path.
        path: String,
        /// Bytes of the query.
        bytes: usize,
        /// Status codes of which the answer must have one.
        status: Vec<u16>,
    },
    /// A parameter, so often in one question.
    Many {
        /// Path and query.
        path: String,
        /// The parameter with its value.
        parameter: String,
        /// How often.
        times: usize,
        /// Status codes of which the answer must have one.
        status: Vec<u16>,
    },
    /// These bytes, on so many connections that stay open.
    Raw {
        /// What is sent.
        text: String,
        /// How often the text is sent on each.
        repeat: usize,
        /// Connections.
        connections: usize,
    },
    /// A repo is asked for on so many connections, and never read.
    Stalled {
        /// Path and query.
        path: String,
        /// Connections.
        connections: usize,
    },
}

/// Whom the paths mean.
pub struct Targets<'a> {
    /// Where the node listens.
    pub address: SocketAddr,
    /// Where the questions come from, of 127.0.0.0/8.
    pub from: Ipv4Addr,
    /// An account that is served.
    pub public: &'a str,
    /// One that is not.
    pub hidden: &'a str,
}

/// An answer: status and everything that came.
pub type Answer = (u16, Vec<u8>);

impl Abuse {
    /// Does it. Gives the answers, the status codes that they must have, and the connections that stay open.
    ///
    /// # Errors
    /// No connection.
    pub fn perform(&self, at: &Targets<'_>) -> Result<(Vec<Answer>, Vec<u16>, Vec<TcpStream>)> {
        let done = |answers: Result<Vec<Answer>>, status: &[u16]| Ok((answers?, status.to_vec(), Vec::new()));
        match self {
            Self::Ask { path, headers, times, status } => {
                done((0..*times).map(|n| ask(at, &filled(path, at, n), headers)).collect(), status)
            }
            Self::AskAll { paths, status } => {
                done(paths.iter().map(|path| ask(at, &filled(path, at, 0), &[])).collect(), status)
            }
            Self::LongQuery { path, bytes, status } => {
                let path = format!("{path}?did={}", "a".repeat(*bytes));
                done(ask(at, &path, &[]).map(|answer| vec![answer]), status)
            }
            Self::Many { path, parameter, times, status } => {
                let path = filled(&format!("{path}{}", format!("&{parameter}").repeat(*times)), at, 0);
                done(ask(at, &path, &[]).map(|answer| vec![answer]), status)
            }
            Self::Raw { text, repeat, connections } => {
                let text = filled(text, at, 0).repeat(*repeat);
                let open = (0..*connections).map(|_| {
                    let stream = connect(at)?;
                    // The node may leave in the middle.
                    let _ = (&stream).write_all(text.as_bytes());
                    Ok(stream)
                });
                Ok((Vec::new(), Vec::new(), open.collect::<Result<_>>()?))
            }
            Self::Stalled { path, connections } => {
                let request = request(&filled(path, at, 0), &[]);
                let open = (0..*connections).map(|_| {
                    let stream = connect(at)?;
                    (&stream).write_all(request.as_bytes())?;
                    Ok(stream)
                });
                Ok((Vec::new(), Vec::new(), open.collect::<Result<_>>()?))
            }
        }
    }
}

fn filled(path: &str, at: &Targets<'_>, number: u32) -> String {
    let cid = p2pds_ipld::Cid::of_cbor(format!("nobody has this {number} {path}").as_bytes()).to_string();
    path.replace("PUBLIC", at.public)
        .replace("HIDDEN", at.hidden)
        .replace("NUMBER", &number.to_string())
        .replace("CID", &cid)
}

fn request(path: &str, headers: &[String]) -> String {
    let host = if headers.iter().any(|line| line.starts_with("Host:")) { "" } else { "Host: localhost\r\n" };
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    format!("GET {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n")
}

fn connect(at: &Targets<'_>) -> Result<TcpStream> {
    // The node counts by address: everybody has an own one.
    let socket =
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddr::new(at.from.into(), 0))?;
    rustix::net::connect(&socket, &at.address)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

/// One question and its whole answer; status 0 when the node closed without one.
///
/// # Errors
/// No connection.
pub fn ask(at: &Targets<'_>, path: &str, headers: &[String]) -> Result<Answer> {
    let mut stream = connect(at)?;
    // A node that has had enough closes before all is sent; what it said before can still be read.
    let _ = stream.write_all(request(path, headers).as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let head = String::from_utf8_lossy(answer.get(..answer.len().min(20)).unwrap_or_default()).into_owned();
    Ok((head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), answer))
}
