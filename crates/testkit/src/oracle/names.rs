//! A name server for handles that exist nowhere else: TXT `_atproto.HANDLE`, nothing more.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;

/// The server; it ends when dropped.
#[derive(Debug)]
pub struct Names {
    address: SocketAddr,
    table: Arc<Mutex<BTreeMap<String, String>>>,
    stop: Arc<AtomicBool>,
}

impl Names {
    /// Listens on a free UDP port of 127.0.0.1.
    ///
    /// # Errors
    /// No socket.
    pub fn start() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let names = Self { address: socket.local_addr()?, table: Arc::default(), stop: Arc::default() };
        let (table, stop) = (Arc::clone(&names.table), Arc::clone(&names.stop));
        std::thread::spawn(move || {
            let mut packet = [0_u8; 1500];
            while !stop.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut packet) else { continue };
                let table = table.lock().expect("not poisoned");
                if let Some(answer) = answer(&packet[..len], &table) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Ok(names)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets a handle point to a DID.
    pub fn set(&self, handle: &str, did: &str) {
        let name = format!("_atproto.{handle}").to_ascii_lowercase();
        self.table.lock().expect("not poisoned").insert(name, format!("did={did}"));
    }

    /// Forgets a handle.
    pub fn remove(&self, handle: &str) {
        self.table.lock().expect("not poisoned").remove(&format!("_atproto.{handle}").to_ascii_lowercase());
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Answers one question (RFC 1035): TXT from the table, NXDOMAIN for unknown names, empty for other types.
fn answer(query: &[u8], table: &BTreeMap<String, String>) -> Option<Vec<u8>> {
    if query.len() < 17 {
        return None;
    }
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let len = usize::from(*query.get(at)?);
        at += 1;
        if len == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + len)?).to_ascii_lowercase());
        at += len;
    }
    let question = query.get(12..at + 4)?;
    let is_txt = query.get(at..at + 2)? == [0, 16];
    let found = table.get(&labels.join("."));
    let text = found.filter(|_| is_txt);
    let mut out = query[..2].to_vec();
    out.extend([0x85, if found.is_some() { 0x80 } else { 0x83 }]);
    out.extend([0, 1, 0, u8::from(text.is_some()), 0, 0, 0, 0]);
    out.extend_from_slice(question);
    if let Some(text) = text {
        let len = u8::try_from(text.len()).ok()?;
        out.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0]);
        out.extend(u16::from(len).checked_add(1)?.to_be_bytes());
        out.push(len);
        out.extend_from_slice(text.as_bytes());
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: u8) -> Vec<u8> {
        let mut out = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            out.push(u8::try_from(label.len()).unwrap());
            out.extend_from_slice(label.as_bytes());
        }
        out.extend([0, 0, kind, 0, 1]);
        out
    }

    #[test]
    fn known_handles_are_answered_and_others_do_not_exist() {
        let names = Names::start().unwrap();
        names.set("alice.test", "did:plc:x");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let ask = |name: &str, kind| {
            socket.send_to(&query(name, kind), names.address()).unwrap();
            let mut buffer = [0; 512];
            let len = socket.recv(&mut buffer).unwrap();
            buffer[..len].to_vec()
        };
        let found = ask("_atproto.Alice.test", 16);
        assert!(found.ends_with(b"\x0ddid=did:plc:x") && found[..2] == [7, 9] && found[3] == 0x80);
        assert_eq!(ask("_atproto.alice.test", 1)[7], 0, "no address record");
        assert_eq!(ask("_atproto.bob.test", 16)[3], 0x83);
    }
}
