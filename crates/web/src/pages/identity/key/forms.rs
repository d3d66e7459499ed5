//! A secret key as it is shown: for paper, and for programs.

use data_encoding::HEXLOWER;
use p2pds_crypto::{Curve, PrivateKey};
use zeroize::Zeroizing;

/// Groups of four, so that it can be written down.
pub(super) fn in_groups(secret: &str) -> String {
    let letters: Vec<char> = secret.chars().collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// The K-256 key of these hexadecimal digits as `z...`, which is how other programs take one.
pub(super) fn multibase(secret: &str) -> Option<Zeroizing<String>> {
    let bytes = Zeroizing::new(HEXLOWER.decode(secret.as_bytes()).ok()?);
    let bytes: &[u8; 32] = bytes.as_slice().try_into().ok()?;
    Some(PrivateKey::from_bytes(Curve::K256, bytes).ok()?.to_multibase())
}
