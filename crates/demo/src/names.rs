//! The name server of the demo: it knows the handles that stand in the directory, and no other name.
//!
//! `_atproto.HANDLE` has a TXT record with the DID whose identity names the handle; everything else does not exist, so
//! that nothing in the demo finds its way out.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;

use crate::error::DemoError;
use crate::plc::Directory;

/// The type of the records that are asked for.
const TXT: u16 = 16;
/// The longest question.
const MAX: usize = 512;

/// A name server that has not begun yet.
pub(crate) struct Names {
    socket: UdpSocket,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Names {
    /// Takes a port.
    pub(crate) async fn bind() -> Result<Self, DemoError> {
        let bind = DemoError::machine("open a port for its name server");
        let socket = UdpSocket::bind("127.0.0.1:0").await.map_err(bind)?;
        let address = socket.local_addr().map_err(DemoError::machine("learn its name server's port"))?;
        Ok(Self { socket, address })
    }

    /// Answers until it is dropped.
    pub(crate) async fn serve(self, directory: Arc<Directory>) {
        let mut question = [0; MAX];
        loop {
            let Ok((length, from)) = self.socket.recv_from(&mut question).await else { continue };
            let asked = question.get(..length).unwrap_or_default();
            if let Some(answer) = answer(asked, |handle| directory.did_of(handle)) {
                let _ = self.socket.send_to(&answer, from).await;
            }
        }
    }
}

/// The answer to one question (RFC 1035 4); `None` for what is none.
fn answer(question: &[u8], did_of: impl Fn(&str) -> Option<String>) -> Option<Vec<u8>> {
    let id = question.get(..2)?;
    let (name, end) = name_at(question, 12)?;
    let after_type = end.checked_add(2)?;
    let kind = u16::from_be_bytes(question.get(end..after_type)?.try_into().ok()?);
    let echoed = question.get(12..after_type.checked_add(2)?)?;
    let did = name.strip_prefix("_atproto.").and_then(did_of);
    let text = did.as_ref().filter(|_| kind == TXT).map(|did| format!("did={did}"));
    // No such name, or no record of this type.
    let code = if did.is_some() { 0_u8 } else { 3 };
    let mut out = id.to_vec();
    out.extend([0x84, 0x80 | code, 0, 1, 0, u8::from(text.is_some()), 0, 0, 0, 0]);
    out.extend(echoed);
    if let Some(text) = text {
        let length = u8::try_from(text.len()).ok()?;
        out.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0]);
        out.extend(u16::from(length).checked_add(1)?.to_be_bytes());
        out.push(length);
        out.extend(text.as_bytes());
    }
    Some(out)
}

/// The name at `at`, in lower case without its final dot, and where it ends.
fn name_at(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at = at.checked_add(1)?;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let end = at.checked_add(length)?;
        labels.push(String::from_utf8_lossy(message.get(at..end)?).to_ascii_lowercase());
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, kind: u16) -> Vec<u8> {
        let mut question = vec![1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            question.push(u8::try_from(label.len()).unwrap());
            question.extend(label.as_bytes());
        }
        question.push(0);
        question.extend(kind.to_be_bytes());
        question.extend([0, 1]);
        let did_of = |handle: &str| (handle == "alice.north.test").then(|| "did:plc:abc".to_owned());
        answer(&question, did_of).unwrap()
    }

    #[test]
    fn handles_are_known_and_nothing_else_exists() {
        let known = ask("_atproto.ALICE.north.test", TXT);
        assert!(known[3] & 15 == 0 && known[7] == 1 && known.ends_with(b"did=did:plc:abc"));
        let without = ask("_atproto.alice.north.test", 1);
        assert!(without[3] & 15 == 0 && without[7] == 0);
        for unknown in ["_atproto.bob.north.test", "alice.north.test", "plc.directory"] {
            let answer = ask(unknown, TXT);
            assert!(answer[3] & 15 == 3 && answer[7] == 0, "{unknown}");
        }
        assert_eq!(answer(&[1, 2, 3], |_| None), None);
    }
}
