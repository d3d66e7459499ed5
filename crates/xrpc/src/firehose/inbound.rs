//! What a consumer may say: nothing but pings, pongs and goodbye (RFC 6455, section 5).
//!
//! Messages are passed over as long as they are few and small. Whatever breaks the protocol ends the socket.

use super::code;

/// Longest message that is passed over, whole or in fragments.
pub(super) const MOST_BYTES: usize = 4 * 1024;
/// Longest payload of a ping, pong or goodbye.
const MOST_CONTROL: usize = 125;

/// One frame of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// A ping, to be answered with the same bytes.
    Ping(Vec<u8>),
    /// An answer to a ping.
    Pong,
    /// Goodbye.
    Close,
    /// A message, or a piece of one: passed over.
    Message,
}

/// Reads frames out of bytes as they come.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// The beginning of a frame.
    held: Vec<u8>,
    /// Bytes of the message that fragments belong to.
    message: Option<usize>,
}

/// Header of a frame: its own length, that of what follows, the mask.
struct Header {
    first: u8,
    length: usize,
    payload: usize,
    mask: [u8; 4],
}

impl Inbound {
    /// Takes bytes in.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next frame, once all of it is there.
    ///
    /// # Errors
    /// The code to close with.
    pub(super) fn next(&mut self) -> Result<Option<Heard>, u16> {
        let Some(header) = header(&self.held)? else { return Ok(None) };
        self.check(&header)?;
        let end = header.length.saturating_add(header.payload);
        let Some(payload) = self.held.get(header.length..end) else { return Ok(None) };
        let heard = match header.first & 0x0f {
            0x9 => Heard::Ping(payload.iter().zip(header.mask.iter().cycle()).map(|(b, m)| b ^ m).collect()),
            0xa => Heard::Pong,
            0x8 => Heard::Close,
            _ => {
                let so_far = self.message.unwrap_or(0).saturating_add(header.payload);
                self.message = (header.first & 0x80 == 0).then_some(so_far);
                Heard::Message
            }
        };
        self.held.drain(..end);
        if self.held.is_empty() {
            // Most consumers never say anything again.
            self.held = Vec::new();
        }
        Ok(Some(heard))
    }

    fn check(&self, header: &Header) -> Result<(), u16> {
        let (opcode, last) = (header.first & 0x0f, header.first & 0x80 != 0);
        let known = match opcode {
            0x0 => self.message.is_some(),
            0x1 | 0x2 => self.message.is_none(),
            0x8..=0xa => last && header.payload <= MOST_CONTROL,
            _ => false,
        };
        // No extension was agreed on, so that nothing is compressed.
        if !known || header.first & 0x70 != 0 {
            return Err(code::PROTOCOL);
        }
        if self.message.unwrap_or(0).saturating_add(header.payload) > MOST_BYTES && opcode < 0x8 {
            return Err(code::TOO_BIG);
        }
        Ok(())
    }
}

fn header(held: &[u8]) -> Result<Option<Header>, u16> {
    let [first, second, rest @ ..] = held else { return Ok(None) };
    if second & 0x80 == 0 {
        return Err(code::PROTOCOL);
    }
    let (payload, rest) = match (second & 0x7f, rest) {
        (126, [a, b, rest @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), rest),
        (127, [a, b, c, d, e, f, g, h, rest @ ..]) => {
            (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), rest)
        }
        (126 | 127, _) => return Ok(None),
        (short, rest) => (u64::from(short), rest),
    };
    let payload = usize::try_from(payload).unwrap_or(usize::MAX);
    // A lie about the length is seen before its bytes are waited for.
    let Some((mask, rest)) = rest.split_first_chunk::<4>() else {
        return if payload > MOST_BYTES { Err(code::TOO_BIG) } else { Ok(None) };
    };
    Ok(Some(Header { first: *first, length: held.len().saturating_sub(rest.len()), payload, mask: *mask }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            n @ ..126 => out.push(0x80 | u8::try_from(n).unwrap()),
            n @ ..0x1_0000 => {
                out.push(0x80 | 126);
                out.extend(u16::try_from(n).unwrap().to_be_bytes());
            }
            n => {
                out.push(0x80 | 127);
                out.extend((n as u64).to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 4];
        out.extend(mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        out
    }

    /// Everything that is heard, in pieces of this size.
    fn heard(bytes: &[u8], piece: usize) -> Result<Vec<Heard>, u16> {
        let (mut inbound, mut all) = (Inbound::default(), Vec::new());
        for part in bytes.chunks(piece) {
            inbound.feed(part);
            assert!(inbound.held.len() <= MOST_BYTES + 14 + piece, "what is held is bounded");
            while let Some(one) = inbound.next()? {
                all.push(one);
            }
        }
        assert!(inbound.held.len() < bytes.len().max(1));
        Ok(all)
    }

    #[test]
    fn frames_are_heard_however_they_are_cut() {
        let all = [
            frame(0x89, b"are you there"),
            frame(0x8a, b""),
            frame(0x82, &[7; 300]),
            frame(0x01, b"a piece"),
            frame(0x89, b""),
            frame(0x80, b"and the rest"),
            frame(0x88, &[3, 232]),
        ]
        .concat();
        let expected = vec![
            Heard::Ping(b"are you there".to_vec()),
            Heard::Pong,
            Heard::Message,
            Heard::Message,
            Heard::Ping(Vec::new()),
            Heard::Message,
            Heard::Close,
        ];
        for piece in [1, 2, 3, 7, 64, 1_000] {
            assert_eq!(heard(&all, piece).unwrap(), expected, "{piece}");
        }
    }

    #[test]
    fn what_breaks_the_protocol_is_named() {
        let mut unmasked = frame(0x82, b"hello");
        unmasked[1] &= 0x7f;
        let fragments = |n: usize| {
            let mut all = frame(0x02, &[0; 1_000]);
            all.extend((1..n).flat_map(|_| frame(0x00, &[0; 1_000])));
            all
        };
        let cases = [
            ("unmasked", unmasked, code::PROTOCOL),
            ("compressed", frame(0xc2, b"x"), code::PROTOCOL),
            ("unknown", frame(0x83, b"x"), code::PROTOCOL),
            ("a long ping", frame(0x89, &[0; 126]), code::PROTOCOL),
            ("a ping in pieces", frame(0x09, b"x"), code::PROTOCOL),
            ("a rest without a beginning", frame(0x80, b"x"), code::PROTOCOL),
            ("two beginnings", [frame(0x01, b"x"), frame(0x01, b"x")].concat(), code::PROTOCOL),
            ("too long", frame(0x82, &[0; MOST_BYTES + 1]), code::TOO_BIG),
            ("too long in pieces", fragments(5), code::TOO_BIG),
            ("a lie", [vec![0x82, 0xff], vec![0xff; 8]].concat(), code::TOO_BIG),
        ];
        for (what, bytes, code) in cases {
            for piece in [1, 5, 10_000] {
                assert_eq!(heard(&bytes, piece), Err(code), "{what} in pieces of {piece}");
            }
        }
        assert_eq!(heard(&fragments(4), 100).unwrap().len(), 4);
    }
}
