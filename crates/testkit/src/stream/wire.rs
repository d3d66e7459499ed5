//! WebSocket by hand, server's side: whoever lies on the wire must not be held back by a library.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;

use data_encoding::BASE64;

/// Continuation of a message.
pub const CONTINUE: u8 = 0;
/// Text.
pub const TEXT: u8 = 1;
/// Binary.
pub const BINARY: u8 = 2;
/// Goodbye.
pub const CLOSE: u8 = 8;
/// Ping.
pub const PING: u8 = 9;
/// Pong.
pub const PONG: u8 = 10;
/// Last frame of its message.
pub const FIN: u8 = 0x80;

/// The head of a frame from server to client: first byte and a length that need not be true.
#[must_use]
pub fn head(first: u8, length: u64) -> Vec<u8> {
    let mut out = vec![first];
    match length {
        0..126 => out.push(length as u8),
        126..65536 => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out
}

/// A whole binary message.
#[must_use]
pub fn binary(payload: &[u8]) -> Vec<u8> {
    let mut out = head(FIN | BINARY, payload.len() as u64);
    out.extend_from_slice(payload);
    out
}

/// A goodbye with a code and a reason.
#[must_use]
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut out = head(FIN | CLOSE, 2 + reason.len() as u64);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
    out
}

/// The answer to the client's upgrade.
#[must_use]
pub fn accept(key: &str) -> String {
    let mut text = key.as_bytes().to_vec();
    text.extend_from_slice(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        BASE64.encode(&sha1(&text))
    )
}

/// Reads what the client says and answers its pings, until it is gone.
pub(super) fn listen(mut stream: TcpStream, line: &Mutex<TcpStream>) {
    let mut head = [0; 2];
    while stream.read_exact(&mut head).is_ok() {
        let length = usize::from(head[1] & 0x7f);
        // A client of such a stream sends control frames only: at most 125 bytes, masked.
        let mut rest = vec![0; length + 4];
        if length > 125 || stream.read_exact(&mut rest).is_err() {
            break;
        }
        let (mask, payload) = rest.split_at(4);
        let payload: Vec<u8> = payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
        let answer = match head[0] & 15 {
            PING => [self::head(FIN | PONG, payload.len() as u64), payload].concat(),
            CLOSE => close(1000, ""),
            _ => continue,
        };
        if line.lock().expect("not poisoned").write_all(&answer).is_err() || head[0] & 15 == CLOSE {
            break;
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

/// SHA-1, for the handshake alone.
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut words: Vec<u32> =
            block.chunks_exact(4).map(|w| u32::from_be_bytes([w[0], w[1], w[2], w[3]])).collect();
        for at in 16..80 {
            words.push((words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.iter().enumerate() {
            let (mixed, constant) = match at {
                0..20 => ((b & c) | (!b & d), 0x5a82_7999),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(mixed)
                .wrapping_add(e)
                .wrapping_add(constant)
                .wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut out = [0; 20];
    for (to, word) in out.chunks_exact_mut(4).zip(state) {
        to.copy_from_slice(&word.to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_is_that_of_the_standard() {
        // RFC 6455, section 1.3.
        assert!(accept("dGhlIHNhbXBsZSBub25jZQ==").contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }
}
