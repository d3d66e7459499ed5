//! A browser without a window: pages of a node are opened, their forms found, filled in and sent.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};

use crate::http::{self, Reply, escape};

/// Redirects that are followed.
const MOST: usize = 5;

/// Cookies, and the page that was opened last.
#[derive(Debug, Default)]
pub struct Visit {
    cookies: BTreeMap<String, String>,
    /// Its address.
    pub url: String,
    /// Its HTML.
    pub page: String,
}

/// A form of a page: where it is sent, and its fields with what stands in them.
#[derive(Debug, Clone)]
pub struct Form {
    action: String,
    /// Names and values in order; boxes that are not ticked are not among them.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// Types something in.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Visit {
    /// Opens a page, and follows redirects within its site. `Err` holds where else one leads to.
    ///
    /// # Errors
    /// No answer, or one that is no page.
    pub fn open(&mut self, url: &str) -> Result<Option<String>> {
        let reply = self.ask("GET", url, None)?;
        self.follow(url, reply)
    }

    /// Sends a form, as its button does. Gives the address of another site that it leads to, if it does.
    ///
    /// # Errors
    /// No answer, or one that is no page.
    pub fn send(&mut self, form: &Form) -> Result<Option<String>> {
        let url = self.join(&form.action)?;
        let pairs: Vec<String> =
            form.fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        let reply = self.ask("POST", &url, Some(&pairs.join("&")))?;
        self.follow(&url, reply)
    }

    /// The form of the page that has this field with this value.
    ///
    /// # Errors
    /// There is none.
    pub fn form(&self, name: &str, value: &str) -> Result<Form> {
        let forms = self.page.split("<form").skip(1).filter_map(|rest| rest.split("</form>").next());
        for text in forms {
            let fields = fields(text);
            if fields.iter().any(|(known, stands)| known == name && stands == value) {
                let action = attribute(text, "action").unwrap_or_default();
                return Ok(Form { action, fields });
            }
        }
        bail!("no form with {name}={value} on {}:\n{}", self.url, self.page)
    }

    /// What an address answers to this browser, whose page stays as it is.
    ///
    /// # Errors
    /// No answer.
    pub fn get(&mut self, url: &str) -> Result<Reply> {
        self.ask("GET", url, None)
    }

    fn ask(&mut self, method: &str, url: &str, body: Option<&str>) -> Result<Reply> {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (cookies, origin) = (pairs.join("; "), origin(url)?);
        let headers = [
            ("Accept", "text/html"),
            ("Cookie", cookies.as_str()),
            ("Origin", origin.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        let headers = if body.is_some() { &headers[..] } else { &headers[..2] };
        let reply = http::request(method, url, headers, body.map(str::as_bytes))?;
        for (_, value) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = value.split(';').next().unwrap_or_default();
            if let Some((name, held)) = pair.split_once('=') {
                if value.contains("Max-Age=0") {
                    self.cookies.remove(name);
                } else {
                    self.cookies.insert(name.to_owned(), held.to_owned());
                }
            }
        }
        Ok(reply)
    }

    fn follow(&mut self, url: &str, mut reply: Reply) -> Result<Option<String>> {
        self.url = url.to_owned();
        for _ in 0..MOST {
            if !matches!(reply.status, 302 | 303 | 307) {
                self.page = String::from_utf8_lossy(&reply.body).into_owned();
                ensure!(reply.status < 500, "{}: {} {}", self.url, reply.status, self.page);
                return Ok(None);
            }
            let to = reply.header("location").context("a redirect to nowhere")?.to_owned();
            let to = self.join(&to)?;
            // This machine has two names; any other address is another site.
            let port =
                |url: &str| url.rsplit(':').next().and_then(|rest| rest.split('/').next()).map(str::to_owned);
            if port(&origin(&to)?) != port(&origin(&self.url)?) {
                return Ok(Some(to));
            }
            self.url.clone_from(&to);
            reply = self.ask("GET", &to, None)?;
        }
        bail!("{} redirects on and on", self.url)
    }

    fn join(&self, to: &str) -> Result<String> {
        if to.starts_with("http://") {
            return Ok(to.to_owned());
        }
        Ok(format!("{}{to}", origin(&self.url)?))
    }
}

/// Signs in at the page of a node's authorization server, and accepts everything that is asked for. Gives the address
/// that the browser is sent back to.
///
/// # Errors
/// The page refuses, or is another one.
pub fn consent(url: &str, identifier: &str, password: &str) -> Result<String> {
    let mut visit = Visit { url: url.to_owned(), ..Visit::default() };
    ensure!(visit.open(url)?.is_none(), "it leads elsewhere at once");
    let form = visit.form("step", "sign-in")?.with("identifier", identifier).with("password", password);
    ensure!(visit.send(&form)?.is_none(), "it leads elsewhere before anybody agreed");
    let form = visit.form("step", "accept")?;
    visit.send(&form)?.with_context(|| format!("nobody is sent back from {}:\n{}", visit.url, visit.page))
}

fn origin(url: &str) -> Result<String> {
    let host = url.strip_prefix("http://").and_then(|rest| rest.split(['/', '?']).next());
    host.map(|host| format!("http://{host}")).with_context(|| format!("no address: {url}"))
}

fn fields(form: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for tag in form.split("<input").skip(1).filter_map(|rest| rest.split('>').next()) {
        let Some(name) = attribute(tag, "name") else { continue };
        let kind = attribute(tag, "type").unwrap_or_default();
        if matches!(kind.as_str(), "checkbox" | "radio") && !tag.contains(" checked") {
            continue;
        }
        fields.push((name, attribute(tag, "value").unwrap_or_default()));
    }
    fields
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let value = rest.split('"').next()?;
    Some(value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_found_and_read() {
        let page = "<form method=\"post\" action=\"/a\"><input type=\"hidden\" name=\"step\" value=\"one\"></form>\
                    <form method=\"post\" action=\"/b?x=1&amp;y=2\"><input type=\"hidden\" name=\"step\" value=\"two\">\
                    <input type=\"checkbox\" name=\"scope\" value=\"a&amp;b\" checked><input type=\"checkbox\" name=\"scope\" \
                    value=\"c\"><input #x name=\"text\"></form>";
        let visit = Visit { page: page.to_owned(), ..Visit::default() };
        let form = visit.form("step", "two").unwrap().with("text", "typed");
        assert_eq!(form.action, "/b?x=1&y=2");
        let pairs: Vec<(&str, &str)> = form.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("step", "two"), ("scope", "a&b"), ("text", "typed")]);
        assert!(visit.form("step", "three").is_err());
    }
}
