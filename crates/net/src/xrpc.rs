//! XRPC calls: the URL of a method, and its error answers.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::client::Client;
use crate::config::GetOptions;
use crate::error::{NetError, plain};
use crate::response::Response;

/// An error answer longer than this is not read to its end.
const MAX_ERROR_BODY: u64 = 16 * 1024;

/// `{"error": "RepoNotFound", "message": "..."}`
#[derive(Deserialize)]
struct ErrorBody {
    error: String,
    #[serde(default)]
    message: Option<String>,
}

impl Client {
    /// Calls the query `nsid` of the service at `host` (`https://pds.example`) and
    /// returns its 2xx answer.
    ///
    /// # Errors
    /// [`NetError::Xrpc`] for an error answer; otherwise as [`Client::get`].
    pub async fn xrpc_get(
        &self,
        host: &str,
        nsid: &str,
        params: &[(&str, &str)],
        options: &GetOptions,
    ) -> Result<Response, NetError> {
        let url = method_url(host, nsid, params)?;
        decode(self.get(url.as_str(), options).await?).await
    }

    /// The address of a method of the service at `host`, for callers that sign the address of each request.
    ///
    /// # Errors
    /// [`NetError::BadUrl`].
    pub fn xrpc_url(host: &str, nsid: &str, params: &[(&str, &str)]) -> Result<String, NetError> {
        method_url(host, nsid, params).map(String::from)
    }

    /// Calls the query `nsid` and reads its answer as JSON.
    ///
    /// # Errors
    /// As [`Client::xrpc_get`], and [`NetError::Json`].
    pub async fn xrpc_json<T: DeserializeOwned>(
        &self,
        host: &str,
        nsid: &str,
        params: &[(&str, &str)],
        options: &GetOptions,
    ) -> Result<T, NetError> {
        self.xrpc_get(host, nsid, params, options).await?.json(options.max_bytes).await
    }

    /// Calls the procedure `nsid` with a JSON body.
    ///
    /// # Errors
    /// As [`Client::xrpc_get`].
    pub async fn xrpc_post<T: Serialize + Sync>(
        &self,
        host: &str,
        nsid: &str,
        body: &T,
        options: &GetOptions,
    ) -> Result<Response, NetError> {
        let url = method_url(host, nsid, &[])?;
        decode(self.post_json(url.as_str(), body, options).await?).await
    }

    /// Calls the procedure `nsid` with a body of any type.
    ///
    /// # Errors
    /// As [`Client::xrpc_get`].
    pub async fn xrpc_upload(
        &self,
        host: &str,
        nsid: &str,
        content_type: &str,
        body: Bytes,
        options: &GetOptions,
    ) -> Result<Response, NetError> {
        let url = method_url(host, nsid, &[])?;
        decode(self.post(url.as_str(), content_type, body, options).await?).await
    }
}

impl Response {
    /// This answer if its status is 2xx; an error answer is read as that of an XRPC method.
    ///
    /// # Errors
    /// [`NetError::Xrpc`].
    pub async fn xrpc(self) -> Result<Self, NetError> {
        decode(self).await
    }
}

fn method_url(host: &str, nsid: &str, params: &[(&str, &str)]) -> Result<Url, NetError> {
    let bad = |why: String| NetError::BadUrl { url: plain(host, 200), why };
    let mut url = Url::parse(host).map_err(|e| bad(e.to_string()))?;
    if url.cannot_be_a_base()
        || !matches!(url.path(), "" | "/")
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(bad("a service is named by scheme, host and port alone".to_owned()));
    }
    url.set_path(&format!("/xrpc/{nsid}"));
    if !params.is_empty() {
        url.query_pairs_mut().extend_pairs(params);
    }
    Ok(url)
}

async fn decode(response: Response) -> Result<Response, NetError> {
    if response.status().is_success() {
        return Ok(response);
    }
    let (host, status) = (response.host().to_owned(), response.status().as_u16());
    let body = response.bytes(MAX_ERROR_BODY).await.unwrap_or_default();
    let (error, message) = match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(body) => {
            (plain(&body.error, 100), plain(body.message.as_deref().unwrap_or("no further explanation"), 300))
        }
        Err(_) => ("Unknown".to_owned(), "the answer is not an XRPC error".to_owned()),
    };
    Err(NetError::Xrpc { host, status, error, message })
}

#[cfg(test)]
mod tests {
    use super::method_url;

    #[test]
    fn urls_of_methods() {
        let url =
            |host, params: &[_]| method_url(host, "com.atproto.sync.getRepo", params).map(|u| u.to_string());
        assert_eq!(
            url("https://pds.example", &[]).unwrap(),
            "https://pds.example/xrpc/com.atproto.sync.getRepo"
        );
        assert_eq!(
            url("http://localhost:2583/", &[("did", "did:web:a&b"), ("since", "x y")]).unwrap(),
            "http://localhost:2583/xrpc/com.atproto.sync.getRepo?did=did%3Aweb%3Aa%26b&since=x+y"
        );
        for bad in [
            "pds.example",
            "https://pds.example/base",
            "https://pds.example/?x",
            "https://pds.example/#x",
            "mailto:x",
            "",
        ] {
            assert!(url(bad, &[]).is_err(), "{bad}");
        }
    }
}
