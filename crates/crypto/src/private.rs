//! Private keys and whatever else can sign.

use std::fmt;

use p256::ecdsa::signature::hazmat::PrehashSigner;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{Curve, KeyError, PublicKey, SIGNATURE_LEN, SignError};

/// Something that signs with one key: a key in memory, a key file, a device, a service.
pub trait Signer: Send + Sync {
    /// The key that verifies what this signer signs.
    fn public_key(&self) -> PublicKey;

    /// Signs the SHA-256 of `message`: 64 bytes, low-S.
    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], SignError>;
}

/// A private key in memory.
///
/// It is wiped when dropped, `Debug` shows nothing of it, and it cannot be serialized by accident: the only way out is
/// [`PrivateKey::to_secret_bytes`].
pub struct PrivateKey {
    secret: Secret,
    public: PublicKey,
}

enum Secret {
    /// The library's own type is `Copy` and is not wiped, so it lives only while it signs.
    K256(Zeroizing<[u8; 32]>),
    P256(p256::ecdsa::SigningKey),
}

impl PrivateKey {
    /// A key from its 32 secret bytes, big endian. Zero and numbers not below the curve's order are refused.
    pub fn from_bytes(curve: Curve, bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let refused = || KeyError::NotASecret { curve };
        match curve {
            Curve::K256 => {
                let mut key = secp256k1::SecretKey::from_secret_bytes(*bytes).map_err(|_| refused())?;
                let public = PublicKey::from_k256(key.public_key());
                key.non_secure_erase();
                Ok(Self { secret: Secret::K256(Zeroizing::new(*bytes)), public })
            }
            Curve::P256 => {
                let key = p256::ecdsa::SigningKey::from_slice(bytes).map_err(|_| refused())?;
                let public = PublicKey::from_p256(*key.verifying_key());
                Ok(Self { secret: Secret::P256(key), public })
            }
        }
    }

    /// Parses `z...`, a private key with its multicodec prefix: how command-line tools print one for safekeeping.
    pub fn from_multibase(text: &str) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(crate::public::multibase(text)?);
        let too_short = KeyError::Encoding { problem: "the key is too short" };
        let (prefix, secret) = bytes.split_first_chunk::<2>().ok_or(too_short)?;
        let curve = [Curve::K256, Curve::P256]
            .into_iter()
            .find(|curve| curve.private_multicodec() == *prefix)
            .ok_or(KeyError::UnsupportedType { prefix: *prefix })?;
        let secret = <&[u8; 32]>::try_from(secret)
            .map_err(|_| KeyError::Encoding { problem: "a private key has 32 bytes" })?;
        Self::from_bytes(curve, secret)
    }

    /// A new key from 32 bytes of entropy, the same one for the same entropy.
    ///
    /// The entropy is hashed with a counter until the result is a valid key, so every input gives one.
    pub fn from_entropy(curve: Curve, entropy: [u8; 32]) -> Self {
        let entropy = Zeroizing::new(entropy);
        let mut counter = 0_u32;
        loop {
            let mut hash = Sha256::new();
            hash.update(b"p2pds private key");
            hash.update(curve.multicodec());
            hash.update(counter.to_be_bytes());
            hash.update(*entropy);
            let candidate = Zeroizing::new(<[u8; 32]>::from(hash.finalize()));
            if let Ok(key) = Self::from_bytes(curve, &candidate) {
                return key;
            }
            counter = counter.wrapping_add(1);
        }
    }

    /// The key's curve.
    pub fn curve(&self) -> Curve {
        self.public.curve()
    }

    /// `z...`, as other programs take a secret key: the curve's multicodec and the 32 bytes in base58, wiped when dropped.
    pub fn to_multibase(&self) -> Zeroizing<String> {
        let secret = self.to_secret_bytes();
        let bytes =
            Zeroizing::new([self.curve().private_multicodec().as_slice(), secret.as_slice()].concat());
        Zeroizing::new(format!("z{}", *Zeroizing::new(crate::base58::encode(&bytes))))
    }

    /// The 32 secret bytes, wiped when dropped. For writing key files; never log or serialize them.
    pub fn to_secret_bytes(&self) -> Zeroizing<[u8; 32]> {
        match &self.secret {
            Secret::K256(bytes) => bytes.clone(),
            Secret::P256(key) => Zeroizing::new(key.to_bytes().into()),
        }
    }
}

impl Signer for PrivateKey {
    fn public_key(&self) -> PublicKey {
        self.public.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], SignError> {
        let digest: [u8; 32] = Sha256::digest(message).into();
        let failed = |reason: String| SignError { reason };
        match &self.secret {
            Secret::K256(bytes) => {
                let mut key =
                    secp256k1::SecretKey::from_secret_bytes(**bytes).map_err(|e| failed(e.to_string()))?;
                // libsecp256k1 gives low-S signatures only.
                let signature = key.sign_ecdsa(secp256k1::Message::from_digest(digest));
                key.non_secure_erase();
                Ok(signature.serialize_compact())
            }
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    key.sign_prehash(&digest).map_err(|e| failed(e.to_string()))?;
                Ok(signature.normalize_s().to_bytes().into())
            }
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<private key>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multibase_of_private_keys() {
        // With these prefixes, 34 bytes begin with these letters in base58, which is how such keys are known by sight.
        for (curve, begins) in [(Curve::K256, "z3vL"), (Curve::P256, "z42t")] {
            let key = PrivateKey::from_entropy(curve, [3; 32]);
            let text = key.to_multibase();
            assert!(text.starts_with(begins), "{begins}");
            assert_eq!(PrivateKey::from_multibase(&text).unwrap().public_key(), key.public_key());
            assert!(PrivateKey::from_multibase(text.get(..text.len() - 1).unwrap()).is_err());
            assert!(PrivateKey::from_multibase(&key.public_key().to_multibase()).is_err(), "the public half");
        }
        assert!(PrivateKey::from_multibase("z").is_err() && PrivateKey::from_multibase("").is_err());
    }
}
