//! Saying yes at a reference server's page for authorizations, by the calls that the page makes.
//!
//! The page is an application of its own; what it sends was read from it: `@atproto/oauth-provider`,
//! `router/create-api-middleware.js`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::http::{self, Reply};

const API: &str = "/@atproto/oauth-provider/~api";

/// Signs in at `url` (where a client sends people) and accepts everything that is asked for. Gives the address that the
/// server sends the browser back to.
///
/// # Errors
/// The server refuses.
pub fn consent(url: &str, username: &str, password: &str) -> Result<String> {
    let mut page = Page::open(url)?;
    let sign_in = json!({"locale": "en", "username": username, "password": password, "remember": true});
    let account = page.call("sign-in", &sign_in)?;
    let did = account["account"]["did"].as_str().or_else(|| account["account"]["sub"].as_str());
    let accepted = page.call("consent", &json!({ "did": did.context("no account")? }))?;
    let back = accepted["url"].as_str().context("no address to go back to")?.to_owned();
    let gone = page.navigate(&back, "same-origin")?;
    ensure!(
        gone.status == 303,
        "{} instead of a redirect: {}",
        gone.status,
        String::from_utf8_lossy(&gone.body)
    );
    gone.header("location").map(str::to_owned).context("a redirect to nowhere")
}

struct Page {
    url: String,
    origin: String,
    cookies: BTreeMap<String, String>,
}

impl Page {
    fn open(url: &str) -> Result<Self> {
        let host =
            url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).context("an address")?;
        let mut page =
            Self { url: url.to_owned(), origin: format!("http://{host}"), cookies: BTreeMap::new() };
        let shown = page.navigate(url, "cross-site")?;
        ensure!(shown.status == 200, "{}: {}", shown.status, String::from_utf8_lossy(&shown.body));
        Ok(page)
    }

    fn navigate(&mut self, url: &str, site: &str) -> Result<Reply> {
        let (cookies, referer) = (self.cookies(), self.url.clone());
        let headers = [
            ("Sec-Fetch-Site", site),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
            ("Accept", "text/html"),
            ("Referer", &referer),
            ("Cookie", &cookies),
        ];
        // Nobody comes from here the first time.
        let headers = if site == "same-origin" { &headers[..] } else { &headers[..4] };
        let reply = http::request("GET", url, headers, None)?;
        self.keep(&reply);
        Ok(reply)
    }

    fn call(&mut self, method: &str, body: &Value) -> Result<Value> {
        let (cookies, body) = (self.cookies(), body.to_string());
        let token = self.cookies.get("csrf-token").cloned().context("no token of the page")?;
        let headers = [
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Mode", "same-origin"),
            ("Sec-Fetch-Dest", "empty"),
            ("Accept", "application/json"),
            ("Content-Type", "application/json"),
            ("Origin", &self.origin),
            ("Referer", &self.url),
            ("X-CSRF-Token", &token),
            ("Cookie", &cookies),
        ];
        let url = format!("{}{API}/{method}", self.origin);
        let reply = http::request("POST", &url, &headers, Some(body.as_bytes()))?;
        self.keep(&reply);
        let answer = reply.json()?;
        ensure!(reply.status == 200, "{method}: {} {answer}", reply.status);
        Ok(answer)
    }

    fn cookies(&self) -> String {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn keep(&mut self, reply: &Reply) {
        for (_, value) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = value.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}
