//! What a setting's value may be: each type parses from text and says what it expects.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use p2pds_host::accounts::{SmtpConfig, check_address, check_smtp};
use p2pds_syntax::{AtIdentifier, Did, Handle};
use zeroize::Zeroizing;

use crate::words;

/// A type that a configuration value can have.
///
/// Flags and environment variables give text; a TOML file gives numbers, booleans and arrays
/// too, which are turned into the same text first, so there is one parser for all sources.
pub trait Setting: Sized {
    /// What a user may write, for the reference page and error messages.
    const SHAPE: &'static str;
    /// Whether `config show` hides the value and `NAME_FILE` is read.
    const SECRET: bool = false;
    /// Reads a value; the error says what was expected.
    ///
    /// # Errors
    /// Text that ends the sentence "`value` is not …".
    fn parse(text: &str) -> Result<Self, String>;
}

/// An account by handle or DID.
impl Setting for AtIdentifier {
    const SHAPE: &'static str = "a handle or a DID";
    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).or_else(|_| expected(<Self as Setting>::SHAPE))
    }
}

fn expected<T>(shape: &str) -> Result<T, String> {
    Err(shape.to_owned())
}

impl Setting for String {
    const SHAPE: &'static str = "text";
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Setting for PathBuf {
    const SHAPE: &'static str = "a path";
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return expected(Self::SHAPE);
        }
        Ok(Self::from(text))
    }
}

impl Setting for bool {
    const SHAPE: &'static str = "true or false";
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" | "" => Ok(false),
            _ => expected(Self::SHAPE),
        }
    }
}

impl Setting for u16 {
    const SHAPE: &'static str = "a number from 0 to 65535";
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().or_else(|_| expected(Self::SHAPE))
    }
}

impl Setting for u32 {
    const SHAPE: &'static str = "a whole number";
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().or_else(|_| expected(Self::SHAPE))
    }
}

impl Setting for u64 {
    const SHAPE: &'static str = "a whole number";
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().or_else(|_| expected(Self::SHAPE))
    }
}

impl Setting for Did {
    const SHAPE: &'static str = "a DID such as did:web:example.com";
    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).or_else(|_| expected(<Self as Setting>::SHAPE))
    }
}

impl Setting for Handle {
    const SHAPE: &'static str = "a handle such as alice.example.com";
    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).or_else(|_| expected(<Self as Setting>::SHAPE))
    }
}

impl Setting for IpAddr {
    const SHAPE: &'static str = "an IP address";
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().or_else(|_| expected(Self::SHAPE))
    }
}

impl Setting for SocketAddr {
    const SHAPE: &'static str = "an IP address, with a port or without (53 then)";
    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address);
        }
        match text.parse::<IpAddr>() {
            Ok(ip) => Ok(Self::new(ip, 53)),
            Err(_) => expected(Self::SHAPE),
        }
    }
}

impl Setting for p2pds_xrpc::Net {
    const SHAPE: &'static str = "an IP address or a range of them (10.0.0.0/8)";
    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).map_or_else(|| expected(Self::SHAPE), Ok)
    }
}

impl Setting for Duration {
    const SHAPE: &'static str = "a duration such as 30s, 5m, 1h or 7d";
    fn parse(text: &str) -> Result<Self, String> {
        words::parse_duration(text).map_or_else(|| expected(Self::SHAPE), Ok)
    }
}

/// A duration whose bare numbers are milliseconds, as the reference server writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millis(pub Duration);

impl Setting for Millis {
    const SHAPE: &'static str = "a duration such as 30s, 5m, 1h or 7d, or a number of milliseconds";
    fn parse(text: &str) -> Result<Self, String> {
        let bare = text.trim().parse().ok().map(Duration::from_millis);
        bare.or_else(|| words::parse_duration(text))
            .map_or_else(|| expected(Self::SHAPE), |time| Ok(Self(time)))
    }
}

/// A domain that handles stand under, with its leading dot, lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandleDomain(pub String);

impl Setting for HandleDomain {
    const SHAPE: &'static str = "a domain such as .example.com";
    fn parse(text: &str) -> Result<Self, String> {
        let domain = text.trim_start_matches('.').to_ascii_lowercase();
        // `.test` is a domain too.
        if Handle::parse(&format!("a.{domain}")).is_err() {
            return expected(Self::SHAPE);
        }
        Ok(Self(format!(".{domain}")))
    }
}

