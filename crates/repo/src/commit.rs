//! Commits: the signed block that names an account, a revision and a root.
//!
//! Canonical form, keys in DRISL order (the signature covers the same map without `sig`):
//!
//! ```text
//! { did, rev, sig: 64 bytes, data: link, prev: null, version: 3 }
//! ```

use std::str::FromStr;

use p2pds_crypto::{PublicKey, SIGNATURE_LEN, SignError, SignatureError, Signer};
use p2pds_ipld::cbor::{self, Limits, Reader, Value};
use p2pds_ipld::{CborError, Cid, Codec};
use p2pds_syntax::{Did, ErrorKind, Tid};

/// The repository format that is read and written.
pub const VERSION: i64 = 3;

/// Longest commit block that is read: the longest DID is 2 kB.
const MAX_LEN: usize = 8192;

/// Why a block is not a commit, or not one of this account.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Not strict DRISL.
    #[error("the commit block cannot be read: {0}")]
    Cbor(#[from] CborError),
    /// Too long for a commit.
    #[error("the commit block has {0} bytes, at most {MAX_LEN} are read")]
    TooLong(usize),
    /// A field is missing or not what it must be.
    #[error("the commit's field `{field}` is missing or not {expected}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Signature does not verify.
    #[error("the commit {rev} of {did} is not signed by the key {key}: {source}")]
    Signature {
        /// Account in the commit.
        did: Did,
        /// Revision of the commit.
        rev: Tid,
        /// Key that was tried, as did:key.
        key: String,
        /// What the check said.
        source: SignatureError,
    },
    /// The signer failed.
    #[error("the commit could not be signed: {0}")]
    Sign(#[from] SignError),
}

impl CommitError {
    /// Kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            CommitError::Sign(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

/// A commit that nobody has signed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// Account.
    pub did: Did,
    /// Revision; greater than that of every commit before.
    pub rev: Tid,
    /// Root of the tree.
    pub data: Cid,
}

impl Unsigned {
    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self, None)
    }

    /// Signs it.
    ///
    /// # Errors
    /// What the signer says.
    pub fn sign(self, signer: &dyn Signer) -> Result<Commit, CommitError> {
        let sig = signer.sign(&self.encode())?;
        Ok(Commit { did: self.did, rev: self.rev, data: self.data, sig, raw: None })
    }
}

/// A signed commit. That the signature is good is for [`Commit::verify`] to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Account.
    pub did: Did,
    /// Revision.
    pub rev: Tid,
    /// Root of the tree.
    pub data: Cid,
    /// The signature, `r` and `s`.
    pub sig: [u8; SIGNATURE_LEN],
    /// The block as it was, when it is not the canonical form of the fields above: a `prev` that is not null
    /// or not there, or fields that we do not know.
    pub raw: Option<Vec<u8>>,
}

impl Commit {
    /// Reads a commit block.
    ///
    /// # Errors
    /// [`CommitError`]: not strict DRISL, a field missing or of another type, a version other than 3.
    pub fn decode(bytes: &[u8]) -> Result<Self, CommitError> {
        if bytes.len() > MAX_LEN {
            return Err(CommitError::TooLong(bytes.len()));
        }
        if let Some(commit) = usual(bytes) {
            return Ok(commit);
        }
        let map = cbor::decode(bytes, &Limits::STRICT)?;
        let wrong = |field, expected| CommitError::Field { field, expected };
        if map.get("version") != Some(&Value::Int(VERSION)) {
            return Err(wrong("version", "the number 3"));
        }
        if !matches!(map.get("prev"), None | Some(Value::Null | Value::Link(_))) {
            return Err(wrong("prev", "null or a link"));
        }
        let did = map.get("did").and_then(Value::as_text).and_then(|text| Did::from_str(text).ok());
        let rev = map.get("rev").and_then(Value::as_text).and_then(|text| Tid::parse(text).ok());
        let data = match map.get("data") {
            Some(Value::Link(cid)) if cid.codec() == Codec::DagCbor => Some(*cid),
            _ => None,
        };
        let sig = map
            .get("sig")
            .and_then(Value::as_bytes)
            .and_then(|sig| <[u8; SIGNATURE_LEN]>::try_from(sig).ok());
        Ok(Self {
            did: did.ok_or(wrong("did", "a DID"))?,
            rev: rev.ok_or(wrong("rev", "a TID"))?,
            data: data.ok_or(wrong("data", "a link to a tree node"))?,
            sig: sig.ok_or(wrong("sig", "64 bytes"))?,
            raw: Some(bytes.to_vec()),
        })
    }

    /// The block.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match &self.raw {
            Some(raw) => raw.clone(),
            None => encode(&self.unsigned(), Some(&self.sig)),
        }
    }

    /// CID of the block.
    #[must_use]
    pub fn cid(&self) -> Cid {
        Cid::of_cbor(&self.encode())
    }

    /// Checks the signature. Whether the key was the account's at that time is for the caller to know.
    ///
    /// # Errors
    /// [`CommitError::Signature`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), CommitError> {
        key.verify(&self.signed_bytes()?, &self.sig).map_err(|source| CommitError::Signature {
            did: self.did.clone(),
            rev: self.rev,
            key: key.to_did_key(),
            source,
        })
    }

    /// The bytes that the signature covers.
    ///
    /// # Errors
    /// Only when `raw` was replaced by something that is not a commit.
    pub fn signed_bytes(&self) -> Result<Vec<u8>, CommitError> {
        let Some(raw) = &self.raw else { return Ok(self.unsigned().encode()) };
        match cbor::decode(raw, &Limits::STRICT)? {
            Value::Map(mut fields) => {
                fields.retain(|(name, _)| name != "sig");
                Ok(cbor::encode(&Value::Map(fields)))
            }
            _ => Err(CommitError::Field { field: "did", expected: "in a map" }),
        }
    }

    fn unsigned(&self) -> Unsigned {
        Unsigned { did: self.did.clone(), rev: self.rev, data: self.data }
    }
}

