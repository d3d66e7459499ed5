//! A secret key as it is shown: for paper, and for programs.

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

/// What stands before the secret half of a K-256 key: its multicodec.
const K256: [u8; 2] = [0x81, 0x26];
const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Groups of four, so that it can be written down.
pub(super) fn in_groups(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// The K-256 key of these hexadecimal digits as `z...`, which is how other programs take one.
pub(super) fn multibase(secret: &str) -> Option<Zeroizing<String>> {
    let secret = Zeroizing::new(HEXLOWER.decode(secret.as_bytes()).ok()?);
    let bytes = Zeroizing::new([K256.as_slice(), &secret].concat());
    // Digits in base 58, the lowest first. The first byte is not 0, so nothing stands before the first digit.
    let mut digits: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(64));
    for &byte in bytes.iter() {
        let mut carry = u32::from(byte);
        for digit in digits.iter_mut() {
            carry = carry.wrapping_add(u32::from(*digit) << 8);
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let letter = |digit: &u8| ALPHABET.get(usize::from(*digit)).map(|letter| char::from(*letter));
    let text: String = digits.iter().rev().filter_map(letter).collect();
    Some(Zeroizing::new(format!("z{text}")))
}
