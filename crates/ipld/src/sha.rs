//! SHA-256 of a slice that is all there.
//!
//! The blocks of a repository are small (a key is one compression, a record four), so what the usual streaming
//! interface does around the compressions, buffer and state, is a quarter of the time. This calls the same compression
//! function on the bytes where they lie.

use sha2::block_api::compress256;

/// The fractional parts of the square roots of the first eight primes (FIPS 180-4, 5.3.3).
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// One SHA-256 pass.
#[must_use]
#[inline]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "hot: `rest` is shorter than 64 bytes, the tail has 128; a slice has less than 2^61 bytes"
)]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut state = START;
    let (blocks, rest) = bytes.as_chunks::<64>();
    if !blocks.is_empty() {
        compress256(&mut state, blocks);
    }
    let mut tail = [[0_u8; 64]; 2];
    let used = if rest.len() < 56 { 1 } else { 2 };
    let flat = tail.as_flattened_mut();
    flat[..rest.len()].copy_from_slice(rest);
    flat[rest.len()] = 0x80;
    flat[used * 64 - 8..used * 64].copy_from_slice(&(bytes.len() as u64 * 8).to_be_bytes());
    compress256(&mut state, &tail[..used]);
    let mut digest = [0; 32];
    for (out, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *out = word.to_be_bytes();
    }
    digest
}

/// The first eight bytes of the SHA-256 of a text of 55 bytes at most; `None` for a longer one. What the layer of a tree
/// key needs, in one compression.
#[must_use]
#[inline]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "hot: the length is checked first"
)]
pub fn sha256_front(bytes: &[u8]) -> Option<u64> {
    if bytes.len() > 55 {
        return None;
    }
    let mut block = [[0_u8; 64]];
    block[0][..bytes.len()].copy_from_slice(bytes);
    block[0][bytes.len()] = 0x80;
    block[0][56..].copy_from_slice(&(bytes.len() as u64 * 8).to_be_bytes());
    let mut state = START;
    compress256(&mut state, &block);
    Some(u64::from(state[0]) << 32 | u64::from(state[1]))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn equals_the_streaming_interface_at_every_length() {
        let bytes: Vec<u8> = (0..1000_u32).map(|i| (i * 31 % 251) as u8).collect();
        for end in 0..=bytes.len() {
            let whole = <[u8; 32]>::from(Sha256::digest(&bytes[..end]));
            assert_eq!(sha256(&bytes[..end]), whole, "{end} bytes");
            let front = whole.first_chunk().copied().map(u64::from_be_bytes);
            assert_eq!(sha256_front(&bytes[..end]), front.filter(|_| end <= 55), "{end} bytes");
        }
    }
}
