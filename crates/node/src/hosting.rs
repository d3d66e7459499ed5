//! Hosting accounts: whether the settings want it, what they say about it, and the host that this makes.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use p2pds_archive::Archive;
use p2pds_blobs::{Blobs, Bucket};
use p2pds_directory::Directory;
use p2pds_host::accounts::{AccountsConfig, MailConfig, SmtpConfig, SmtpTls};
use p2pds_host::blobs::BlobsConfig;
use p2pds_host::firehose::FirehoseConfig;
use p2pds_host::keys::{DIRECTORY, Fresh, GivenKeys, Keys};
use p2pds_host::relay::RelayConfig;
use p2pds_host::relay::pace::PaceConfig;
use p2pds_host::{ArchiveSide, Host, HostConfig, HostDeps, SingleUser};
use p2pds_net::Client;
use p2pds_reading::Reading;
use p2pds_store::Store;
use p2pds_syntax::Did;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::config::setting::{HostingMode, MailTls, MailUrl, Secret};
use crate::operator::Failure;
use crate::words::now_micros;

/// The relay that nearly everybody reads.
const RELAY: &str = "https://bsky.network";
/// Host name of development.
const LOCALHOST: &str = "localhost";

/// What a host stands on, from the engine.
pub struct Parts {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The blobs.
    pub blobs: Blobs,
    /// The outbound client.
    pub net: Client,
    /// Identities.
    pub directory: Arc<Directory>,
    /// The door to stored bytes.
    pub reading: Reading,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// The archive of this node, as the host sees it.
pub struct ArchiveBeside(pub Archive);

#[async_trait]
impl ArchiveSide for ArchiveBeside {
    async fn hold(&self, did: &Did) -> Box<dyn Any + Send> {
        Box::new(self.0.hold(did).await)
    }

