//! An account on a reference PDS, as its owner's client sees it.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::network::{get, post, send};
use super::truth::Truth;

/// An account with an open session.
#[derive(Debug, Clone)]
pub struct Account {
    /// The account's DID.
    pub did: String,
    /// Its handle, `name.test`.
    pub handle: String,
    /// `http://localhost:PORT` of its PDS.
    pub pds: String,
    token: String,
}

/// What a PDS answers to a write.
#[derive(Debug, Clone)]
pub struct Written {
    /// `at://did/collection/rkey`.
    pub uri: String,
    /// The record's CID.
    pub cid: String,
}

impl Written {
    /// The last part of the URI.
    #[must_use]
    pub fn rkey(&self) -> &str {
        self.uri.rsplit('/').next().unwrap_or_default()
    }
}

/// One operation of `applyWrites`.
#[derive(Debug, Clone)]
pub enum Write {
    /// A new record under the given key.
    Create(String, String, Value),
    /// Another value for a record.
    Update(String, String, Value),
    /// No record any more.
    Delete(String, String),
}

impl Write {
    fn json(&self) -> Value {
        let (kind, collection, rkey, value) = match self {
            Self::Create(c, r, v) => ("create", c, r, Some(v)),
            Self::Update(c, r, v) => ("update", c, r, Some(v)),
            Self::Delete(c, r) => ("delete", c, r, None),
        };
        let mut write = json!({
            "$type": format!("com.atproto.repo.applyWrites#{kind}"), "collection": collection, "rkey": rkey,
        });
        if let Some(value) = value {
            write["value"] = value.clone();
        }
        write
    }
}

/// The collection of posts.
pub const POST: &str = "app.bsky.feed.post";

/// A post with a text.
#[must_use]
pub fn post_record(text: &str) -> Value {
    json!({"$type": POST, "text": text, "createdAt": "2026-11-01T12:00:00.000Z"})
}

impl Account {
    /// Reads the answer of `createAccount` or `createSession`.
    ///
    /// # Errors
    /// A field is missing.
    pub fn from_session(pds: &str, session: &Value) -> Result<Self> {
        let text = |key: &str| {
            session[key].as_str().map(ToOwned::to_owned).with_context(|| format!("no {key} in {session}"))
        };
        Ok(Self {
            did: text("did")?,
            handle: text("handle")?,
            pds: pds.to_owned(),
            token: text("accessJwt")?,
        })
    }

    /// The session's access token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Calls an XRPC procedure with JSON.
    ///
    /// # Errors
    /// Any status but 200.
    pub fn call(&self, nsid: &str, body: &Value) -> Result<Value> {
        post(&self.pds, nsid, Some(&self.token), body)
    }

    /// Calls an XRPC procedure with bytes.
    ///
    /// # Errors
    /// Any status but 200.
    pub fn upload(&self, nsid: &str, mime: &str, body: &[u8]) -> Result<Vec<u8>> {
        Ok(send(&self.pds, nsid, Some(&self.token), mime, body)?.body)
    }

    /// Asks an XRPC query.
    ///
    /// # Errors
    /// Any status but 200.
    pub fn query(&self, nsid: &str, params: &[(&str, &str)]) -> Result<Value> {
        get(&self.pds, nsid, Some(&self.token), params)?.json()
    }

    /// `createRecord` without validation against lexicons.
    ///
    /// # Errors
    /// The PDS refuses.
    pub fn create(&self, collection: &str, record: &Value) -> Result<Written> {
        let body = json!({"repo": self.did, "collection": collection, "record": record});
        written(&self.call("com.atproto.repo.createRecord", &body)?)
    }

    /// `putRecord`.
    ///
    /// # Errors
    /// The PDS refuses.
    pub fn put(&self, collection: &str, rkey: &str, record: &Value) -> Result<Written> {
        let body = json!({"repo": self.did, "collection": collection, "rkey": rkey, "record": record});
        written(&self.call("com.atproto.repo.putRecord", &body)?)
    }

    /// `deleteRecord`.
    ///
    /// # Errors
    /// The PDS refuses.
    pub fn delete(&self, collection: &str, rkey: &str) -> Result<()> {
        let body = json!({"repo": self.did, "collection": collection, "rkey": rkey});
        self.call("com.atproto.repo.deleteRecord", &body).map(drop)
    }

