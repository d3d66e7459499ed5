//! The layer of a key, and how many bytes two keys share.

use p2pds_ipld::Cid;

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
    let cid = Cid::of_raw(key);
    let mut bits: u32 = 0;
    for byte in cid.digest() {
        bits = bits.saturating_add(byte.leading_zeros());
        if *byte != 0 {
            break;
        }
    }
    u8::try_from(bits / 2).unwrap_or(u8::MAX)
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