/// A size in bytes, written `500MB` or `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl Setting for Size {
    const SHAPE: &'static str = "a size such as 500MB or 2GiB";
    fn parse(text: &str) -> Result<Self, String> {
        words::parse_size(text).map_or_else(|| expected(Self::SHAPE), |bytes| Ok(Self(bytes)))
    }
}

impl<T: Setting> Setting for Option<T> {
    const SHAPE: &'static str = T::SHAPE;
    const SECRET: bool = T::SECRET;
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }
}

impl<T: Setting> Setting for Vec<T> {
    const SHAPE: &'static str = "a list, separated by commas";
    const SECRET: bool = T::SECRET;
    fn parse(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| T::parse(part).map_err(|shape| format!("{}, each {shape}", Self::SHAPE)))
            .collect()
    }
}

/// A value that is never shown: printing it gives `(hidden)`. Also read from `NAME_FILE`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Setting for Secret {
    const SHAPE: &'static str = "a secret";
    const SECRET: bool = true;
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

/// A web address without path: scheme, host name and perhaps a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebUrl(url::Url);

impl WebUrl {
    /// Its host name or address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Scheme, host and port, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }
}

impl Setting for WebUrl {
    const SHAPE: &'static str = "a URL such as https://archive.example.com";
    fn parse(text: &str) -> Result<Self, String> {
        match url::Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() && url.path() == "/" => {
                Ok(Self(url))
            }
            _ => expected(Self::SHAPE),
        }
    }
}

/// Root certificates in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaFile(Vec<Vec<u8>>);

impl CaFile {
    /// What is in it, DER.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.0
    }
}

impl Setting for CaFile {
    const SHAPE: &'static str = "a file of root certificates (PEM)";
    fn parse(text: &str) -> Result<Self, String> {
        let read = p2pds_net::read_roots(Path::new(text));
        read.map(Self).map_err(|why| format!("{}: {why}", Self::SHAPE))
    }
}

/// The web address of somebody else's service, or `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl(Option<String>);

impl ServiceUrl {
    /// It, without a slash at the end; nothing for `none`.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl Setting for ServiceUrl {
    const SHAPE: &'static str = "a URL such as https://service.example.com, or none";
    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        match url::Url::parse(text) {
            Ok(url)
                if matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() =>
            {
                Ok(Self(Some(text.trim_end_matches('/').to_owned())))
            }
            _ => expected(Self::SHAPE),
        }
    }
}

/// An address that mail can be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailAddress(String);

impl MailAddress {
    /// It.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for MailAddress {
    const SHAPE: &'static str = "an e-mail address such as you@example.com";
    fn parse(text: &str) -> Result<Self, String> {
        match check_address(text) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(_) => expected(Self::SHAPE),
        }
    }
}

/// A mail server as one URL, which holds its password.
#[derive(Clone, PartialEq, Eq)]
pub struct MailUrl(String);

impl MailUrl {
    /// The URL itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for MailUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Setting for MailUrl {
    const SHAPE: &'static str = "a URL of a mail server such as smtps://user:password@mail.example.com";
    const SECRET: bool = true;
    fn parse(text: &str) -> Result<Self, String> {
        let server = SmtpConfig::Url(Zeroizing::new(text.to_owned()));
        if check_smtp(&server).is_err() {
            return expected(Self::SHAPE);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether this node hosts accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostingMode {
    /// When it is set up for it.
    Auto,
    /// Yes.
    On,
    /// No.
    Off,
}

impl Setting for HostingMode {
    const SHAPE: &'static str = "auto, on or off";
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "on" | "true" | "yes" | "1" => Ok(Self::On),
            "off" | "false" | "no" | "0" => Ok(Self::Off),
            _ => expected(Self::SHAPE),
        }
    }
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// From its first byte.
    Tls,
    /// From the STARTTLS command on, which must succeed.
    StartTls,
    /// Not at all: for a server on this machine.
    None,
}

impl Setting for MailTls {
    const SHAPE: &'static str = "tls, starttls or none";
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "tls" => Ok(Self::Tls),
            "starttls" => Ok(Self::StartTls),
            "none" => Ok(Self::None),
            _ => expected(Self::SHAPE),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON lines otherwise.
    Auto,
    /// One line of text for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Accounts whose unannounced changes raise an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmFor {
    /// All of them.
    All,
    /// Those of which everything is kept.
    Own,
}

impl Setting for AlarmFor {
    const SHAPE: &'static str = "all or own";
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "own" => Ok(Self::Own),
            _ => expected(Self::SHAPE),
        }
    }
}

impl Setting for LogFormat {
    const SHAPE: &'static str = "auto, text or json";
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => expected(Self::SHAPE),
        }
    }
}