fn encode(commit: &Unsigned, sig: Option<&[u8; SIGNATURE_LEN]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    cbor::write_map(&mut out, if sig.is_some() { 6 } else { 5 });
    cbor::write_text(&mut out, "did");
    cbor::write_text(&mut out, commit.did.as_str());
    cbor::write_text(&mut out, "rev");
    cbor::write_text(&mut out, &commit.rev.to_string());
    if let Some(sig) = sig {
        cbor::write_text(&mut out, "sig");
        cbor::write_bytes(&mut out, sig);
    }
    cbor::write_text(&mut out, "data");
    cbor::write_link(&mut out, &commit.data);
    cbor::write_text(&mut out, "prev");
    cbor::write_null(&mut out);
    cbor::write_text(&mut out, "version");
    cbor::write_int(&mut out, VERSION);
    out
}

/// The canonical form, `None` for anything else.
fn usual(bytes: &[u8]) -> Option<Commit> {
    let mut reader = Reader::new(bytes);
    (reader.map().ok()? == 6).then_some(())?;
    reader.key("did").ok()?;
    let did = Did::from_str(reader.text().ok()?).ok()?;
    reader.key("rev").ok()?;
    let rev = Tid::parse(reader.text().ok()?).ok()?;
    reader.key("sig").ok()?;
    let sig = reader.bytes().ok()?.try_into().ok()?;
    reader.key("data").ok()?;
    let data = reader.link().ok().filter(|cid| cid.codec() == Codec::DagCbor)?;
    reader.key("prev").ok()?;
    reader.null().then_some(())?;
    reader.key("version").ok()?;
    (reader.int().ok()? == VERSION).then_some(())?;
    reader.finish().ok()?;
    Some(Commit { did, rev, data, sig, raw: None })
}

#[cfg(test)]
mod tests {
    use p2pds_crypto::{Curve, PrivateKey};

    use super::*;

    fn unsigned() -> Unsigned {
        Unsigned {
            did: Did::parse("did:plc:ewvi7nxzyoun6zhxrhs64oiz").unwrap(),
            rev: Tid::parse("3lhhxizu5wr2d").unwrap(),
            data: crate::mst::empty_root(),
        }
    }

    #[test]
    fn signs_and_reads_back() {
        for curve in [Curve::K256, Curve::P256] {
            let key = PrivateKey::from_entropy(curve, [7; 32]);
            let commit = unsigned().sign(&key).unwrap();
            commit.verify(&key.public_key()).unwrap();
            let bytes = commit.encode();
            assert_eq!(Commit::decode(&bytes).unwrap(), commit);
            assert_eq!(commit.cid(), Cid::of_cbor(&bytes));
            let other = PrivateKey::from_entropy(curve, [8; 32]);
            assert!(matches!(commit.verify(&other.public_key()), Err(CommitError::Signature { .. })));
            let mut moved = commit.clone();
            moved.data = Cid::of_cbor(b"other");
            moved.verify(&key.public_key()).unwrap_err();
        }
    }

    #[test]
    fn odd_commits_keep_their_bytes_and_verify() {
        let key = PrivateKey::from_entropy(Curve::K256, [7; 32]);
        let plain = unsigned();
        for odd in ["prev", "more", "none"] {
            let mut fields = vec![
                ("did", Value::Text(plain.did.to_string())),
                ("rev", Value::Text(plain.rev.to_string())),
                ("data", Value::Link(plain.data)),
                ("version", Value::Int(3)),
            ];
            match odd {
                "prev" => fields.push(("prev", Value::Link(Cid::of_cbor(b"before")))),
                "more" => fields.extend([("prev", Value::Null), ("zz", Value::Bool(true))]),
                _ => {}
            }
            let sig = key.sign(&cbor::encode(&Value::map(fields.clone()))).unwrap();
            fields.push(("sig", Value::Bytes(sig.to_vec())));
            let bytes = cbor::encode(&Value::map(fields));
            let commit = Commit::decode(&bytes).unwrap();
            assert_eq!(commit.raw.as_deref(), Some(bytes.as_slice()), "{odd}");
            assert_eq!(commit.encode(), bytes);
            commit.verify(&key.public_key()).unwrap();
        }
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_refused_or_fails_the_signature() {
        let key = PrivateKey::from_entropy(Curve::K256, [7; 32]);
        let bytes = unsigned().sign(&key).unwrap().encode();
        for cut in 0..bytes.len() {
            Commit::decode(&bytes[..cut]).unwrap_err();
        }
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            if let Ok(commit) = Commit::decode(&other) {
                commit.verify(&key.public_key()).unwrap_err();
            }
        }
    }
}
