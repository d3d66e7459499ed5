//! The sections of a node that hosts accounts. Their doc comments are the reference page.

use std::path::PathBuf;
use std::time::Duration;

use p2pds_syntax::{Did, Handle};
use p2pds_xrpc::Net;

use super::section::section;
use super::setting::{HandleDomain, HostingMode, MailTls, MailUrl, Millis, Secret, ServiceUrl, Size, WebUrl};

section! {
    /// Hosting accounts: being their Personal Data Server. See docs/hosting.md.
    pub struct HostingSection in "hosting" {
        /// Whether this node hosts accounts. `auto` does when it has a host name and one of the admin
        /// password, the JWT secret, the PLC rotation key or the account of a single-user host is set,
        /// and when accounts are hosted here already.
        enabled: HostingMode = "auto", env ["P2PDS_HOSTING"];
        /// DEVELOPMENT ONLY: plain HTTP, the host name localhost, handles under .test, and requests to
        /// this machine. Nothing else turns these on.
        dev_mode: bool = "false", env ["P2PDS_DEV_MODE", "PDS_DEV_MODE"];
        /// DID of this service; did:web with the host name unless set.
        service_did: Option<Did> = "", env ["P2PDS_SERVICE_DID", "PDS_SERVICE_DID"];
        /// Domains under which handles are given out, such as .example.com; the host name's own unless
        /// set. Each needs a DNS record for all names under it, and a certificate.
        handle_domains: Vec<HandleDomain> = "", env ["P2PDS_HANDLE_DOMAINS", "PDS_SERVICE_HANDLE_DOMAINS"];
        /// Password of the operator for `com.atproto.admin` methods (user name admin). Without one those
        /// answer nobody; `p2pds account` and `p2pds admin` work all the same.
        admin_password: Option<Secret> = "", env ["P2PDS_ADMIN_PASSWORD", "PDS_ADMIN_PASSWORD"];
        /// Secret that sessions are signed with. Made at the first start and kept in the data directory
        /// unless set. With another one everybody has to log in again.
        jwt_secret: Option<Secret> = "", env ["P2PDS_JWT_SECRET", "PDS_JWT_SECRET", "JWT_SECRET"];
        /// K-256 private key, in hex, that may change the identities made here. Made at the first start
        /// and kept in the data directory unless set.
        plc_rotation_key: Option<Secret> = "", env ["P2PDS_PLC_ROTATION_KEY", "PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX"];
        /// A did:key that stands before the one above in identities made here, such as a key of yours
        /// that is kept elsewhere.
        recovery_key: Option<String> = "", env ["P2PDS_RECOVERY_KEY", "PDS_RECOVERY_DID_KEY"];
        /// Whether accounts may bring their repo with them.
        imports: bool = "true", env ["P2PDS_REPO_IMPORTS", "PDS_ACCEPTING_REPO_IMPORTS"];
        /// Largest repo that is taken in.
        import_limit: Size = "4GB", env ["P2PDS_IMPORT_LIMIT", "PDS_MAX_REPO_IMPORT_SIZE"];
        /// Give the DID document with each session, so that clients need not fetch it.
        did_doc_with_session: bool = "true", env ["P2PDS_DID_DOC_WITH_SESSION", "PDS_ENABLE_DID_DOC_WITH_SESSION"];
        /// DID that every lexicon is looked up under, instead of what DNS says.
        lexicon_authority: Option<Did> = "", env ["P2PDS_LEXICON_AUTHORITY", "PDS_LEXICON_AUTHORITY_DID"];
    }
}

