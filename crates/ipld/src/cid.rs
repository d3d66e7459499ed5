//! Content identifiers, the DASL subset: CIDv1, `raw` or `dag-cbor`, SHA-256.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use p2pds_syntax::ErrorKind;

use crate::sha::sha256;

/// What the bytes behind a CID are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// `0x55`: plain bytes; blobs.
    Raw,
    /// `0x71`: strict DRISL/DAG-CBOR; records, tree nodes, commits.
    DagCbor,
}

impl Codec {
    /// The multicodec code, one byte on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Raw => 0x55,
            Self::DagCbor => 0x71,
        }
    }
}

/// Why bytes or text are not a DASL CID.
///
/// Such a CID may still stand inside a record that others wrote; the codec keeps it there as an odd link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidError {
    /// Not 36 bytes.
    #[error("a CID has 36 bytes, this one has {0}")]
    Length(usize),
    /// The first byte is not 1: CIDv0 or something else.
    #[error("not a version 1 CID (first byte 0x{0:02x})")]
    Version(u8),
    /// A codec other than raw and dag-cbor.
    #[error("unknown CID codec 0x{0:02x}: only raw (0x55) and dag-cbor (0x71) are used")]
    Codec(u8),
    /// A hash other than 32 bytes of SHA-256.
    #[error("unknown CID hash 0x{0:02x} with length {1}: only SHA-256 with 32 bytes is used")]
    Hash(u8, u8),
    /// Text that is not `b` and lower-case base32 without padding.
    #[error("not the text of a CID: it starts with `b` and goes on with 58 characters a-z, 2-7")]
    Text,
}

impl CidError {
    /// Always `Invalid`.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Length of a CID in its binary form.
pub const CID_LEN: usize = 36;

/// A DASL CID: version 1, raw or dag-cbor, SHA-256 with 32 bytes.
///
/// Order is that of the binary form. `Hash` feeds the whole digest: CIDs that nobody has hashed (those of blobs, say) are
/// chosen by whoever wrote them, and a part of the digest would let them all fall into one slot of a map.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cid {
    codec: Codec,
    digest: [u8; 32],
}

impl Cid {
    /// A CID from a digest that is known already.
    #[must_use]
    pub const fn new(codec: Codec, digest: [u8; 32]) -> Self {
        Self { codec, digest }
    }

    /// The CID of these bytes (hashes them).
    #[must_use]
    pub fn of(codec: Codec, bytes: &[u8]) -> Self {
        Self { codec, digest: sha256(bytes) }
    }

    /// The CID of a DAG-CBOR block (hashes it; does not check that it is DAG-CBOR).
    #[must_use]
    pub fn of_cbor(bytes: &[u8]) -> Self {
        Self::of(Codec::DagCbor, bytes)
    }

    /// The CID of a blob (hashes it).
    #[must_use]
    pub fn of_raw(bytes: &[u8]) -> Self {
        Self::of(Codec::Raw, bytes)
    }

    /// The 36 bytes: `01 codec 12 20 digest`.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; CID_LEN] {
        let mut out = [0u8; CID_LEN];
        let (head, digest) = out.split_at_mut(4);
        head.copy_from_slice(&[1, self.codec.code(), 0x12, 0x20]);
        digest.copy_from_slice(&self.digest);
        out
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// Anything but exactly 36 bytes of version 1, raw or dag-cbor, SHA-256 with 32 bytes.
    #[inline]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CidError> {
        let Ok(bytes) = <&[u8; CID_LEN]>::try_from(bytes) else {
            return Err(Self::odd(bytes));
        };
        let Some((head, digest)) = bytes.split_first_chunk::<4>() else {
            return Err(CidError::Length(bytes.len()));
        };
        let codec = match head {
            [1, 0x71, 0x12, 0x20] => Codec::DagCbor,
            [1, 0x55, 0x12, 0x20] => Codec::Raw,
            _ => return Err(Self::odd(bytes)),
        };
        let Ok(digest) = <[u8; 32]>::try_from(digest) else {
            return Err(CidError::Length(bytes.len()));
        };
        Ok(Self { codec, digest })
    }

    /// Says what is wrong with bytes that are no DASL CID.
    #[cold]
    fn odd(bytes: &[u8]) -> CidError {
        match *bytes {
            [first, ..] if first != 1 => CidError::Version(first),
            [_, codec, ..] if codec != 0x55 && codec != 0x71 => CidError::Codec(codec),
            [_, _, hash, length, ..] if (hash, length) != (0x12, 0x20) => CidError::Hash(hash, length),
            _ => CidError::Length(bytes.len()),
        }
    }

    /// What the bytes are.
    #[must_use]
    #[inline]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The SHA-256 digest.
    #[must_use]
    #[inline]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The first four bytes of the digest: what buckets keep of a CID.
    #[must_use]
    #[inline]
    pub const fn prefix4(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.digest;
        [a, b, c, d]
    }

    /// Whether these bytes hash to this CID.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.digest == sha256(bytes)
    }
}

