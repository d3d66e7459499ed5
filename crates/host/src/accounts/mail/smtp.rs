//! Handing a mail to the server that is set for it.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, Error as SmtpError};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use p2pds_store::hosting::MailRow;

use super::words::{MODERATION, Words};
use crate::accounts::config::{SmtpConfig, SmtpTls};
use crate::host::Host;

/// How long a mail server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// Why a mail was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSent {
    /// In plain words, the server's own among them.
    pub why: String,
    /// Trying again helps nothing.
    pub for_good: bool,
}

impl NotSent {
    fn for_good(why: impl Into<String>) -> Self {
        Self { why: why.into(), for_good: true }
    }
}

/// Tells mail programs that no person wrote this.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// A mail server and who writes through it. A node that hosts nobody sends its own mail so too.
#[derive(Debug, Clone)]
pub struct Sender {
    server: SmtpConfig,
    /// The name that it greets the server with.
    hello: String,
    /// Address that its mail comes from.
    from: String,
    /// Root certificates (DER) that are believed beside the public ones.
    extra_roots: Vec<Vec<u8>>,
}

impl Sender {
    /// Through this server, greeted with this name, from this address.
    #[must_use]
    pub fn new(server: SmtpConfig, hello: &str, from: &str) -> Self {
        Self { server, hello: hello.to_owned(), from: from.to_owned(), extra_roots: Vec::new() }
    }

    /// With root certificates (DER) that are believed beside the public ones.
    #[must_use]
    pub fn trusting(self, extra_roots: Vec<Vec<u8>>) -> Self {
        Self { extra_roots, ..self }
    }

    /// Sends a mail that no person wrote. The same `id` is the same mail: who gets it twice can tell.
    ///
    /// # Errors
    /// Why it was not sent, in plain words.
    pub async fn send(&self, to: &str, subject: &str, text: &str, id: Option<&str>) -> Result<(), NotSent> {
        let words = Words { subject: subject.to_owned(), text: text.to_owned() };
        let id = id.map(|id| format!("<{id}@{}>", self.hello));
        self.hand_over(&message(&self.from, to, &words, Style { automatic: true, id })?).await
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// Why the server does not take this node's mail, in plain words.
    pub async fn check(&self) -> Result<(), NotSent> {
        match self.transport()?.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotSent::for_good("it closed the connection")),
            Err(error) => Err(not_sent(&error)),
        }
    }

    async fn hand_over(&self, message: &Message) -> Result<(), NotSent> {
        let sent = self.transport()?.send(message.clone()).await;
        sent.map(|_| ()).map_err(|error| not_sent(&error))
    }

    fn transport(&self) -> Result<Transport, NotSent> {
        transport(&self.server, &self.hello, &self.extra_roots).map_err(NotSent::for_good)
    }
}

/// What a mail has beside its words.
struct Style {
    automatic: bool,
    id: Option<String>,
}

/// Whether mail can be sent to this address.
///
/// # Errors
/// What is wrong with it.
pub fn check_address(text: &str) -> Result<(), String> {
    text.parse::<Mailbox>().map(|_| ()).map_err(|error| error.to_string())
}

impl Host {
    /// The server for mail of this kind.
    pub(crate) fn mail_server(&self, kind: &str) -> Option<&SmtpConfig> {
        let mail = &self.config().accounts.mail;
        if kind == MODERATION && mail.moderation_smtp.is_some() {
            return mail.moderation_smtp.as_ref();
        }
        mail.smtp.as_ref()
    }

    fn mail_from(&self, kind: &str) -> String {
        let mail = &self.config().accounts.mail;
        let moderation = mail.moderation_from.as_ref().filter(|_| kind == MODERATION);
        let from = moderation.or(mail.from.as_ref()).cloned();
        from.unwrap_or_else(|| format!("noreply@{}", self.config().hostname))
    }