section! {
    /// A host for one account. It is made at the start, under a DID and a key that exist already.
    pub struct SingleUserSection in "single_user" {
        /// DID of the account.
        did: Option<Did> = "", env ["P2PDS_SINGLE_DID", "DID"];
        /// Its handle.
        handle: Option<Handle> = "", env ["P2PDS_SINGLE_HANDLE", "HANDLE"];
        /// The private key that its commits are signed with, in hex or base64.
        signing_key: Option<Secret> = "", env ["P2PDS_SINGLE_SIGNING_KEY", "SIGNING_KEY"];
        /// The public half of that key, as a check that both belong together.
        signing_key_public: Option<String> = "", env ["P2PDS_SINGLE_SIGNING_KEY_PUBLIC", "SIGNING_KEY_PUBLIC"];
        /// Bearer token that stands for the account's own session.
        auth_token: Option<Secret> = "", env ["P2PDS_SINGLE_AUTH_TOKEN", "AUTH_TOKEN"];
        /// Hash of its password (argon2, or the reference's scrypt), for logging in.
        password_hash: Option<Secret> = "", env ["P2PDS_SINGLE_PASSWORD_HASH", "PASSWORD_HASH"];
    }
}

section! {
    /// Invites: who may sign up.
    pub struct InvitesSection in "invites" {
        /// Whether signing up needs an invite code (`p2pds invite create`).
        required: bool = "true", env ["P2PDS_INVITE_REQUIRED", "PDS_INVITE_REQUIRED"];
        /// Every account gets a code to give away each so often; a number alone counts milliseconds.
        interval: Option<Millis> = "", env ["P2PDS_INVITE_INTERVAL", "PDS_INVITE_INTERVAL"];
        /// The time from which those codes are counted, in milliseconds since 1970.
        epoch: u64 = "0", env ["P2PDS_INVITE_EPOCH", "PDS_INVITE_EPOCH"];
    }
}

section! {
    /// E-mail to the people of hosted accounts. Without a mail server it is kept in a spool that
    /// `p2pds mail` shows.
    pub struct MailSection in "mail" {
        /// The mail server as one URL: smtps://user:password@mail.example.com. Write what is special in
        /// the password as %40; or use the settings below.
        smtp_url: Option<MailUrl> = "", env ["P2PDS_SMTP_URL", "PDS_EMAIL_SMTP_URL"];
        /// Host name of the mail server, when it is not set as one URL.
        smtp_host: Option<String> = "", env ["P2PDS_SMTP_HOST"];
        /// Its port: 465 for tls, 587 for starttls, 25 for none, unless set.
        smtp_port: Option<u16> = "", env ["P2PDS_SMTP_PORT"];
        /// How the connection is protected.
        smtp_tls: MailTls = "tls", env ["P2PDS_SMTP_TLS"];
        /// User name there.
        smtp_user: Option<String> = "", env ["P2PDS_SMTP_USER"];
        /// Password there, as it is.
        smtp_password: Option<Secret> = "", env ["P2PDS_SMTP_PASSWORD"];
        /// Address that messages come from.
        from: Option<String> = "", env ["P2PDS_MAIL_FROM", "PDS_EMAIL_FROM_ADDRESS"];
        /// Send codes to type only, no link that confirms an address.
        no_confirmation_link: bool = "false", env ["P2PDS_MAIL_NO_CONFIRMATION_LINK", "PDS_EMAIL_DISABLE_CONFIRMATION_LINK"];
        /// Another mail server for messages of moderators, as one URL.
        moderation_smtp_url: Option<MailUrl> = "", env ["P2PDS_MODERATION_SMTP_URL", "PDS_MODERATION_EMAIL_SMTP_URL"];
        /// Address that those come from.
        moderation_from: Option<String> = "", env ["P2PDS_MODERATION_FROM", "PDS_MODERATION_EMAIL_ADDRESS"];
    }
}

