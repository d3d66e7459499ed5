//! Public keys: reading, writing, verifying.

use std::fmt;
use std::hash::{Hash, Hasher};

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha256};

use crate::{Curve, KeyError, SIGNATURE_LEN, SignatureError, base58};

/// A public key on one of the two curves, parsed once.
///
/// Two keys are equal if they are the same point of the same curve, however they were written.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Point);

#[derive(Clone, PartialEq, Eq)]
enum Point {
    K256(secp256k1::PublicKey),
    P256(p256::ecdsa::VerifyingKey),
}

impl PublicKey {
    /// Parses `did:key:z...`, the form of PLC operations and service tokens.
    pub fn from_did_key(text: &str) -> Result<Self, KeyError> {
        Self::from_multicodec(&DidKey::parse(text)?.0)
    }

    /// Parses `z...`, the form of `publicKeyMultibase` in DID documents with type `Multikey`.
    pub fn from_multibase(text: &str) -> Result<Self, KeyError> {
        Self::from_multicodec(&multibase(text)?)
    }

    /// Parses the `z...` of older DID documents, where the type of the verification method tells the curve
    /// (`EcdsaSecp256k1VerificationKey2019`, `EcdsaSecp256r1VerificationKey2019`) and the bytes are the bare point,
    /// compressed or not.
    pub fn from_legacy_multibase(curve: Curve, text: &str) -> Result<Self, KeyError> {
        Self::from_sec1(curve, &multibase(text)?)
    }

    fn from_multicodec(bytes: &[u8]) -> Result<Self, KeyError> {
        let (prefix, point) =
            bytes.split_first_chunk::<2>().ok_or(KeyError::Encoding { problem: "the key is too short" })?;
        let curve = [Curve::K256, Curve::P256]
            .into_iter()
            .find(|c| c.multicodec() == *prefix)
            .ok_or(KeyError::UnsupportedType { prefix: *prefix })?;
        if point.len() != 33 {
            return Err(KeyError::NotOnCurve { curve });
        }
        Self::from_sec1(curve, point)
    }