    fn changed_hands(&self, did: &Did) {
        self.0.changed_hands(did);
    }
}

/// The host, if this node is one.
///
/// # Errors
/// The settings ask for a host and do not say enough, or its keys cannot be read.
pub async fn open(config: &Config, dir: &Path, parts: Parts) -> anyhow::Result<Option<Host>> {
    let hosts_already = !parts.store.logins(None, 1).await?.is_empty();
    if !wanted(config, hosts_already) {
        return Ok(None);
    }
    let mut host_config = host_config(config)?;
    host_config.spool = dir.join("spool");
    let given = GivenKeys {
        plc_rotation_hex: exposed(config.hosting.plc_rotation_key.as_ref()),
        jwt_secret: exposed(config.hosting.jwt_secret.as_ref()),
    };
    let fresh = if hosts_already { Fresh::MustExist } else { Fresh::Make };
    let keys_dir = dir.join(DIRECTORY);
    let keys = tokio::task::spawn_blocking(move || Keys::open(&keys_dir, &given, fresh))
        .await?
        .map_err(|error| Failure::new(error.kind().as_str(), error.to_string()))?;
    let Parts { store, blobs, net, directory, reading } = parts;
    let (clock, keys) = (Arc::new(now_micros), Arc::new(keys));
    let host = Host::new(HostDeps { store, blobs, net, directory, reading, clock, keys }, host_config);
    host.ensure_single_user().await.map_err(|error| Failure::new(error.kind().as_str(), error.message))?;
    Ok(Some(host))
}

/// What to type next on a hosting node: the commands themselves.
///
/// # Errors
/// The store does not answer.
pub async fn next(store: &Arc<dyn Store>, host: &Host, program: &str) -> anyhow::Result<String> {
    let config = host.config();
    let domain = config.handle_domains.first().map_or(".example.com", String::as_str);
    let line = |command: &str, what: &str| format!("{program} {command:<25}   {what}");
    let first = match (store.logins(None, 1).await?.is_empty(), config.invite_required) {
        (true, _) => {
            line(&format!("account create you{domain} --email YOU@EXAMPLE.COM"), "the first account")
        }
        (false, true) => line("invite create", "a code with which somebody signs up"),
        (false, false) => line("account list", "who is hosted here"),
    };
    let second = line("doctor", "what does not work yet, and how to mend it");
    Ok(format!("{first}\n\x20            {second}"))
}

/// Whether this node hosts accounts.
#[must_use]
pub fn wanted(config: &Config, hosts_already: bool) -> bool {
    match config.hosting.enabled {
        HostingMode::On => true,
        HostingMode::Off => false,
        HostingMode::Auto => hosts_already || set_up(config),
    }
}

/// Whether somebody set this node up as a host.
fn set_up(config: &Config) -> bool {
    let (hosting, single) = (&config.hosting, &config.single_user);
    let named = config.http.hostname.is_some() || hosting.dev_mode;
    let secret = hosting.jwt_secret.is_some()
        || hosting.admin_password.is_some()
        || hosting.plc_rotation_key.is_some()
        || (single.did.is_some() && single.signing_key.is_some());
    named && secret
}

/// What the settings say to the host.
///
/// # Errors
/// Settings that do not go together, with what to set instead.
pub fn host_config(config: &Config) -> Result<HostConfig, Failure> {
    let hosting = &config.hosting;
    let hostname = hostname(config)?;
    let public_url = match &config.http.public_url {
        Some(url) => url.as_str().to_owned(),
        None if hosting.dev_mode => format!("http://{hostname}:{}", config.http.port),
        None => format!("https://{hostname}"),
    };
    let service_did = match &hosting.service_did {
        Some(did) => did.clone(),
        None => Did::parse(&format!("did:web:{hostname}")).map_err(|_| {
            refused(
                format!("`{hostname}` makes no DID"),
                "set http.hostname to a host name, or hosting.service_did",
            )
        })?,
    };
    let mut handle_domains: Vec<String> = hosting.handle_domains.iter().map(|d| d.0.clone()).collect();
    if handle_domains.is_empty() {
        let own = if hostname == LOCALHOST { ".test".to_owned() } else { format!(".{hostname}") };
        handle_domains.push(own);
    }
    Ok(HostConfig {
        hostname,
        public_url,
        service_did,
        dev_mode: hosting.dev_mode,
        handle_domains,
        recovery_key: hosting.recovery_key.clone(),
        plc_url: config.network.plc_url.trim_end_matches('/').to_owned(),
        invite_required: config.invites.required,
        blob_limit: config.blobstore.upload_limit.0,
        blobs: BlobsConfig {
            account_bytes: Some(config.blobstore.account_bytes.0).filter(|most| *most > 0),
            account_count: Some(u64::from(config.blobstore.account_count)).filter(|most| *most > 0),
            temporary_for: config.blobstore.temporary_for,
        },
        import_limit: Some(hosting.import_limit.0).filter(|limit| *limit > 0).unwrap_or(u64::MAX),
        fetch_limit: config.services.fetch_limit.0,
        imports: hosting.imports,
        // The caller knows the data directory.
        spool: std::path::PathBuf::new(),
        event_window: config.firehose.window.0,
        firehose: FirehoseConfig {
            max_buffer: config.firehose.max_buffer.into(),
            keep_events: config.firehose.keep_events,
            keep_bytes: config.firehose.keep_bytes.0,
        },
        relay: relay_config(config),
        accounts: accounts(config)?,
        single_user: single_user(config)?,
    })
}

fn accounts(config: &Config) -> Result<AccountsConfig, Failure> {
    let (invites, branding) = (&config.invites, &config.branding);
    Ok(AccountsConfig {
        invite_interval: invites.interval.map(|interval| interval.0),
        // The reference server counts milliseconds, the store microseconds.
        invite_epoch: i64::try_from(invites.epoch.saturating_mul(1_000)).unwrap_or(i64::MAX),
        did_doc_with_session: config.hosting.did_doc_with_session,
        service_name: branding.name.clone(),
        privacy_policy_url: branding.privacy_policy_url.clone(),
        terms_of_service_url: branding.terms_of_service_url.clone(),
        contact_email: branding.contact_email.clone(),
        mail: mail(config)?,
        ..AccountsConfig::default()
    })
}

/// What the settings say of mail, on a node that hosts nobody too.
///
/// # Errors
/// Settings that do not go together.
pub fn mail(config: &Config) -> Result<MailConfig, Failure> {
    let mail = &config.mail;
    let url = |url: &MailUrl| SmtpConfig::Url(Zeroizing::new(url.expose().to_owned()));
    let login = match (&mail.smtp_user, &mail.smtp_password) {
        (Some(user), Some(password)) => Some((user.clone(), Zeroizing::new(password.expose().to_owned()))),
        (None, None) => None,
        _ => {
            return Err(refused(
                "a mail server's user name and password belong together, and one of them is not set"
                    .to_owned(),
                "set mail.smtp_user (P2PDS_SMTP_USER) and mail.smtp_password (P2PDS_SMTP_PASSWORD), or neither",
            ));
        }
    };
    let parts = mail.smtp_host.as_ref().map(|host| SmtpConfig::Parts {
        host: host.clone(),
        port: mail.smtp_port,
        tls: match mail.smtp_tls {
            MailTls::Tls => SmtpTls::Tls,
            MailTls::StartTls => SmtpTls::StartTls,
            MailTls::None => SmtpTls::None,
        },
        login,
    });
    if mail.smtp_url.is_some() && parts.is_some() {
        return Err(refused(
            "a mail server is set twice: as one URL and by its host name".to_owned(),
            "set mail.smtp_url (PDS_EMAIL_SMTP_URL) or mail.smtp_host (P2PDS_SMTP_HOST), not both",
        ));
    }
    Ok(MailConfig {
        smtp: mail.smtp_url.as_ref().map(url).or(parts),
        from: mail.from.clone(),
        moderation_smtp: mail.moderation_smtp_url.as_ref().map(url),
        moderation_from: mail.moderation_from.clone(),
        extra_roots: config.network.extra_roots().to_vec(),
    })
}

/// Relays, and what they are sent at most.
fn relay_config(config: &Config) -> RelayConfig {
    let section = &config.firehose;
    let relays = match section.relays.as_slice() {
        [] if !config.hosting.dev_mode => vec![RELAY.to_owned()],
        said => said.iter().filter_map(|relay| relay.url().map(str::to_owned)).collect(),
    };
    let pace = PaceConfig {
        per_second: section.bulk_per_second,
        per_hour: section.bulk_per_hour,
        per_day: section.bulk_per_day,
        ..PaceConfig::default()
    };
    RelayConfig { relays, pace, check_every: section.check_relays.0 }
}

/// Where blobs lie: in a bucket, or on this disk.
///
/// # Errors
/// Settings that do not go together, or a directory that cannot be made.
pub fn blobs(config: &Config, data_dir: &Path) -> anyhow::Result<Blobs> {
    let section = &config.blobstore;
    let dir = section.disk_location.clone().unwrap_or_else(|| data_dir.join("blobs"));
    let Some(name) = section.s3_bucket.clone() else {
        return Blobs::open(&dir).map_err(|e| Failure::new(e.kind().as_str(), e.to_string()).into());
    };
    if section.disk_location.is_some() {
        let message = "blobs are to lie in a bucket and in a directory at once".to_owned();
        return Err(refused(message, "set blobstore.s3_bucket (PDS_BLOBSTORE_S3_BUCKET) or blobstore.disk_location (PDS_BLOBSTORE_DISK_LOCATION), not both").into());
    }
    let credentials = match (&section.s3_access_key_id, &section.s3_secret_access_key) {
        (Some(id), Some(secret)) => Some((id.clone(), secret.expose().to_owned())),
        (None, None) => None,
        _ => {
            let message = "of the bucket's access key and its secret one is not set".to_owned();
            let hint = "set blobstore.s3_access_key_id (PDS_BLOBSTORE_S3_ACCESS_KEY_ID) and blobstore.s3_secret_access_key \
                        (PDS_BLOBSTORE_S3_SECRET_ACCESS_KEY), or neither";
            return Err(refused(message, hint).into());
        }
    };
    let bucket = Bucket {
        name,
        region: section.s3_region.clone(),
        endpoint: section.s3_endpoint.as_ref().map(|url| url.as_str().to_owned()),
        path_style: section.s3_path_style,
        credentials,
        upload_timeout: section.s3_upload_timeout.0,
        request_timeout: section.s3_request_timeout.0,
        extra_roots: config.network.extra_roots().to_vec(),
    };
    // Uploads under way still pass through this disk.
    Blobs::open_bucket(&dir, bucket).map_err(|e| Failure::new(e.kind().as_str(), e.to_string()).into())
}

/// The name of a host: one that others can reach, or localhost in development.
fn hostname(config: &Config) -> Result<String, Failure> {
    let name = config.http.hostname.as_ref().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
    if config.hosting.dev_mode {
        return Ok(name.unwrap_or_else(|| LOCALHOST.to_owned()));
    }
    let Some(name) = name else {
        return Err(refused(
            "hosting is on, but this node has no host name".to_owned(),
            "set http.hostname (PDS_HOSTNAME) to the public name of this host; for development on this machine set \
             hosting.dev_mode (PDS_DEV_MODE=true); hosting.enabled=off keeps this an archive node",
        ));
    };
    let local = name == LOCALHOST || name.ends_with(".localhost") || !name.contains('.');
    if local || name.parse::<std::net::IpAddr>().is_ok() || name.contains(':') {
        return Err(refused(
            format!("hosting is on, but `{name}` is not a name that others can reach"),
            "set http.hostname (PDS_HOSTNAME) to a public host name; for development on this machine set \
             hosting.dev_mode (PDS_DEV_MODE=true)",
        ));
    }
    Ok(name)
}

fn single_user(config: &Config) -> Result<Option<SingleUser>, Failure> {
    let single = &config.single_user;
    let (did, handle) = match (&single.did, &single.handle) {
        (Some(did), Some(handle)) => (did.clone(), handle.clone()),
        (None, None) => return Ok(None),
        _ => {
            return Err(refused(
                "a single-user host needs both a DID and a handle, and one of them is not set".to_owned(),
                "set single_user.did (DID) and single_user.handle (HANDLE), or neither",
            ));
        }
    };
    if let (Some(public), Some(key)) = (&single.signing_key_public, &single.signing_key) {
        SingleUser::check_pair(key.expose(), public).map_err(|what| {
            refused(what, "set both to the halves of one key, or leave single_user.signing_key_public out")
        })?;
    }
    Ok(Some(SingleUser {
        did,
        handle,
        signing_key: exposed(single.signing_key.as_ref()),
        auth_token: exposed(single.auth_token.as_ref()),
        password_hash: exposed(single.password_hash.as_ref()),
    }))
}

fn exposed(secret: Option<&Secret>) -> Option<Zeroizing<String>> {
    secret.map(|secret| Zeroizing::new(secret.expose().to_owned()))
}

fn refused(message: String, hint: &str) -> Failure {
    Failure::new("invalid", message).hint(hint)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn load(env: &[(&str, &str)]) -> Config {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Config::load(BTreeMap::new(), env, None, Path::new("/nonexistent")).unwrap().config
    }

    #[test]
    fn a_node_hosts_when_it_is_set_up_for_it() {
        let name = ("PDS_HOSTNAME", "pds.example.com");
        for (env, on) in [
            (vec![], false),
            (vec![name], false),
            (vec![("PDS_JWT_SECRET", "x")], false),
            (vec![name, ("PDS_JWT_SECRET", "x")], true),
            (vec![name, ("PDS_ADMIN_PASSWORD", "x")], true),
            (vec![name, ("PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX", "x")], true),
            (vec![name, ("DID", "did:web:a.test")], false),
            (vec![name, ("DID", "did:web:a.test"), ("SIGNING_KEY", "x")], true),
            (vec![name, ("PDS_JWT_SECRET", "x"), ("P2PDS_HOSTING", "off")], false),
            (vec![("P2PDS_HOSTING", "on")], true),
        ] {
            assert_eq!(wanted(&load(&env), false), on, "{env:?}");
        }
        assert!(wanted(&load(&[]), true), "who hosts accounts goes on hosting them");
        assert!(!wanted(&load(&[("P2PDS_HOSTING", "off")]), true));
    }

    #[test]
    fn development_is_said_never_guessed() {
        let on = ("P2PDS_HOSTING", "on");
        for env in
            [vec![on], vec![on, ("PDS_HOSTNAME", "localhost")], vec![on, ("PDS_HOSTNAME", "192.0.2.1")]]
        {
            let refused = host_config(&load(&env)).unwrap_err();
            assert!(refused.hint.unwrap().contains("PDS_DEV_MODE=true"), "{env:?}");
        }
        let dev = host_config(&load(&[on, ("PDS_DEV_MODE", "true"), ("PDS_PORT", "2583")])).unwrap();
        assert_eq!((dev.hostname.as_str(), dev.public_url.as_str()), ("localhost", "http://localhost:2583"));
        assert_eq!(dev.service_did.as_str(), "did:web:localhost");
        assert_eq!(dev.handle_domains, [".test"]);
        let public = host_config(&load(&[on, ("PDS_HOSTNAME", "PDS.example.com")])).unwrap();
        assert_eq!(public.public_url, "https://pds.example.com");
        assert_eq!(public.service_did.as_str(), "did:web:pds.example.com");
        assert_eq!(public.handle_domains, [".pds.example.com"]);
    }

    #[test]
    fn half_a_single_user_is_refused() {
        let load = |env: &[(&str, &str)]| {
            let mut all = vec![("P2PDS_HOSTING", "on"), ("PDS_HOSTNAME", "pds.example.com")];
            all.extend_from_slice(env);
            host_config(&load(&all))
        };
        let (did, handle) = (("DID", "did:web:alice.example.com"), ("HANDLE", "alice.example.com"));
        assert!(load(&[did]).is_err() && load(&[handle]).is_err());
        assert!(load(&[did, handle]).unwrap().single_user.is_some());
        let key = ("SIGNING_KEY", "0101010101010101010101010101010101010101010101010101010101010101");
        let other = load(&[did, handle, key, ("SIGNING_KEY_PUBLIC", "did:key:zother")]).unwrap_err();
        assert!(other.message.contains("do not belong together"), "{}", other.message);
    }
}
