//! Base58 in the Bitcoin alphabet, for texts as short as keys.
//!
//! Quadratic, hence the limit on lengths.

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Longest text that is decoded; a did:key of 256 characters holds less.
const MAX_TEXT: usize = 256;

/// The text of `bytes`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|&&b| b == 0).count();
    // Little-endian digits in base 58.
    let mut digits: Vec<u8> = Vec::new();
    for &byte in bytes {
        let mut carry = u32::from(byte);
        for digit in &mut digits {
            carry = carry.wrapping_add(u32::from(*digit) << 8);
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let ones = std::iter::repeat_n('1', zeros);
    let rest = digits.iter().rev().filter_map(|&d| ALPHABET.get(usize::from(d)).map(|&c| char::from(c)));
    ones.chain(rest).collect()
}

/// The bytes of `text`. There is exactly one text for each byte string.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, &'static str> {
    if text.is_empty() {
        return Err("nothing follows the \"z\"");
    }
    if text.len() > MAX_TEXT {
        return Err("the text has more than 256 characters");
    }
    let ones = text.bytes().take_while(|&c| c == b'1').count();
    // Little-endian bytes.
    let mut bytes: Vec<u8> = Vec::new();
    for character in text.bytes() {
        let digit =
            ALPHABET.iter().position(|&c| c == character).ok_or("it has a character outside of base58")?;
        let mut carry = u32::try_from(digit).unwrap_or_default();
        for byte in &mut bytes {
            carry = carry.wrapping_add(u32::from(*byte).wrapping_mul(58));
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push((carry & 0xff) as u8);
            carry >>= 8;
        }
    }
    bytes.extend(std::iter::repeat_n(0, ones));
    bytes.reverse();
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(encode(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        assert_eq!(encode(&[0, 0, 0x28, 0x7f, 0xb4, 0xcd]), "11233QC4");
        assert_eq!(decode("11233QC4").unwrap(), [0, 0, 0x28, 0x7f, 0xb4, 0xcd]);
        for bad in ["", "0", "O", "I", "l", "é", "a b"] {
            assert!(decode(bad).is_err(), "{bad:?}");
        }
        assert!(decode(&"z".repeat(257)).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(bytes in prop::collection::vec(any::<u8>(), 1..80)) {
            prop_assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        }
    }
}
