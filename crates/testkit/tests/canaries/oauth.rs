//! An application that signs in by OAuth, as far as its secrets go.

use data_encoding::HEXLOWER;
use p2pds_crypto::dpop::{self, Make};
use p2pds_crypto::{Curve, PrivateKey, pkce};
use p2pds_host::Host;
use p2pds_oauth::{Begun, Factor, LogIn, LoginRefused, Prove};
use p2pds_syntax::Did;
use p2pds_testkit::http::Reply;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Asking, Canaries, now, text};

const CLIENT: &str = "http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%3A5000%2Fcallback&scope=atproto%20transition%3Ageneric";
const CALLBACK: &str = "http://127.0.0.1:5000/callback";
const VERIFIER: &str = "canary-verifier-7c8d9e0f1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d";

/// The application.
pub struct App {
    key: PrivateKey,
    nonce: Option<String>,
    proofs: u32,
    /// What its request was called.
    request_uri: String,
}

impl App {
    /// It pushes its request.
    pub fn begin(asking: &mut Asking<'_>, canaries: &mut Canaries) -> Self {
        let key = PrivateKey::from_entropy(Curve::P256, [77; 32]);
        let mut app = Self { key, nonce: None, proofs: 0, request_uri: String::new() };
        canaries.add("a PKCE verifier", VERIFIER);
        let pairs = [
            ("client_id", CLIENT),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "atproto transition:generic"),
            ("state", "a state"),
            ("code_challenge", &pkce::challenge_s256(VERIFIER)),
            ("code_challenge_method", "S256"),
        ];
        let reply = app.form(asking, "/oauth/par", &pairs);
        assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
        app.request_uri = text(&reply.json().unwrap(), "request_uri").to_owned();
        let secret = app.request_uri.rsplit(':').next().unwrap();
        canaries.add("a request's name", secret);
        app
    }

    /// Its user signs in on the pages with a backup code, and agrees: the code.
    pub async fn agree(
        &self,
        host: &Host,
        did: &Did,
        password: &str,
        backup: &str,
        canaries: &mut Canaries,
    ) -> String {
        let oauth = host.authorization_server().unwrap();
        let (device, cookie) = oauth.new_device("a browser", "192.0.2.1").await.unwrap();
        canaries.add("a browser's cookie", &cookie);
        let Begun::Show(asked) = oauth.begin(CLIENT, &self.request_uri, &device).await.unwrap() else {
            panic!("nothing is asked")
        };
        let ask = LogIn {
            identifier: did.to_string(),
            password: Zeroizing::new(password.to_owned()),
            factor: None,
            address: "192.0.2.1".to_owned(),
        };
        let LoginRefused::FactorNeeded(needed) = oauth.sign_in(&device, ask, true).await.unwrap_err() else {
            panic!("no factor is asked for")
        };
        canaries.add("a sign-in's ticket", &needed.ticket);
        let factor = Factor::Code(Zeroizing::new(backup.to_owned()));
        let ask = Prove { ticket: needed.ticket.clone(), factor, address: "192.0.2.1".to_owned() };
        let signed_in = oauth.prove(&device, ask, true).await.unwrap();
        canaries.add("a signed-in browser's cookie", &signed_in.cookie);
        let redirect = oauth.accept(&asked, &device, did, &asked.scopes).await.unwrap();
        let code = redirect.param("code").unwrap().to_owned();
        canaries.add("a code", &code);
        code
    }

    /// It gets tokens, uses and renews them, and shows an old one again.
    pub fn live(mut self, asking: &mut Asking<'_>, code: &str, canaries: &mut Canaries) -> Vec<String> {
        let pairs = [
            ("client_id", CLIENT),
            ("grant_type", "authorization_code"),
            ("redirect_uri", CALLBACK),
            ("code", code),
            ("code_verifier", VERIFIER),
        ];
        let first = self.tokens(asking, &pairs, canaries);
        let (access, refresh) = (text(&first, "access_token"), text(&first, "refresh_token"));
        let path = "/xrpc/com.atproto.server.getSession";
        let reply = self.ask(asking, "GET", path, Some(access), None);
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        let renew = [("client_id", CLIENT), ("grant_type", "refresh_token"), ("refresh_token", refresh)];
        let second = self.tokens(asking, &renew, canaries);
        let shown_again = self.form(asking, "/oauth/token", &renew);
        let wrong_key = Self { key: PrivateKey::from_entropy(Curve::P256, [78; 32]), ..self };
        let stolen = Self { nonce: None, ..wrong_key }.ask(asking, "GET", path, Some(access), None);
        assert!(shown_again.status >= 400 && stolen.status >= 400, "{shown_again:?} {stolen:?}");
        [&first, &second]
            .into_iter()
            .flat_map(|tokens| [text(tokens, "access_token"), text(tokens, "refresh_token")])
            .map(str::to_owned)
            .collect()
    }

    fn tokens(&mut self, asking: &mut Asking<'_>, pairs: &[(&str, &str)], canaries: &mut Canaries) -> Value {
        let reply = self.form(asking, "/oauth/token", pairs);
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        let tokens = reply.json().unwrap();
        for name in ["access_token", "refresh_token"] {
            canaries.add(&format!("an application's {name}"), text(&tokens, name));
        }
        canaries
            .add("an access token's signature", text(&tokens, "access_token").rsplit('.').next().unwrap());
        tokens
    }

    fn form(&mut self, asking: &mut Asking<'_>, path: &str, pairs: &[(&str, &str)]) -> Reply {
        let encode = |text: &str| -> String {
            text.bytes()
                .map(|byte| match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        char::from(byte).to_string()
                    }
                    other => format!("%{}", HEXLOWER.encode(&[other])),
                })
                .collect()
        };
        let body: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        self.ask(asking, "POST", path, None, Some(&body.join("&")))
    }

    /// Twice, where the first answer brings the server's nonce.
    fn ask(
        &mut self,
        asking: &mut Asking<'_>,
        method: &str,
        path: &str,
        token: Option<&str>,
        form: Option<&str>,
    ) -> Reply {
        let mut last = None;
        for _ in 0..2 {
            self.proofs += 1;
            let url = format!("{}{path}", asking.url);
            let make = Make {
                htm: method,
                htu: &url,
                nonce: self.nonce.as_deref(),
                token,
                jti: &format!("proof-{}-{}", now(), self.proofs),
                iat: u64::try_from(now() / 1_000_000).unwrap(),
            };
            let proof = dpop::prove(&self.key, &make).unwrap();
            let bearer = token.map(|token| format!("DPoP {token}"));
            let mut headers: Vec<(&str, &str)> = vec![("dpop", &proof)];
            headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
            let reply = asking.send(method, path, &headers, form);
            let nonce = reply.header("dpop-nonce").map(str::to_owned);
            let asked_for_one = String::from_utf8_lossy(&reply.body).contains("use_dpop_nonce");
            self.nonce = nonce.or_else(|| self.nonce.take());
            last = Some(reply);
            if !asked_for_one {
                break;
            }
        }
        last.unwrap()
    }
}