    /// A point in SEC1 form, compressed (33 bytes) or uncompressed (65 bytes, starting with 4).
    pub(crate) fn from_sec1(curve: Curve, bytes: &[u8]) -> Result<Self, KeyError> {
        // libsecp256k1 also reads "hybrid" points; nobody writes them, so nobody reads them here.
        if !matches!((bytes.len(), bytes.first()), (33, Some(2 | 3)) | (65, Some(4))) {
            return Err(KeyError::NotOnCurve { curve });
        }
        let off_curve = KeyError::NotOnCurve { curve };
        let point = match curve {
            Curve::K256 => secp256k1::PublicKey::from_slice(bytes).ok().map(Point::K256),
            Curve::P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).ok().map(Point::P256),
        };
        point.map(Self).ok_or(off_curve)
    }

    pub(crate) fn from_k256(key: secp256k1::PublicKey) -> Self {
        Self(Point::K256(key))
    }

    pub(crate) fn from_p256(key: p256::ecdsa::VerifyingKey) -> Self {
        Self(Point::P256(key))
    }

    /// The key's curve.
    pub fn curve(&self) -> Curve {
        match self.0 {
            Point::K256(_) => Curve::K256,
            Point::P256(_) => Curve::P256,
        }
    }

    /// The compressed SEC1 point, 33 bytes.
    pub fn to_sec1(&self) -> [u8; 33] {
        match &self.0 {
            Point::K256(key) => key.serialize(),
            Point::P256(key) => {
                let mut out = [0; 33];
                let point = key.to_sec1_point(true);
                for (to, from) in out.iter_mut().zip(point.as_bytes()) {
                    *to = *from;
                }
                out
            }
        }
    }

    /// The uncompressed SEC1 point: 4, x, y.
    pub(crate) fn to_uncompressed(&self) -> Vec<u8> {
        match &self.0 {
            Point::K256(key) => key.serialize_uncompressed().to_vec(),
            Point::P256(key) => key.to_sec1_point(false).as_bytes().to_vec(),
        }
    }

    /// `z...`, as `publicKeyMultibase` of a `Multikey`.
    pub fn to_multibase(&self) -> String {
        let mut bytes = self.curve().multicodec().to_vec();
        bytes.extend_from_slice(&self.to_sec1());
        format!("z{}", base58::encode(&bytes))
    }

    /// `did:key:z...`.
    pub fn to_did_key(&self) -> String {
        format!("did:key:{}", self.to_multibase())
    }

    /// Checks that `signature` is this key's 64-byte, low-S ECDSA signature over the SHA-256 of `message`.
    ///
    /// Anything else is refused, DER and high-S forms of otherwise good signatures included, so that nobody can turn one
    /// valid signature into another. Spec: <https://atproto.com/specs/cryptography>.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let digest: [u8; 32] = Sha256::digest(message).into();
        self.verify_digest(&digest, signature)
    }

    /// Like [`PublicKey::verify`], and a signature whose `s` is high counts as the one with the low `s`: for tokens only,
    /// which the reference verifies so. Never for what is stored under the hash of its bytes.
    pub(crate) fn verify_malleable(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        if signature.len() != SIGNATURE_LEN {
            return Err(SignatureError::Length(signature.len()));
        }
        match self.curve() {
            Curve::K256 => {
                let mut parsed = secp256k1::ecdsa::Signature::from_compact(signature)
                    .map_err(|_| SignatureError::Range(Curve::K256))?;
                parsed.normalize_s();
                self.verify(message, &parsed.serialize_compact())
            }
            Curve::P256 => {
                let parsed = p256::ecdsa::Signature::from_slice(signature)
                    .map_err(|_| SignatureError::Range(Curve::P256))?;
                self.verify(message, &parsed.normalize_s().to_bytes())
            }
        }
    }

    /// Like [`PublicKey::verify`], for a message whose SHA-256 is known already.
    pub fn verify_digest(&self, digest: &[u8; 32], signature: &[u8]) -> Result<(), SignatureError> {
        if signature.len() != SIGNATURE_LEN {
            return Err(SignatureError::Length(signature.len()));
        }
        match &self.0 {
            Point::K256(key) => verify_k256(key, digest, signature),
            Point::P256(key) => verify_p256(key, digest, signature),
        }
    }
}

fn verify_k256(
    key: &secp256k1::PublicKey,
    digest: &[u8; 32],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let signature = secp256k1::ecdsa::Signature::from_compact(signature)
        .map_err(|_| SignatureError::Range(Curve::K256))?;
    let mut low = signature;
    low.normalize_s();
    if low != signature {
        return Err(SignatureError::HighS);
    }
    let message = secp256k1::Message::from_digest(*digest);
    secp256k1::ecdsa::verify(&signature, message, key).map_err(|_| SignatureError::Mismatch(Curve::K256))
}

fn verify_p256(
    key: &p256::ecdsa::VerifyingKey,
    digest: &[u8; 32],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let signature =
        p256::ecdsa::Signature::from_slice(signature).map_err(|_| SignatureError::Range(Curve::P256))?;
    if signature.normalize_s() != signature {
        return Err(SignatureError::HighS);
    }
    key.verify_prehash(digest, &signature).map_err(|_| SignatureError::Mismatch(Curve::P256))
}

pub(crate) fn multibase(text: &str) -> Result<Vec<u8>, KeyError> {
    let rest =
        text.strip_prefix('z').ok_or(KeyError::Encoding { problem: "it does not start with \"z\"" })?;
    base58::decode(rest).map_err(|problem| KeyError::Encoding { problem })
}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.curve().hash(state);
        self.to_sec1().hash(state);
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_did_key())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A well-formed `did:key` of any key type, as verification methods of PLC operations may name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DidKey(Vec<u8>);

impl DidKey {
    /// Parses the text without asking what type the key has.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let multibase_text = text
            .strip_prefix("did:key:")
            .ok_or_else(|| KeyError::NotDidKey { start: text.chars().take(16).collect() })?;
        multibase(multibase_text).map(Self)
    }

    /// The key, if it is of a type that can sign here.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_multicodec(&self.0)
    }
}