    /// Sends a queued mail now. Each try has the same name, so that who gets it twice, because the node died before it
    /// wrote down that it was sent, sees one mail.
    pub(super) async fn send_queued(&self, row: &MailRow, words: &Words) -> Result<(), NotSent> {
        let id = format!("<mail-{}-{}@{}>", row.created_at, row.id, self.config().hostname);
        self.send_mail(&row.kind, &row.to, words, Some(id)).await
    }

    async fn send_mail(
        &self,
        kind: &str,
        to: &str,
        words: &Words,
        id: Option<String>,
    ) -> Result<(), NotSent> {
        let Some(server) = self.mail_server(kind) else {
            return Err(NotSent::for_good("no mail server is set (mail.smtp_url)"));
        };
        let sender = self.sender(server, kind);
        let style = Style { automatic: kind != MODERATION, id };
        sender.hand_over(&message(&sender.from, to, words, style)?).await
    }

    /// Connects to the mail server and logs in; `false` when none is set.
    ///
    /// # Errors
    /// Why it does not take this host's mail, in plain words.
    pub async fn check_mail_server(&self) -> Result<bool, NotSent> {
        let Some(server) = &self.config().accounts.mail.smtp else { return Ok(false) };
        self.sender(server, "test").check().await?;
        Ok(true)
    }

    fn sender(&self, server: &SmtpConfig, kind: &str) -> Sender {
        let roots = self.config().accounts.mail.extra_roots.clone();
        Sender::new(server.clone(), &self.config().hostname, &self.mail_from(kind)).trusting(roots)
    }

    /// Sends a test mail and waits for what the server says.
    ///
    /// # Errors
    /// Why it was not sent, in plain words.
    pub async fn send_test_mail(&self, to: &str) -> Result<(), NotSent> {
        self.send_mail("test", to, &Words::test(self.config()), None).await
    }
}

fn message(from: &str, to: &str, words: &Words, style: Style) -> Result<Message, NotSent> {
    let address = |text: &str, whose: &str| {
        text.parse::<Mailbox>().map_err(|error| NotSent::for_good(format!("{whose} {text:?}: {error}")))
    };
    let mut builder = Message::builder()
        .from(address(from, "the address that mail comes from (mail.from)")?)
        .to(address(to, "the address")?)
        .subject(&words.subject)
        .date_now()
        .message_id(style.id)
        .header(ContentType::TEXT_PLAIN);
    if style.automatic {
        builder = builder.header(AutoSubmitted);
    }
    builder.body(words.text.clone()).map_err(|error| NotSent::for_good(error.to_string()))
}

fn transport(server: &SmtpConfig, hostname: &str, roots: &[Vec<u8>]) -> Result<Transport, String> {
    let builder = match server {
        SmtpConfig::Url(url) => by_url(url, roots).map_err(|error| format!("mail.smtp_url: {error}"))?,
        SmtpConfig::Parts { host, port, tls, login } => {
            let mut builder = by_parts(host, *port, *tls, roots).map_err(|error| error.to_string())?;
            if let Some((user, password)) = login {
                builder = builder.credentials(Credentials::new(user.clone(), password.to_string()));
            }
            builder
        }
    };
    Ok(builder.hello_name(ClientId::Domain(hostname.to_owned())).timeout(Some(PATIENCE)).build())
}

/// What a server called so has to show: a certificate from the public roots, or from one of these.
fn parameters(host: &str, roots: &[Vec<u8>]) -> Result<TlsParameters, SmtpError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    for root in roots {
        builder = builder.add_root_certificate(Certificate::from_der(root.clone())?);
    }
    builder.build()
}

fn by_parts(
    host: &str,
    port: Option<u16>,
    tls: SmtpTls,
    roots: &[Vec<u8>],
) -> Result<AsyncSmtpTransportBuilder, SmtpError> {
    let builder = Transport::builder_dangerous(host);
    Ok(match tls {
        SmtpTls::None => builder.port(port.unwrap_or(25)),
        SmtpTls::Tls => builder.port(port.unwrap_or(465)).tls(Tls::Wrapper(parameters(host, roots)?)),
        SmtpTls::StartTls => builder.port(port.unwrap_or(587)).tls(Tls::Required(parameters(host, roots)?)),
    })
}