impl Hash for Cid {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.digest);
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 58];
        BASE32_NOPAD.encode_mut(&self.to_bytes(), &mut text);
        text.make_ascii_lowercase();
        f.write_str("b")?;
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Cid {
    type Err = CidError;

    fn from_str(text: &str) -> Result<Self, CidError> {
        let mut upper = match text.as_bytes() {
            [b'b', rest @ ..] => <[u8; 58]>::try_from(rest).map_err(|_| CidError::Text)?,
            _ => return Err(CidError::Text),
        };
        if upper.iter().any(u8::is_ascii_uppercase) {
            return Err(CidError::Text);
        }
        upper.make_ascii_uppercase();
        let mut bytes = [0u8; CID_LEN];
        // Refuses non-zero trailing bits, so every CID has one text.
        match BASE32_NOPAD.decode_mut(&upper, &mut bytes) {
            Ok(CID_LEN) => Self::from_bytes(&bytes),
            _ => Err(CidError::Text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_round_trip() {
        let cid = Cid::of_cbor(b"\xa0");
        assert_eq!(cid.to_string(), "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua");
        assert_eq!(cid.to_string().parse::<Cid>(), Ok(cid));
        assert_eq!(Cid::from_bytes(&cid.to_bytes()), Ok(cid));
        assert!(cid.matches(b"\xa0"));
        assert!(!cid.matches(b"\xa1"));
        assert_eq!(cid.prefix4(), cid.digest()[..4]);
    }

    #[test]
    fn chosen_digests_do_not_share_a_slot() {
        use std::hash::BuildHasher;
        let keyed = std::hash::RandomState::new();
        let mut seen = std::collections::HashSet::new();
        // Whatever part of the digest stays the same, the rest tells them apart.
        for at in 0..32 {
            for byte in 1..=8 {
                let mut digest = [0; 32];
                digest[at] = byte;
                assert!(seen.insert(keyed.hash_one(Cid::new(Codec::Raw, digest))), "byte {at}");
            }
        }
    }

    #[test]
    fn order_is_that_of_the_bytes() {
        let mut cids: Vec<Cid> =
            (0u8..40).map(|i| Cid::of(if i % 3 == 0 { Codec::Raw } else { Codec::DagCbor }, &[i])).collect();
        let mut by_bytes = cids.clone();
        cids.sort();
        by_bytes.sort_by_key(Cid::to_bytes);
        assert_eq!(cids, by_bytes);
    }

    #[test]
    fn odd_cids_are_refused_with_their_reason() {
        let good = Cid::of_cbor(b"x").to_bytes();
        let with = |at: usize, byte: u8| {
            let mut bytes = good;
            bytes[at] = byte;
            Cid::from_bytes(&bytes)
        };
        assert_eq!(with(0, 0x12), Err(CidError::Version(0x12)));
        assert_eq!(with(1, 0x70), Err(CidError::Codec(0x70)));
        assert_eq!(with(2, 0x1e), Err(CidError::Hash(0x1e, 0x20)));
        assert_eq!(with(3, 0x1f), Err(CidError::Hash(0x12, 0x1f)));
        assert_eq!(Cid::from_bytes(&good[..35]), Err(CidError::Length(35)));
        assert_eq!(Cid::from_bytes(&[]), Err(CidError::Length(0)));
        let text = Cid::of_cbor(b"x").to_string();
        assert_eq!(text.to_uppercase().parse::<Cid>(), Err(CidError::Text));
        assert_eq!(format!("{text}a").parse::<Cid>(), Err(CidError::Text));
        assert_eq!(format!(" {}", &text[1..]).parse::<Cid>(), Err(CidError::Text));
    }
}
