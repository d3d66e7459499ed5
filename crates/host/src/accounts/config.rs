//! What is set for accounts and their mail.

use std::time::Duration;

use zeroize::Zeroizing;

/// Settings of accounts.
#[derive(Debug, Clone)]
pub struct AccountsConfig {
    /// How often an account gets an invite code to give away; never unless set.
    pub invite_interval: Option<Duration>,
    /// From when those are counted, microseconds since 1970.
    pub invite_epoch: i64,
    /// Whether a session comes with the account's DID document.
    pub did_doc_with_session: bool,
    /// Name of this host in mail.
    pub service_name: Option<String>,
    /// Its privacy policy.
    pub privacy_policy_url: Option<String>,
    /// Its terms of service.
    pub terms_of_service_url: Option<String>,
    /// Address of its operator.
    pub contact_email: Option<String>,
    /// Domains whose addresses nobody may sign up with.
    pub refused_email_domains: Vec<String>,
    /// How long a deactivated account that was brought here and never activated is kept.
    pub abandoned_after: Duration,
    /// Mail.
    pub mail: MailConfig,
}

impl Default for AccountsConfig {
    fn default() -> Self {
        let refused =
            ["mailinator.com", "guerrillamail.com", "yopmail.com", "10minutemail.com", "temp-mail.org"];
        Self {
            invite_interval: None,
            invite_epoch: 0,
            did_doc_with_session: true,
            service_name: None,
            privacy_policy_url: None,
            terms_of_service_url: None,
            contact_email: None,
            refused_email_domains: refused.map(str::to_owned).to_vec(),
            abandoned_after: Duration::from_secs(30 * 24 * 3_600),
            mail: MailConfig::default(),
        }
    }
}

/// Settings of mail.
#[derive(Debug, Clone, Default)]
pub struct MailConfig {
    /// The server that takes it; without one it waits for the operator.
    pub smtp: Option<SmtpConfig>,
    /// Address that it comes from; `noreply@` this host unless set.
    pub from: Option<String>,
    /// Another server for messages of moderators.
    pub moderation_smtp: Option<SmtpConfig>,
    /// Address that those come from.
    pub moderation_from: Option<String>,
    /// Root certificates (DER) that are believed beside the public ones.
    pub extra_roots: Vec<Vec<u8>>,
}

/// How a mail server is reached.
#[derive(Clone)]
pub enum SmtpConfig {
    /// By a URL: `smtps://user:password@mail.example.com`.
    Url(Zeroizing<String>),
    /// By its parts.
    Parts {
        /// Host name.
        host: String,
        /// Port; the usual one of the protection unless set.
        port: Option<u16>,
        /// How the connection is protected.
        tls: SmtpTls,
        /// User name and password.
        login: Option<(String, Zeroizing<String>)>,
    },
}

impl std::fmt::Debug for SmtpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SmtpConfig")
    }
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// From its beginning.
    Tls,
    /// After a greeting.
    StartTls,
    /// Not at all: for servers on this machine.
    None,
}
