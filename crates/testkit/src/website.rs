//! Somebody with a did:web: the document that he serves himself, and tokens by its key.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use p2pds_crypto::{PrivateKey, Signer as _};
use serde_json::{Value, json};

use crate::hosted::{Hosted, PASSWORD};
use crate::http;
use crate::oracle::Account;

/// A document at `did:web:localhost%3APORT`, as its owner serves it.
#[derive(Debug)]
pub struct Website {
    /// The DID.
    pub did: String,
    handle: String,
    document: Arc<Mutex<Value>>,
}

impl Website {
    /// Serves one with this handle and signing key (`did:key`), and this PDS.
    ///
    /// # Errors
    /// No port.
    pub fn start(handle: &str, key: &str, pds: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let did = format!("did:web:localhost%3A{}", listener.local_addr()?.port());
        let site = Self { did, handle: handle.to_owned(), document: Arc::default() };
        site.say(key, pds);
        let document = Arc::clone(&site.document);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(std::io::Result::ok) {
                let mut request = [0; 2_048];
                let _ = stream.read(&mut request);
                let body = document.lock().expect("not poisoned").to_string();
                let head = format!("Content-Type: application/json\r\nContent-Length: {}", body.len());
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n{head}\r\n\r\n{body}");
            }
        });
        Ok(site)
    }

    /// Another key and PDS from now on.
    ///
    /// # Panics
    /// The lock is poisoned.
    pub fn say(&self, key: &str, pds: &str) {
        self.publish(json!({
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": self.did,
            "alsoKnownAs": [format!("at://{}", self.handle)],
            "verificationMethod": [{"id": format!("{}#atproto", self.did), "type": "Multikey",
                "controller": self.did, "publicKeyMultibase": key.trim_start_matches("did:key:")}],
            "service": [{"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": pds}],
        }));
    }

    /// Another document from now on.
    ///
    /// # Panics
    /// The lock is poisoned.
    pub fn publish(&self, document: Value) {
        *self.document.lock().expect("not poisoned") = document;
    }

    /// An account of this DID on a host, switched on. `key` is what the document names until then.
    ///
    /// # Errors
    /// The host refuses.
    pub fn moves_to(&self, host: &Hosted, key: &PrivateKey) -> Result<Account> {
        let lxm = "com.atproto.server.createAccount";
        let token = service_token(key, &self.did, "did:web:localhost", lxm);
        let body = json!({
            "handle": self.handle, "email": "webby@mail.test", "password": PASSWORD, "did": self.did,
        });
        let headers = [("Content-Type", "application/json"), ("Authorization", &format!("Bearer {token}"))];
        let url = format!("{}/xrpc/{lxm}", host.url);
        let made = http::request("POST", &url, &headers, Some(body.to_string().as_bytes()))?;
        ensure!(made.status == 200, "{}", String::from_utf8_lossy(&made.body));
        let account = Account::from_session(&host.url, &made.json()?)?;
        let wanted = account.query("com.atproto.identity.getRecommendedDidCredentials", &[])?;
        self.say(wanted["verificationMethods"]["atproto"].as_str().context("a key")?, &host.url);
        let url = format!("{}/xrpc/com.atproto.server.activateAccount", host.url);
        let bearer = format!("Bearer {}", account.token());
        let on = http::request("POST", &url, &[("Authorization", &bearer)], None)?;
        ensure!(on.status == 200, "{}", String::from_utf8_lossy(&on.body));
        Ok(account)
    }
}

/// A service token as an account's key makes it.
///
/// # Panics
/// The key cannot sign.
#[must_use]
pub fn service_token(key: &PrivateKey, iss: &str, aud: &str, lxm: &str) -> String {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let part = |value: Value| data_encoding::BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let claims = json!({"iss": iss, "aud": aud, "lxm": lxm, "iat": now, "exp": now + 60, "jti": format!("{now}{lxm}")});
    let signed = format!("{}.{}", part(json!({"alg": "ES256K", "typ": "JWT"})), part(claims));
    let signature = key.sign(signed.as_bytes()).expect("it signs");
    format!("{signed}.{}", data_encoding::BASE64URL_NOPAD.encode(&signature))
}
