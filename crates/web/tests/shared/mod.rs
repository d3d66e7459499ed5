//! What tests of the pages share: a node that has nothing to say for itself, and a browser that is a socket.
#![allow(dead_code, reason = "each of the tests uses its part of it")]

use std::collections::BTreeMap;

use async_trait::async_trait;
use p2pds_web::{AlertNote, CapacityNote, CheckNote, LimitsNote, NodeSide, SettingNote, Trouble, WorkerNote};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A node that has nothing to say for itself.
pub struct Quiet;

#[async_trait]
impl NodeSide for Quiet {
    async fn alerts(&self) -> Result<Vec<AlertNote>, Trouble> {
        Ok(Vec::new())
    }
    async fn capacity(&self) -> Result<CapacityNote, Trouble> {
        Ok(CapacityNote::default())
    }
    async fn workers(&self) -> Result<Vec<WorkerNote>, Trouble> {
        Ok(Vec::new())
    }
    async fn pause_worker(&self, _: &str, _: bool) -> Result<(), Trouble> {
        Ok(())
    }
    fn settings(&self) -> Vec<SettingNote> {
        Vec::new()
    }
    fn limits(&self) -> LimitsNote {
        LimitsNote::default()
    }
    async fn doctor(&self, _: bool) -> Result<Vec<CheckNote>, Trouble> {
        Ok(Vec::new())
    }
}

/// What a page of the node was answered with.
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_default()
    }

    /// The token that the form on this page carries.
    pub fn csrf(&self) -> String {
        let text = self.text();
        let (_, rest) = text.split_once("name=\"csrf\" value=\"").expect("a form");
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// The same where there may be no form.
    pub fn csrf_or_none(&self) -> String {
        if self.text().contains("name=\"csrf\"") { self.csrf() } else { String::new() }
    }
}

/// What a browser does: cookies, Host, Origin.
#[derive(Clone)]
pub struct Browser {
    pub port: u16,
    /// The name that it asks for.
    pub host: String,
    pub cookies: BTreeMap<String, String>,
    /// It came by https.
    pub secure: bool,
}

impl Browser {
    /// A new one, at a node on this port.
    pub fn at(port: u16) -> Self {
        Self { port, host: format!("127.0.0.1:{port}"), cookies: BTreeMap::new(), secure: false }
    }

    pub async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.host);
        if !self.cookies.is_empty() {
            let pairs: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            text.push_str(&format!("Cookie: {}\r\n", pairs.join("; ")));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = BTreeMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let name = name.to_ascii_lowercase();
            if name == "set-cookie" {
                self.keep(value);
            }
            headers.insert(name, value.to_owned());
        }
        let mut body = answer[end + 4..].to_vec();
        if headers.get("transfer-encoding").is_some_and(|how| how == "chunked") {
            body = unchunked(&body);
        }
        Answer { status, headers, body }
    }

    fn keep(&mut self, cookie: &str) {
        let (pair, flags) = cookie.split_once(';').unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        self.check_cookie(name, flags);
        if flags.contains("Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    /// The flags of every cookie of ours.
    fn check_cookie(&self, name: &str, flags: &str) {
        for flag in ["; HttpOnly", "; SameSite=Lax", " Path=/"] {
            assert!(format!(";{flags}").contains(flag), "{name}: {flags}");
        }
        assert!(!flags.contains("Domain"), "{name}: {flags}");
        if self.secure && name != "p2pds-language" {
            assert!(name.starts_with("__Host-p2pds-") && flags.contains("; Secure"), "{name}: {flags}");
        }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.host)
    }

    /// A form that was sent from a page of the node.
    pub async fn post(&mut self, path: &str, csrf: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = self.origin();
        let headers = [("Origin", origin.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        self.send("POST", path, &headers, &form(csrf, fields)).await
    }

    /// A form with files, each of which has a name.
    pub async fn post_files(
        &mut self,
        path: &str,
        csrf: &str,
        fields: &[(&str, &str)],
        files: &[(&str, &str, &str)],
    ) -> Answer {
        const BOUNDARY: &str = "----geckoformboundary2f1a";
        let mut body = String::new();
        for (name, value) in [("csrf", csrf)].iter().chain(fields) {
            body.push_str(&format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ));
        }
        for (name, file, value) in files {
            body.push_str(&format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n{value}\r\n"
            ));
        }
        body.push_str(&format!("--{BOUNDARY}--\r\n"));
        let (origin, kind) = (self.origin(), format!("multipart/form-data; boundary={BOUNDARY}"));
        self.send("POST", path, &[("Origin", origin.as_str()), ("Content-Type", kind.as_str())], &body).await
    }

    /// Sends a form of a page.
    pub async fn press(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.get(page).await.csrf();
        self.post(action, &csrf, fields).await
    }

    /// Waits for a job that a form began, by its own stream; gives where it leads.
    pub async fn finish(&mut self, began: &Answer) -> String {
        assert_eq!(began.status, 303, "{}", began.text());
        let job = began.location().to_owned();
        let events = self.get(&format!("{job}/events")).await.text();
        assert!(events.contains("event: end"), "{events}");
        self.get(&job).await.text()
    }
}

/// The body of a form.
pub fn form(csrf: &str, fields: &[(&str, &str)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("csrf", csrf);
    for (name, value) in fields {
        form.append_pair(name, value);
    }
    form.finish()
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return out };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return out;
        }
        out.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
}
