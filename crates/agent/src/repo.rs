//! Reading and writing records, uploading blobs.

use bytes::Bytes;
use p2pds_ipld::Cid;
use p2pds_net::{GetOptions, NetError};
use p2pds_syntax::RecordPath;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::AgentError;
use crate::session::{Agent, NetOrAgent};

/// Most bytes of a record as JSON.
const MAX_RECORD: u64 = 4 << 20;

/// What stands at a place of the repo.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// CID of the record.
    pub cid: Cid,
    /// As JSON.
    pub value: Value,
}

/// A record that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Its AT-URI.
    pub uri: String,
    /// CID that the host gave it.
    pub cid: Cid,
}

#[derive(Deserialize)]
struct Answer {
    uri: String,
    cid: Option<String>,
    #[serde(default)]
    value: Value,
}

impl Agent {
    /// What the host has at a place; `None` when there is nothing.
    ///
    /// # Errors
    /// [`AgentError::Host`], [`AgentError::Answer`].
    pub async fn get_record(&self, path: &RecordPath) -> Result<Option<Standing>, AgentError> {
        let params =
            [("repo", self.did().as_str()), ("collection", path.collection()), ("rkey", path.rkey())];
        let options = GetOptions::json(MAX_RECORD).no_redirects();
        let answer: Answer =
            match self.net().xrpc_json(self.host(), "com.atproto.repo.getRecord", &params, &options).await {
                Ok(answer) => answer,
                Err(error) if says_absent(&error) => return Ok(None),
                Err(source) => return Err(AgentError::Host { doing: format!("reading {path}"), source }),
            };
        let cid = self.cid_of("getRecord", answer.cid.as_deref())?;
        Ok(Some(Standing { cid, value: answer.value }))
    }

    /// Writes a record, if what stands there now is `expect` (`None`: nothing).
    ///
    /// # Errors
    /// [`AgentError::Moved`] when something else stands there; [`AgentError::Host`].
    pub async fn put_record(
        &mut self,
        path: &RecordPath,
        record: &Value,
        expect: Option<&Cid>,
    ) -> Result<Put, AgentError> {
        let body = json!({
            "repo": self.did().as_str(),
            "collection": path.collection(),
            "rkey": path.rkey(),
            "record": record,
            "swapRecord": expect.map(Cid::to_string),
        });
        let answer = match self.posted("com.atproto.repo.putRecord", &body).await {
            Ok(answer) => answer,
            Err(NetOrAgent::Net(error)) if error.xrpc_error() == Some("InvalidSwap") => {
                return Err(AgentError::Moved { host: self.host().to_owned(), path: path.to_string() });
            }
            Err(error) => return Err(error.during(&format!("writing {path}"))),
        };
        let answer: Answer = serde_json::from_value(answer).map_err(|error| AgentError::Answer {
            host: self.host().to_owned(),
            doing: "putRecord",
            what: error.to_string(),
        })?;
        let cid = self.cid_of("putRecord", answer.cid.as_deref())?;
        Ok(Put { uri: answer.uri, cid })
    }

    /// Whether the host gives out a blob of this account.
    ///
    /// # Errors
    /// [`AgentError::Host`] when it does not say.
    pub async fn has_blob(&self, cid: &Cid) -> Result<bool, AgentError> {
        let cid = cid.to_string();
        let params = [("did", self.did().as_str()), ("cid", cid.as_str())];
        // Only the head of the answer is read.
        let options = GetOptions::stream(u64::MAX, std::time::Duration::from_secs(60));
        match self.net().xrpc_get(self.host(), "com.atproto.sync.getBlob", &params, &options).await {
            Ok(_) => Ok(true),
            Err(NetError::Xrpc { status: 400 | 404, .. }) => Ok(false),
            Err(source) => Err(AgentError::Host { doing: format!("asking for the blob {cid}"), source }),
        }
    }

    /// Uploads a blob; the host must come to the same CID.
    ///
    /// # Errors
    /// [`AgentError::Host`], [`AgentError::Answer`].
    pub async fn upload_blob(&mut self, cid: &Cid, mime: &str, bytes: Bytes) -> Result<(), AgentError> {
        #[derive(Deserialize)]
        struct Uploaded {
            blob: Blob,
        }
        #[derive(Deserialize)]
        struct Blob {
            r#ref: Link,
        }
        #[derive(Deserialize)]
        struct Link {
            #[serde(rename = "$link")]
            link: String,
        }
        let mime = if is_mime(mime) { mime } else { "application/octet-stream" };
        let answer = self
            .uploaded("com.atproto.repo.uploadBlob", mime, bytes)
            .await
            .map_err(|error| error.during(&format!("uploading the blob {cid}")))?;
        let wrong =
            |what: String| AgentError::Answer { host: self.host().to_owned(), doing: "uploadBlob", what };
        let uploaded: Uploaded = serde_json::from_value(answer).map_err(|error| wrong(error.to_string()))?;
        let got = uploaded.blob.r#ref.link;
        if got != cid.to_string() {
            return Err(wrong(format!("it calls the bytes {got}, their hash is {cid}")));
        }
        Ok(())
    }

    fn cid_of(&self, doing: &'static str, text: Option<&str>) -> Result<Cid, AgentError> {
        let wrong = |what: String| AgentError::Answer { host: self.host().to_owned(), doing, what };
        let text = text.ok_or_else(|| wrong("it names no CID".to_owned()))?;
        text.parse::<Cid>().map_err(|error| wrong(error.to_string()))
    }
}

/// The reference names it `RecordNotFound`; others say it in words only.
fn says_absent(error: &NetError) -> bool {
    match error {
        NetError::Xrpc { error, .. } if error == "RecordNotFound" => true,
        NetError::Xrpc { status: 400 | 404, message, .. } => message.contains("Could not locate record"),
        _ => false,
    }
}

/// `type/subtype` of plain characters: what a record says of a blob is somebody's text.
fn is_mime(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    text.len() <= 100 && text.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_blobs() {
        assert!(is_mime("image/png") && is_mime("application/vnd.a+json"));
        for bad in ["", "image", "image/", "/png", "image/p ng", "image/png\r\nx: y", "a/b/c"] {
            assert!(!is_mime(bad), "{bad:?}");
        }
    }
}
