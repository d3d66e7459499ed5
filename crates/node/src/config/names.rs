//! Names in the environment that look like ours: aliases, names of what comes later, slips of the pen.

use std::collections::BTreeMap;

use super::Config;
use super::layers::Layers;
use super::section::SettingInfo;
use crate::words;

/// Names that early descriptions of this program use. They are accepted beside ours; a line at the
/// start says which to prefer.
const ALIASES: &[&str] = &[
    "DATA_DIR",
    "FIREHOSE_ENABLED",
    "FIREHOSE_URL",
    "PORT",
    "PUBLIC_URL",
    "RATE_LIMIT_ENABLED",
    "REPLICATE_DIDS",
];

/// Other names of those descriptions, and what they wait for. Without a prefix they may belong to
/// another program, so all that are set share one line.
const NOT_YET: &[(&str, &str)] = &[
    ("AUTH_TOKEN", "hosting"),
    ("DID", "hosting"),
    ("HANDLE", "hosting"),
    ("IPFS_ENABLED", "IPFS peers"),
    ("IPFS_NETWORKING", "IPFS peers"),
    ("JWT_SECRET", "hosting"),
    ("OAUTH_ENABLED", "sign-in"),
    ("PASSWORD_HASH", "hosting"),
    ("POLICY_FILE", "policies"),
    ("SIGNING_KEY", "hosting"),
    ("SIGNING_KEY_PUBLIC", "hosting"),
];

/// Names that are read outside the sections: `--config`, `.env`, and the builder's name for its commit.
const OTHER_NAMES: &[&str] = &["P2PDS_COMMIT", "P2PDS_CONFIG", "P2PDS_ENV_FILE"];

/// Names that the test suite sets for itself.
const TEST_NAMES: &[&str] =
    &["P2PDS_BIN", "P2PDS_NIGHTLY", "P2PDS_ORACLE", "P2PDS_REQUIRE_SHARED", "P2PDS_SHARED"];

/// Names of the reference server's configuration that belong to hosting, which comes later. They
/// are accepted so that its environment file can be used as it is, and said to be unused. A name
/// that ends in `_` stands for all that begin so.
const HOSTING: &[&str] = &[
    "PDS_ACCEPTING_REPO_IMPORTS",
    "PDS_ACCOUNT_DB_LOCATION",
    "PDS_ACTOR_STORE_",
    "PDS_ADMIN_PASSWORD",
    "PDS_BACKGROUND_",
    "PDS_BLOBSTORE_",
    "PDS_BLOB_UPLOAD_LIMIT",
    "PDS_BSKY_APP_VIEW_",
    "PDS_CONTACT_EMAIL_ADDRESS",
    "PDS_CRAWLERS",
    "PDS_DEV_MODE",
    "PDS_DID_CACHE_",
    "PDS_DISABLE_SSRF_PROTECTION",
    "PDS_DPOP_SECRET",
    "PDS_EMAIL_",
    "PDS_ENABLE_DID_DOC_WITH_SESSION",
    "PDS_ENTRYWAY_",
    "PDS_ERROR_COLOR",
    "PDS_FETCH_MAX_RESPONSE_SIZE",
    "PDS_HCAPTCHA_",
    "PDS_HOME_URL",
    "PDS_ID_RESOLVER_TIMEOUT",
    "PDS_INFO_COLOR",
    "PDS_INVITE_",
    "PDS_JWT_SECRET",
    "PDS_LEXICON_AUTHORITY_DID",
    "PDS_LOGO_URL",
    "PDS_MAX_REPO_IMPORT_SIZE",
    "PDS_MAX_SUBSCRIPTION_BUFFER",
    "PDS_MODERATION_EMAIL_",
    "PDS_MOD_SERVICE_",
    "PDS_OAUTH_TRUSTED_CLIENTS",
    "PDS_PLC_ROTATION_KEY_",
    "PDS_PRIMARY_COLOR",
    "PDS_PRIVACY_POLICY_URL",
    "PDS_PROXY_",
    "PDS_RATE_LIMIT_BYPASS_",
    "PDS_RECOVERY_DID_KEY",
    "PDS_REDIS_SCRATCH_",
    "PDS_REPORT_SERVICE_",
    "PDS_REPO_BACKFILL_LIMIT_MS",
    "PDS_SEQUENCER_DB_LOCATION",
    "PDS_SERVICE_",
    "PDS_SQLITE_DISABLE_WAL_AUTO_CHECKPOINT",
    "PDS_SUCCESS_COLOR",
    "PDS_SUPPORT_URL",
    "PDS_TERMS_OF_SERVICE_URL",
    "PDS_VERSION",
    "PDS_WARNING_COLOR",
];

/// Settings by each name that they have in the environment.
type Known = BTreeMap<&'static str, &'static SettingInfo>;

fn of_hosting(name: &str) -> bool {
    HOSTING.iter().any(|known| *known == name || (known.ends_with('_') && name.starts_with(known)))
}

/// What deserves a line about the names that are set: one for the aliases, one for those that mean
/// nothing yet, one for each that looks like ours and is not used.
pub(super) fn warnings(layers: &Layers) -> Vec<String> {
    let by_name: Known = Config::settings().flat_map(|s| s.env.iter().map(move |name| (*name, s))).collect();
    let (mut aliases, mut later, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    for name in layers.env_names() {
        if let Some(setting) = by_name.get(name) {
            if let Some(ours) = setting.env.first().filter(|_| ALIASES.contains(&name)) {
                aliases.push(format!("{name} (now {ours})"));
            }
        } else if let Some((_, what)) = NOT_YET.iter().find(|(known, _)| *known == name) {
            later.push(format!("{name} ({what})"));
        } else {
            lines.extend(unused(name, &by_name));
        }
    }
    let mut warnings = Vec::new();
    if !aliases.is_empty() {
        warnings.push(format!("taken from older names: {}", aliases.join(", ")));
    }
    if !later.is_empty() {
        warnings.push(format!("set, but without a meaning in this version yet: {}", later.join(", ")));
    }
    warnings.extend(lines);
    warnings
}

/// The line about one name that no setting has.
fn unused(name: &str, by_name: &Known) -> Option<String> {
    let ours = name.starts_with("P2PDS_") || name.starts_with("PDS_");
    let of_file = name.strip_suffix("_FILE").and_then(|n| by_name.get(n));
    if !ours || of_file.is_some_and(|s| s.secret) || TEST_NAMES.contains(&name) || OTHER_NAMES.contains(&name)
    {
        return None;
    }
    if of_hosting(name) {
        return Some(format!("{name} is set, but this version does not host accounts yet: it is not used"));
    }
    if let Some(setting) = of_file {
        let name_of = setting.name();
        return Some(format!("{name} is set, but {name_of} is no secret: only secrets are read from files"));
    }
    let hint = words::nearest(name, by_name.keys().copied())
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    Some(format!("{name} is set, but no setting has that name: it is not used{hint}"))
}
