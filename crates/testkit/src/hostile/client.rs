//! What a client does to a host of accounts, as data: `clients.json`. Whatever it is, nothing of it is accepted.

use std::collections::BTreeMap;
use std::io::{Read as _, Result, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One way for a client to misbehave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// A stable name.
    pub name: String,
    /// What, in a sentence.
    pub does: String,
    /// How.
    pub steps: Vec<Step>,
}

/// One thing that it does. Words in capitals stand for what the test knows: `ALICE`, `BOB` (DIDs), `BLOB-OF-BOB`, …
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// Calls a method.
    Call(Box<Call>),
    /// Sends bytes, on so many connections that stay open.
    Raw(Raw),
}

/// A call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Path and query; below `/xrpc/` if it begins with no slash.
    pub path: String,
    /// HTTP method; POST if there is a body, else GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Name of the credentials that are shown.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Further header lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// A JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// A body as it stands; JSON by its media type unless a header says something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What stands before the text, the middle of the body, and behind it; the first and last are repeated so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nested: Option<(String, String, String, usize)>,
    /// A body as hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    /// How often; once unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Status codes of which each answer must have one.
    pub status: Vec<u16>,
    /// Names of errors of which each answer must have one; any, when none is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error: Vec<String>,
}

/// Bytes on connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    /// What is sent first.
    pub text: String,
    /// What is sent then, so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<(String, usize)>,
    /// Text that is sent then, so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<(String, usize)>,
    /// Connections.
    #[serde(default = "one")]
    pub connections: usize,
    /// Status codes of which the first answer must have one (0: none came); nobody waits for an answer, when none is
    /// given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
}

const fn one() -> usize {
    1
}

/// What the words in capitals mean, and who is who.
pub struct Known {
    /// Where the host listens.
    pub address: SocketAddr,
    /// Words and what they mean. Longer words go first.
    pub words: BTreeMap<String, String>,
    /// Names of credentials, and the header that they are.
    pub credentials: BTreeMap<String, String>,
}

/// What came back of a call.
#[derive(Debug)]
pub struct Came {
    /// Status; 0 when the connection ended without one.
    pub status: u16,
    /// Everything.
    pub text: String,
}

/// The catalogue.
///
/// # Panics
/// The file is not what it should be.
#[must_use]
pub fn clients() -> Vec<Client> {
    serde_json::from_str(include_str!("clients.json")).expect("clients.json")
}

impl Known {
    fn filled(&self, text: &str) -> String {
        let mut words: Vec<_> = self.words.iter().collect();
        words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        words.into_iter().fold(text.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
    }

    fn connect(&self, from: Ipv4Addr) -> Result<TcpStream> {
        // The host counts by address: each behaviour has one of its own.
        let socket =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)?;
        rustix::net::bind(&socket, &SocketAddr::new(from.into(), 0))?;
        rustix::net::connect(&socket, &self.address)?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.set_write_timeout(Some(Duration::from_secs(60)))?;
        Ok(stream)
    }
}

impl Call {
    /// Does it once, from this address.
    ///
    /// # Errors
    /// No connection.
    ///
    /// # Panics
    /// The catalogue names credentials that nobody knows.
    pub fn perform(&self, known: &Known, from: Ipv4Addr) -> Result<Came> {
        let body = self.body(known);
        let method = self.method.as_deref().unwrap_or(if body.is_some() { "POST" } else { "GET" });
        let path = known.filled(&self.path);
        let path = if path.starts_with('/') { path } else { format!("/xrpc/{path}") };
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        let has = |name: &str| self.headers.iter().any(|line| line.to_ascii_lowercase().starts_with(name));
        if let Some(by) = &self.by {
            let header = known.credentials.get(by).unwrap_or_else(|| panic!("nobody knows {by}"));
            head += &format!("Authorization: {header}\r\n");
        }
        if body.is_some() && !has("content-type") {
            head += "Content-Type: application/json\r\n";
        }
        if let Some(body) = &body
            && !has("content-length")
        {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        for line in &self.headers {
            head += &format!("{}\r\n", known.filled(line));
        }
        let mut stream = known.connect(from)?;
        // A host that has heard enough closes before all is sent; what it said before can still be read.
        let _ = stream.write_all(format!("{head}\r\n").as_bytes());
        let _ = stream.write_all(&body.unwrap_or_default());
        Ok(read(&mut stream))
    }

    fn body(&self, known: &Known) -> Option<Vec<u8>> {
        if let Some(json) = &self.json {
            return Some(known.filled(&json.to_string()).into_bytes());
        }
        if let Some((before, middle, behind, times)) = &self.nested {
            let text = format!("{}{middle}{}", before.repeat(*times), behind.repeat(*times));
            return Some(known.filled(&text).into_bytes());
        }
        if let Some(hex) = &self.hex {
            return data_encoding::HEXLOWER.decode(known.filled(hex).as_bytes()).ok();
        }
        self.text.as_ref().map(|text| known.filled(text).into_bytes())
    }
}

impl Raw {
    /// Does it from this address; gives the first answer, if one is waited for, and the connections that stay open.
    ///
    /// # Errors
    /// No connection.
    pub fn perform(&self, known: &Known, from: Ipv4Addr) -> Result<(Option<Came>, Vec<TcpStream>)> {
        let mut first = None;
        let mut open = Vec::new();
        for _ in 0..self.connections {
            let mut stream = known.connect(from)?;
            let _ = stream.write_all(known.filled(&self.text).as_bytes());
            if let Some((text, times)) = &self.more {
                let text = known.filled(text);
                let _ = (0..*times).try_for_each(|_| stream.write_all(text.as_bytes()));
            }
            if let Some((hex, times)) = &self.hex {
                let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap_or_default();
                let _ = (0..*times).try_for_each(|_| stream.write_all(&bytes));
            }
            if !self.status.is_empty() && first.is_none() {
                // Who expects none perhaps has nothing more to say; the others wait for their answer.
                if self.status.contains(&0) {
                    let _ = stream.shutdown(std::net::Shutdown::Write);
                }
                first = Some(read_head(&mut stream));
            }
            open.push(stream);
        }
        Ok((first, open))
    }
}

/// The head of the first answer.
fn read_head(stream: &mut TcpStream) -> Came {
    let (mut answer, mut piece) = (Vec::new(), [0; 1_024]);
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(length @ 1..) => answer.extend_from_slice(piece.get(..length).unwrap_or_default()),
            _ => break,
        }
    }
    came(&answer)
}

fn read(stream: &mut TcpStream) -> Came {
    let mut answer = Vec::new();
    // What is streamed without end is not listened to for ever.
    let _ = stream.take(4 << 20).read_to_end(&mut answer);
    came(&answer)
}

fn came(answer: &[u8]) -> Came {
    let text = String::from_utf8_lossy(answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Came { status, text }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_catalogue_is_data() {
        let all = clients();
        let names: BTreeSet<&str> = all.iter().map(|client| client.name.as_str()).collect();
        assert_eq!(names.len(), all.len(), "names are used once");
        assert!(all.len() >= 60, "{}", all.len());
        for client in &all {
            assert!(!client.steps.is_empty(), "{} does nothing", client.name);
            for step in &client.steps {
                if let Step::Call(call) = step {
                    assert!(!call.status.is_empty() && !call.status.contains(&200), "{}", client.name);
                }
            }
        }
    }
}