    /// `applyWrites`: at most 200 operations in one commit.
    ///
    /// # Errors
    /// The PDS refuses.
    pub fn apply(&self, writes: &[Write]) -> Result<()> {
        let writes: Vec<Value> = writes.iter().map(Write::json).collect();
        let body = json!({"repo": self.did, "writes": writes});
        self.call("com.atproto.repo.applyWrites", &body).map(drop)
    }

    /// Creates `count` posts in commits of 200 under the keys [`bulk_key`] of `label`.
    ///
    /// # Errors
    /// The PDS refuses.
    pub fn bulk(&self, label: &str, count: usize) -> Result<()> {
        let numbers: Vec<usize> = (0..count).collect();
        for part in numbers.chunks(200) {
            let writes: Vec<Write> = part
                .iter()
                .map(|n| {
                    Write::Create(
                        POST.into(),
                        bulk_key(label, *n),
                        post_record(&format!("{label} number {n}")),
                    )
                })
                .collect();
            self.apply(&writes)?;
        }
        Ok(())
    }

    /// Uploads a blob and creates a post that shows it; the blob's CID is returned.
    ///
    /// # Errors
    /// The PDS refuses.
    pub fn post_image(&self, bytes: &[u8]) -> Result<String> {
        let answer = self.upload("com.atproto.repo.uploadBlob", "image/png", bytes)?;
        let blob = serde_json::from_slice::<Value>(&answer)?["blob"].clone();
        let cid = blob["ref"]["$link"].as_str().context("no CID")?.to_owned();
        let mut record = post_record("with an image");
        record["embed"] =
            json!({"$type": "app.bsky.embed.images", "images": [{"alt": "noise", "image": blob}]});
        self.create(POST, &record)?;
        Ok(cid)
    }

    /// CID and rev of the head as the PDS tells it.
    ///
    /// # Errors
    /// The PDS refuses.
    pub fn latest_commit(&self) -> Result<(String, String)> {
        let head = self.query("com.atproto.sync.getLatestCommit", &[("did", &self.did)])?;
        let text = |key: &str| head[key].as_str().map(ToOwned::to_owned).with_context(|| format!("no {key}"));
        Ok((text("cid")?, text("rev")?))
    }

    /// The repo's CAR, all of it or what is newer than a rev.
    ///
    /// # Errors
    /// The PDS refuses.
    pub fn repo_car(&self, since: Option<&str>) -> Result<Vec<u8>> {
        let mut params = vec![("did", self.did.as_str())];
        params.extend(since.map(|rev| ("since", rev)));
        Ok(get(&self.pds, "com.atproto.sync.getRepo", None, &params)?.body)
    }

    /// One blob.
    ///
    /// # Errors
    /// The PDS does not have it.
    pub fn blob(&self, cid: &str) -> Result<Vec<u8>> {
        Ok(get(&self.pds, "com.atproto.sync.getBlob", None, &[("did", &self.did), ("cid", cid)])?.body)
    }

    /// Everything that the PDS tells about the account, read by its public methods.
    ///
    /// # Errors
    /// The PDS refuses, or contradicts itself.
    pub fn truth(&self) -> Result<Truth> {
        Truth::read(self)
    }
}

fn written(answer: &Value) -> Result<Written> {
    let text = |key: &str| answer[key].as_str().map(ToOwned::to_owned).with_context(|| format!("no {key}"));
    Ok(Written { uri: text("uri")?, cid: text("cid")? })
}

/// The record key (a TID) of the nth post that [`Account::bulk`] makes for a label.
#[must_use]
pub fn bulk_key(label: &str, n: usize) -> String {
    // Microseconds: a minute for each record from a year that the label chooses, so that keys spread over the tree.
    let year = label.bytes().fold(17_u64, |hash, byte| (hash * 31 + u64::from(byte)) % 50);
    let micros = (1_000_000_000 + year * 31_557_600 + 60 * n as u64) * 1_000_000;
    let value = micros << 10 | 7;
    (0..13)
        .rev()
        .map(|i| char::from(b"234567abcdefghijklmnopqrstuvwxyz"[(value >> (5 * i) & 31) as usize]))
        .collect()
}

/// `len` bytes that begin like a PNG file and are otherwise noise made from `seed`.
#[must_use]
pub fn image(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
