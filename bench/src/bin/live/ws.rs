//! A WebSocket client that reads text messages and nothing else.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;

pub struct Reader(BufReader<TcpStream>);

impl Reader {
    pub fn open(port: u16, path: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .expect("it reads");
        let mut reader = BufReader::with_capacity(1 << 16, stream);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            reader.read_exact(&mut byte).expect("an answer");
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        Self(reader)
    }

    /// The next message; `None` at the end.
    pub fn next(&mut self, into: &mut Vec<u8>) -> Option<()> {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).ok()?;
            let length = match head[1] {
                126 => {
                    let mut more = [0; 2];
                    self.0.read_exact(&mut more).ok()?;
                    u64::from(u16::from_be_bytes(more))
                }
                127 => {
                    let mut more = [0; 8];
                    self.0.read_exact(&mut more).ok()?;
                    u64::from_be_bytes(more)
                }
                short => u64::from(short),
            };
            into.resize(length as usize, 0);
            self.0.read_exact(into).ok()?;
            match head[0] & 15 {
                1 => return Some(()),
                8 => return None,
                _ => {}
            }
        }
    }
}
