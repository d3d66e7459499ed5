//! Round trips, and signatures that must not verify.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    missing_docs
)]

use p2pds_crypto::{Curve, DidKey, KeyError, PrivateKey, PublicKey, SignatureError, Signer};
use proptest::prelude::*;

const CURVES: [Curve; 2] = [Curve::K256, Curve::P256];

fn key(curve: Curve, seed: u8) -> PrivateKey {
    PrivateKey::from_entropy(curve, [seed; 32])
}

/// The order n of each curve, big endian.
fn order(curve: Curve) -> [u8; 32] {
    let hex: &[u8] = match curve {
        Curve::K256 => b"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        Curve::P256 => b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    };
    data_encoding::HEXLOWER.decode(hex).unwrap().try_into().unwrap()
}

/// `a - b` for big-endian numbers with `a >= b`.
fn subtract(a: &[u8; 32], b: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let mut borrow = 0_i32;
    for i in (0..32).rev() {
        let value = i32::from(a[i]) - i32::from(b[i]) - borrow;
        out[i] = value.rem_euclid(256) as u8;
        borrow = i32::from(value < 0);
    }
    out
}

#[test]
fn high_s_is_refused_on_both_curves() {
    for curve in CURVES {
        let key = key(curve, 1);
        let mut signature = key.sign(b"message").unwrap();
        assert_eq!(key.public_key().verify(b"message", &signature), Ok(()));
        let flipped = subtract(&order(curve), &signature[32..]);
        signature[32..].copy_from_slice(&flipped);
        assert_eq!(key.public_key().verify(b"message", &signature), Err(SignatureError::HighS), "{curve}");
    }
}

#[test]
fn numbers_out_of_range() {
    for curve in CURVES {
        let public = key(curve, 2).public_key();
        let good = key(curve, 2).sign(b"m").unwrap();
        assert_eq!(public.verify(b"m", &[0; 64]), refused_zero(&public));
        for (at, number) in [(0, order(curve)), (32, order(curve)), (0, [0xff; 32])] {
            let mut bad = good;
            bad[at..at + 32].copy_from_slice(&number);
            assert_eq!(public.verify(b"m", &bad), Err(SignatureError::Range(curve)), "{curve} at {at}");
        }
        for length in [0, 1, 63, 65, 72] {
            assert_eq!(public.verify(b"m", &vec![1; length]), Err(SignatureError::Length(length)));
        }
    }
}

/// Libraries differ in where they refuse zero; both refuse it.
fn refused_zero(public: &PublicKey) -> Result<(), SignatureError> {
    Err(match public.curve() {
        Curve::K256 => SignatureError::Mismatch(Curve::K256),
        Curve::P256 => SignatureError::Range(Curve::P256),
    })
}

#[test]
fn wrong_curve_and_wrong_key() {
    for curve in CURVES {
        let signature = key(curve, 3).sign(b"m").unwrap();
        for other in [key(Curve::K256, 4), key(Curve::P256, 4)] {
            assert!(other.public_key().verify(b"m", &signature).is_err());
        }
    }
}

#[test]
fn keys_that_cannot_be_read() {
    let good = key(Curve::K256, 5).public_key().to_did_key();
    let bare = good.strip_prefix("did:key:").unwrap();
    for bad in
        ["", "did:key:", "did:key:z", bare, "did:web:z6Mk", &good[..good.len() - 1], &format!("{good}1")]
    {
        assert!(PublicKey::from_did_key(bad).is_err(), "{bad:?}");
    }
    // Ed25519, from the did:key specification: well formed, and not ours.
    let ed25519 = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    assert!(DidKey::parse(ed25519).is_ok());
    assert_eq!(PublicKey::from_did_key(ed25519), Err(KeyError::UnsupportedType { prefix: [0xed, 0x01] }));
    // The order and zero are no private keys.
    for curve in CURVES {
        assert!(PrivateKey::from_bytes(curve, &order(curve)).is_err());
        assert!(PrivateKey::from_bytes(curve, &[0; 32]).is_err());
    }
}

#[test]
fn secrets_stay_secret() {
    let key = key(Curve::P256, 6);
    assert_eq!(format!("{key:?}"), "<private key>");
    let again = PrivateKey::from_bytes(Curve::P256, &key.to_secret_bytes()).unwrap();
    assert_eq!(again.public_key(), key.public_key());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn text_round_trip_and_signature(entropy: [u8; 32], message: Vec<u8>, flip in 0_usize..512) {
        for curve in CURVES {
            let key = PrivateKey::from_entropy(curve, entropy);
            let public = key.public_key();
            prop_assert_eq!(&PublicKey::from_did_key(&public.to_did_key()).unwrap(), &public);
            prop_assert_eq!(&PublicKey::from_multibase(&public.to_multibase()).unwrap(), &public);
            let mut signature = key.sign(&message).unwrap();
            prop_assert_eq!(public.verify(&message, &signature), Ok(()));
            signature[flip / 8] ^= 1 << (flip % 8);
            prop_assert!(public.verify(&message, &signature).is_err());
        }
    }
}