section! {
    /// Where blobs lie, and how much of them. On this disk, or in a bucket of an S3 service when one is
    /// named. Blobs are not moved from one to the other.
    pub struct BlobstoreSection in "blobstore" {
        /// Largest blob that is taken from a hosted account.
        upload_limit: Size = "300MiB", env ["P2PDS_BLOB_UPLOAD_LIMIT", "PDS_BLOB_UPLOAD_LIMIT"];
        /// Most bytes of blobs of one hosted account; 0 is no limit.
        account_bytes: Size = "20GB", env ["P2PDS_BLOB_ACCOUNT_BYTES"];
        /// Most blobs of one hosted account; 0 is no limit.
        account_count: u32 = "200000", env ["P2PDS_BLOB_ACCOUNT_COUNT"];
        /// How long an upload may wait for the record that names it. At least an hour and at most a day.
        temporary_for: Duration = "6h", env ["P2PDS_BLOB_TEMPORARY_FOR"];
        /// Directory of the blobs; `blobs` in the data directory unless set.
        disk_location: Option<PathBuf> = "", env ["P2PDS_BLOB_DIR", "PDS_BLOBSTORE_DISK_LOCATION"];
        /// Bucket of an S3 service.
        s3_bucket: Option<String> = "", env ["P2PDS_S3_BUCKET", "PDS_BLOBSTORE_S3_BUCKET"];
        /// Its region.
        s3_region: Option<String> = "", env ["P2PDS_S3_REGION", "PDS_BLOBSTORE_S3_REGION"];
        /// URL of the service, when it is not Amazon's.
        s3_endpoint: Option<WebUrl> = "", env ["P2PDS_S3_ENDPOINT", "PDS_BLOBSTORE_S3_ENDPOINT"];
        /// The bucket's name stands in the path of URLs, not in the host name.
        s3_path_style: bool = "false", env ["P2PDS_S3_PATH_STYLE", "PDS_BLOBSTORE_S3_FORCE_PATH_STYLE"];
        /// Access key.
        s3_access_key_id: Option<String> = "", env ["P2PDS_S3_ACCESS_KEY_ID", "PDS_BLOBSTORE_S3_ACCESS_KEY_ID"];
        /// Its secret.
        s3_secret_access_key: Option<Secret> = "", env ["P2PDS_S3_SECRET_ACCESS_KEY", "PDS_BLOBSTORE_S3_SECRET_ACCESS_KEY"];
        /// How long an upload of one piece (8 MiB) may take; a number alone counts milliseconds.
        s3_upload_timeout: Millis = "60s", env ["P2PDS_S3_UPLOAD_TIMEOUT", "PDS_BLOBSTORE_S3_UPLOAD_TIMEOUT_MS"];
        /// How long any other request to the service may take; a number alone counts milliseconds.
        s3_request_timeout: Millis = "30s", env ["P2PDS_S3_REQUEST_TIMEOUT", "PDS_BLOBSTORE_S3_REQUEST_TIMEOUT_MS"];
    }
}

section! {
    /// The stream of changes that relays and others read, and which relays are told of this host.
    pub struct FirehoseSection in "firehose" {
        /// Relays that are asked to follow this host; `none` for none. Unless set, and not in
        /// development, that is https://bsky.network.
        relays: Vec<ServiceUrl> = "", env ["P2PDS_RELAYS", "PDS_CRAWLERS"];
        /// How long events are kept for readers that come back; a number alone counts milliseconds.
        window: Millis = "3d", env ["P2PDS_EVENT_WINDOW", "PDS_REPO_BACKFILL_LIMIT_MS"];
        /// Most events kept.
        keep_events: u64 = "10000000", env ["P2PDS_KEEP_EVENTS"];
        /// Most disk space for them.
        keep_bytes: Size = "20GB", env ["P2PDS_KEEP_EVENT_BYTES"];
        /// Events that one reader may be behind the newest before it is told that it is too slow.
        max_buffer: u32 = "500", env ["P2PDS_MAX_SUBSCRIPTION_BUFFER", "PDS_MAX_SUBSCRIPTION_BUFFER"];
        /// Events that all accounts writing in bulk may send in a second. What relays accept of a whole
        /// host; ordinary writes never wait. With no relays there is no such limit.
        bulk_per_second: u32 = "50", env ["P2PDS_BULK_PER_SECOND"];
        /// In an hour.
        bulk_per_hour: u32 = "2500", env ["P2PDS_BULK_PER_HOUR"];
        /// In a day.
        bulk_per_day: u32 = "20000", env ["P2PDS_BULK_PER_DAY"];
        /// How often relays are asked whether they follow this host.
        check_relays: Millis = "10m", env ["P2PDS_CHECK_RELAYS"];
    }
}