fn by_url(url: &str, roots: &[Vec<u8>]) -> Result<AsyncSmtpTransportBuilder, SmtpError> {
    let url = with_tls(url);
    let builder = Transport::from_url(&url)?;
    let parsed = url::Url::parse(&url).ok();
    let Some((parsed, host)) = parsed.as_ref().and_then(|url| Some((url, url.host_str()?))) else {
        return Ok(builder);
    };
    let asked = parsed.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
    Ok(match (parsed.scheme(), asked.as_deref()) {
        _ if roots.is_empty() => builder,
        ("smtps", _) => builder.tls(Tls::Wrapper(parameters(host, roots)?)),
        (_, Some("required")) => builder.tls(Tls::Required(parameters(host, roots)?)),
        (_, Some("opportunistic")) => builder.tls(Tls::Opportunistic(parameters(host, roots)?)),
        _ => builder,
    })
}

/// `smtp:` means STARTTLS where the server offers it, as those mean it who write such URLs; where there is a password
/// to lose it must be offered, unless the server is on this machine.
fn with_tls(url: &str) -> String {
    let Ok(parsed) = url::Url::parse(url) else { return url.to_owned() };
    if parsed.scheme() != "smtp" || parsed.query_pairs().any(|(name, _)| name == "tls") {
        return url.to_owned();
    }
    let here = match parsed.host_str() {
        Some("localhost") => true,
        Some(name) => name
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => true,
    };
    if here {
        return url.to_owned();
    }
    let tls = if parsed.username().is_empty() { "opportunistic" } else { "required" };
    let mut parsed = parsed;
    parsed.query_pairs_mut().append_pair("tls", tls);
    parsed.to_string()
}

/// Whether a mail server's setting can be used.
///
/// # Errors
/// What is wrong with it, without its password.
pub fn check_smtp(server: &SmtpConfig) -> Result<(), String> {
    transport(server, "localhost", &[]).map(|_| ())
}

fn not_sent(error: &SmtpError) -> NotSent {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !why.contains(&text) {
            why = format!("{why}: {text}");
        }
        source = cause.source();
    }
    NotSent { why, for_good: error.is_permanent() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_mean_what_their_writers_mean() {
        for (url, tls) in [
            ("smtp://mail.example.com:587", Some("tls=opportunistic")),
            ("smtp://u:p@mail.example.com", Some("tls=required")),
            ("smtp://u:p@mail.example.com?tls=opportunistic", None),
            ("smtp://127.0.0.1:2525", None),
            ("smtp://[::1]:2525", None),
            ("smtps://u:p%40@mail.example.com", None),
        ] {
            let read = with_tls(url);
            match tls {
                Some(tls) => assert!(read.contains(tls), "{read}"),
                None => assert_eq!(read, url),
            }
            assert!(check_smtp(&SmtpConfig::Url(url.to_owned().into())).is_ok(), "{url}");
        }
        assert!(check_smtp(&SmtpConfig::Url("http://example.com".to_owned().into())).is_err());
    }

    #[test]
    fn a_subject_brings_no_header_of_its_own() {
        let words = Words { subject: "a\r\nBcc: x@example.com".into(), text: "text".into() };
        let style = |id: Option<&str>| Style { automatic: true, id: id.map(str::to_owned) };
        let message = message("noreply@pds.example.com", "a@example.com", &words, style(None)).unwrap();
        let bytes = String::from_utf8(message.formatted()).unwrap();
        assert!(!bytes.lines().any(|line| line.starts_with("Bcc:")), "{bytes}");
        assert!(bytes.contains("Auto-Submitted: auto-generated") && bytes.contains("Message-ID: <"));
        let named = super::message("a@example.com", "a@example.com", &words, style(Some("<x@y>"))).unwrap();
        assert!(String::from_utf8(named.formatted()).unwrap().contains("Message-ID: <x@y>"));
        let refused = super::message("x", "a@example.com", &words, style(None)).unwrap_err();
        assert!(refused.for_good && refused.why.contains("mail.from"));
    }
}
