//! Project Wycheproof's signatures of both curves: what it calls invalid never verifies, and what it calls valid does,
//! when its `s` is low (high ones are malleable, and the protocol refuses them).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    missing_docs
)]

use p2pds_crypto::{Curve, PublicKey, SignatureError};
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName, TestSet};

/// Base58, big endian.
fn base58(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut digits = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = u8::try_from(carry % 58).unwrap();
            carry /= 58;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 58).unwrap());
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = digits.iter().rev().map(|digit| char::from(DIGITS[usize::from(*digit)]));
    std::iter::repeat_n('1', zeros).chain(digits).collect()
}

#[test]
fn valid_is_valid_and_invalid_is_not() {
    for (name, curve) in [
        (TestName::EcdsaSecp256k1Sha256P1363, Curve::K256),
        (TestName::EcdsaSecp256r1Sha256P1363, Curve::P256),
    ] {
        let set = TestSet::load(name).unwrap();
        let (mut good, mut high, mut bad) = (0, 0, 0);
        for group in set.test_groups {
            // The form of older documents takes a bare point.
            let key = format!("z{}", base58(&group.key.key));
            let key = PublicKey::from_legacy_multibase(curve, &key).unwrap();
            for test in group.tests {
                let place = format!("{curve} {}: {}", test.tc_id, test.comment);
                match (test.result, key.verify(&test.msg, &test.sig)) {
                    (TestResult::Valid, Ok(())) => good += 1,
                    (TestResult::Valid, Err(SignatureError::HighS)) => high += 1,
                    (TestResult::Invalid, Err(_)) => bad += 1,
                    (wanted, found) => panic!("{place}: {wanted:?}, and we say {found:?}"),
                }
            }
        }
        assert!(
            good > 50 && high > 20 && bad > 80,
            "{curve}: {good} valid, {high} with a high s, {bad} invalid"
        );
    }
}