section! {
    /// Services of others that requests of hosted accounts are passed on to.
    pub struct ServicesSection in "services" {
        /// The AppView; `none` for none. Unless set, and not in development, that is
        /// https://api.bsky.app.
        appview_url: Option<ServiceUrl> = "", env ["P2PDS_APPVIEW_URL", "PDS_BSKY_APP_VIEW_URL"];
        /// Its DID.
        appview_did: Option<String> = "", env ["P2PDS_APPVIEW_DID", "PDS_BSKY_APP_VIEW_DID"];
        /// Where it serves images: a URL with %s for preset, DID and CID.
        appview_cdn_url_pattern: Option<String> = "", env ["P2PDS_APPVIEW_CDN_URL_PATTERN", "PDS_BSKY_APP_VIEW_CDN_URL_PATTERN"];
        /// The service whose moderators may act on accounts here.
        moderation_url: Option<ServiceUrl> = "", env ["P2PDS_MODERATION_URL", "PDS_MOD_SERVICE_URL"];
        /// Its DID.
        moderation_did: Option<String> = "", env ["P2PDS_MODERATION_DID", "PDS_MOD_SERVICE_DID"];
        /// The service that reports go to; the one above unless set.
        report_url: Option<ServiceUrl> = "", env ["P2PDS_REPORT_URL", "PDS_REPORT_SERVICE_URL"];
        /// Its DID.
        report_did: Option<String> = "", env ["P2PDS_REPORT_DID", "PDS_REPORT_SERVICE_DID"];
        /// How long such a service may take to begin its answer; a number alone counts milliseconds.
        headers_timeout: Millis = "10s", env ["P2PDS_PROXY_HEADERS_TIMEOUT", "PDS_PROXY_HEADERS_TIMEOUT"];
        /// How long it may be silent within an answer; a number alone counts milliseconds.
        body_timeout: Millis = "30s", env ["P2PDS_PROXY_BODY_TIMEOUT", "PDS_PROXY_BODY_TIMEOUT"];
        /// Largest answer that is passed on.
        max_response: Size = "10MiB", env ["P2PDS_PROXY_MAX_RESPONSE", "PDS_PROXY_MAX_RESPONSE_SIZE"];
        /// Further tries after the first, for requests that only read.
        max_retries: u32 = "0", env ["P2PDS_PROXY_MAX_RETRIES", "PDS_PROXY_MAX_RETRIES"];
        /// Largest lexicon schema, with its proof, that is fetched to check a record. Other documents of
        /// others have smaller limits of their own.
        fetch_limit: Size = "512KiB", env ["P2PDS_FETCH_LIMIT", "PDS_FETCH_MAX_RESPONSE_SIZE"];
    }
}

section! {
    /// What callers of a hosting node may cost. `serving.rate_limits` turns all of it on and off.
    pub struct LimitsSection in "limits" {
        /// Requests with this in the header x-ratelimit-bypass are not counted.
        bypass_key: Option<Secret> = "", env ["P2PDS_RATE_LIMIT_BYPASS_KEY", "PDS_RATE_LIMIT_BYPASS_KEY"];
        /// Addresses, or ranges of them, whose requests are not counted.
        bypass_ips: Vec<Net> = "", env ["P2PDS_RATE_LIMIT_BYPASS_IPS", "PDS_RATE_LIMIT_BYPASS_IPS"];
    }
}

section! {
    /// What this host calls itself, in `describeServer` and in e-mail.
    pub struct BrandingSection in "branding" {
        /// Its name; the host name unless set.
        name: Option<String> = "", env ["P2PDS_SERVICE_NAME", "PDS_SERVICE_NAME"];
        /// Its privacy policy.
        privacy_policy_url: Option<String> = "", env ["P2PDS_PRIVACY_POLICY_URL", "PDS_PRIVACY_POLICY_URL"];
        /// Its terms of service.
        terms_of_service_url: Option<String> = "", env ["P2PDS_TERMS_OF_SERVICE_URL", "PDS_TERMS_OF_SERVICE_URL"];
        /// Address of its operator.
        contact_email: Option<String> = "", env ["P2PDS_CONTACT_EMAIL", "PDS_CONTACT_EMAIL_ADDRESS"];
    }
}
