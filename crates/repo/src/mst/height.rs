//! The layer of a key, and how many bytes two keys share.

use p2pds_ipld::{sha256, sha256_front};

/// Deepest layer we accept in any tree.
///
/// A key of layer 32 needs 64 leading zero bits in its SHA-256: nobody mines that. The specification
/// gives no number; without one a chain of empty nodes would be a cheap way to exhaust a reader.
pub const MAX_LAYER: u8 = 32;

/// Layer of `key`: half the number of leading zero bits of its SHA-256, rounded down (fanout 4).
///
/// Layer 0 is the bottom of the tree. The result is at most 128.
#[must_use]
pub fn height(key: &[u8]) -> u8 {
    let bits = match sha256_front(key) {
        Some(front) if front != 0 => front.leading_zeros(),
        _ => leading_zeros(&sha256(key)),
    };
    u8::try_from(bits / 2).unwrap_or(u8::MAX)
}

/// Of a long key, or one with more zeros than anybody will ever see.
#[cold]
fn leading_zeros(digest: &[u8; 32]) -> u32 {
    let mut bits: u32 = 0;
    for byte in digest {
        bits = bits.saturating_add(byte.leading_zeros());
        if *byte != 0 {
            break;
        }
    }
    bits
}

/// Number of bytes that `a` and `b` have in common at their start.
#[must_use]
pub fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let mut n: usize = 0;
    let (a8, b8) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    for (x, y) in a8.iter().zip(b8) {
        let differ = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differ != 0 {
            return n.saturating_add((differ.trailing_zeros() / 8) as usize);
        }
        n = n.saturating_add(8);
    }
    let (a, b) = (a.get(n..).unwrap_or_default(), b.get(n..).unwrap_or_default());
    n.saturating_add(a.iter().zip(b).take_while(|(x, y)| x == y).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_of_known_keys() {
        for (key, want) in [("", 0), ("blue", 1), ("2a92d355", 4), ("app.bsky.feed.post/9adeb165882c", 8)] {
            assert_eq!(height(key.as_bytes()), want, "{key}");
        }
    }

    #[test]
    fn zeros_of_a_digest() {
        assert_eq!(leading_zeros(&[0; 32]), 256);
        let mut digest = [0; 32];
        digest[9] = 0x10;
        assert_eq!(leading_zeros(&digest), 75);
        for n in 0..2000_u32 {
            // Both ways to the same layer: a long key goes the other one.
            let key = format!("com.example.a/{n}");
            assert_eq!(u32::from(height(key.as_bytes())), leading_zeros(&sha256(key.as_bytes())) / 2);
        }
    }

    #[test]
    fn shared_bytes_across_chunk_borders() {
        let a = b"app.bsky.feed.post/3lhahg7a2rf2a";
        for cut in 0..a.len() {
            let mut b = a.to_vec();
            b[cut] ^= 1;
            assert_eq!(common_prefix(a, &b), cut);
            assert_eq!(common_prefix(a, &a[..cut]), cut);
        }
        assert_eq!(common_prefix(a, a), a.len());
    }
}
