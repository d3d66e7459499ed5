//! Timestamp identifiers: record keys and revisions that sort by time.

use std::fmt;

use crate::SyntaxError;
use crate::newtype::text_conversions;

const WHAT: &str = "TID";
const ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
const CLOCK_BITS: u32 = 10;
const CLOCK_MASK: u64 = (1 << CLOCK_BITS) - 1;
const MAX_MICROS: u64 = (1 << 53) - 1;

/// A TID: 53 bits of microseconds since 1970 and 10 bits of clock identifier, written as 13 sortable characters.
///
/// Spec: <https://atproto.com/specs/tid>. The order of values is the order of their text. The top bit of the 64 is zero
/// as the specification's layout says, so a value also fits a signed integer; its regular expression would let through
/// eight more first characters, for which there is [`Tid::has_syntax`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tid(u64);

impl Tid {
    /// Length of the text, in bytes.
    pub const LEN: usize = 13;
    /// The smallest TID, `2222222222222`.
    pub const MIN: Self = Self(0);
    /// The largest TID, `bzzzzzzzzzzzz`.
    pub const MAX: Self = Self(u64::MAX >> 1);

    /// Parses the 13 characters.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let bytes: &[u8; Self::LEN] = text
            .as_bytes()
            .try_into()
            .map_err(|_| SyntaxError::new(WHAT, text, "it must have 13 characters"))?;
        let mut value = 0_u64;
        if let Some(at) = bytes.iter().position(|b| !matches!(b, b'2'..=b'7' | b'a'..=b'z')) {
            return Err(SyntaxError::at(WHAT, text, "only 2-7 and a-z are allowed", at));
        }
        if bytes.first().is_some_and(|&b| b > b'b') {
            return Err(SyntaxError::at(WHAT, text, "its first character must be 2-7, a or b", 0));
        }
        for &byte in bytes {
            let digit =
                if byte < b'a' { byte.wrapping_sub(b'2') } else { byte.wrapping_sub(b'a').wrapping_add(6) };
            value = (value << 5) | u64::from(digit);
        }
        Ok(Self(value))
    }

    /// Whether the text satisfies the specification's regular expression: [`Tid::parse`] accepts it, or its first
    /// character is one of `c` to `j`. For checking strings in records.
    pub fn has_syntax(text: &str) -> bool {
        text.len() == Self::LEN
            && matches!(text.as_bytes().first(), Some(b'2'..=b'7' | b'a'..=b'j'))
            && text.bytes().all(|b| matches!(b, b'2'..=b'7' | b'a'..=b'z'))
    }

    /// A TID from its 64-bit value. The top bit must be zero.
    pub fn from_u64(value: u64) -> Result<Self, SyntaxError> {
        if value > Self::MAX.0 {
            return Err(SyntaxError::new(WHAT, &format!("{value:#x}"), "its top bit must be zero"));
        }
        Ok(Self(value))
    }

    /// The 64-bit value; always below 2^63.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Builds a TID from microseconds since 1970 (at most 2^53 - 1, larger values are clamped) and the low ten bits of
    /// `clock_id`.
    pub const fn from_micros(micros: u64, clock_id: u16) -> Self {
        let micros = if micros > MAX_MICROS { MAX_MICROS } else { micros };
        Self((micros << CLOCK_BITS) | (clock_id as u64 & CLOCK_MASK))
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> u64 {
        self.0 >> CLOCK_BITS
    }

    /// The ten bits that tell apart clocks which tick at the same time.
    pub const fn clock_id(self) -> u16 {
        (self.0 & CLOCK_MASK) as u16
    }

    /// The next revision or record key: the time `now_micros` if that is later than `last`, one microsecond after `last`
    /// otherwise. The result is always greater than `last`; `None` if there is no such TID left, which means that
    /// `last` lies in the year 2255 and somebody lied.
    pub fn next_after(last: Option<Self>, now_micros: u64, clock_id: u16) -> Option<Self> {
        let candidate = Self::from_micros(now_micros, clock_id);
        match last {
            Some(last) if candidate <= last => {
                let micros = last.micros().checked_add(1).filter(|&m| m <= MAX_MICROS)?;
                Some(Self::from_micros(micros, clock_id))
            }
            _ => Some(candidate),
        }
    }

    /// The text as bytes, without allocating.
    pub fn encode(self) -> [u8; Self::LEN] {
        let mut out = [b'2'; Self::LEN];
        let mut rest = self.0;
        for slot in out.iter_mut().rev() {
            #[expect(clippy::indexing_slicing, reason = "a value masked to five bits is below 32")]
            {
                *slot = ALPHABET[(rest & 31) as usize];
            }
            rest >>= 5;
        }
        out
    }
}

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.encode() {
            fmt::Write::write_char(f, char::from(byte))?;
        }
        Ok(())
    }
}

text_conversions!(Tid);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(Tid::MIN.to_string(), "2222222222222");
        assert_eq!(Tid::MAX.to_string(), "bzzzzzzzzzzzz");
        assert!(Tid::parse("c222222222222").is_err() && Tid::has_syntax("jzzzzzzzzzzzz"));
        let tid = Tid::parse("3jzfcijpj2z2a").unwrap();
        assert_eq!((tid.micros(), tid.clock_id()), (1_688_137_381_887_007, 6));
        assert!(Tid::from_u64(1 << 63).is_err());
    }

    #[test]
    fn nothing_follows_the_last() {
        assert_eq!(Tid::next_after(Some(Tid::MAX), 0, 0), None);
        assert_eq!(Tid::next_after(None, 5, 3), Some(Tid::from_micros(5, 3)));
    }

    proptest! {
        #[test]
        fn round_trip(value in 0..=Tid::MAX.as_u64()) {
            let tid = Tid::from_u64(value).unwrap();
            prop_assert_eq!(Tid::parse(&tid.to_string()), Ok(tid));
            prop_assert_eq!(Tid::from_micros(tid.micros(), tid.clock_id()), tid);
        }

        #[test]
        fn text_order_is_value_order(a in 0..=Tid::MAX.as_u64(), b in 0..=Tid::MAX.as_u64()) {
            let (x, y) = (Tid::from_u64(a).unwrap(), Tid::from_u64(b).unwrap());
            prop_assert_eq!(x.to_string().cmp(&y.to_string()), a.cmp(&b));
        }

        #[test]
        fn strictly_increasing(times in prop::collection::vec((0_u64..1 << 52, 0_u16..2048), 1..50)) {
            let mut last: Option<Tid> = None;
            for (now, clock) in times {
                let next = Tid::next_after(last, now, clock).unwrap();
                prop_assert!(last.is_none_or(|l| l < next));
                last = Some(next);
            }
        }
    }
}
