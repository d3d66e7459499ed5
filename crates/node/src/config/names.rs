//! Names in the environment that look like ours: aliases, names of what comes later, slips of the pen.

use std::collections::BTreeMap;

use super::Config;
use super::layers::Layers;
use super::section::SettingInfo;
use crate::words;

/// Names that early descriptions of this program use. They are accepted beside ours; a line at the
/// start says which to prefer.
const ALIASES: &[&str] = &[
    "AUTH_TOKEN",
    "DATA_DIR",
    "DID",
    "FIREHOSE_ENABLED",
    "FIREHOSE_URL",
    "HANDLE",
    "JWT_SECRET",
    "PASSWORD_HASH",
    "PORT",
    "PUBLIC_URL",
    "RATE_LIMIT_ENABLED",
    "REPLICATE_DIDS",
    "SIGNING_KEY",
    "SIGNING_KEY_PUBLIC",
];

/// Other names of those descriptions, and what they wait for. Without a prefix they may belong to
/// another program, so all that are set share one line.
const NOT_YET: &[(&str, &str)] = &[
    ("IPFS_ENABLED", "IPFS peers"),
    ("IPFS_NETWORKING", "IPFS peers"),
    ("OAUTH_ENABLED", "sign-in"),
    ("POLICY_FILE", "policies"),
];

/// Names that are read outside the sections: `--config`, `.env`, and the builder's name for its commit.
const OTHER_NAMES: &[&str] = &["P2PDS_COMMIT", "P2PDS_CONFIG", "P2PDS_ENV_FILE"];

/// Names that the test suite sets for itself.
const TEST_NAMES: &[&str] =
    &["P2PDS_BIN", "P2PDS_NIGHTLY", "P2PDS_ORACLE", "P2PDS_REQUIRE_SHARED", "P2PDS_SHARED"];

/// Names of the reference server's configuration that mean nothing here, and why. They are accepted, so that its
/// environment file can be used as it is.
const NOT_HERE: &[(&str, &str)] = &[
    ("PDS_ACCOUNT_DB_LOCATION", ONE_DATABASE),
    ("PDS_ACTOR_STORE_CACHE_SIZE", ONE_DATABASE),
    ("PDS_ACTOR_STORE_DIRECTORY", ONE_DATABASE),
    (
        "PDS_BLOBSTORE_DISK_TMP_LOCATION",
        "uploads are received beside the blobs, so that a rename completes them",
    ),
    ("PDS_BACKGROUND_DARK_URL", NO_PAGES),
    ("PDS_BACKGROUND_LIGHT_URL", NO_PAGES),
    ("PDS_DID_CACHE_DB_LOCATION", ONE_DATABASE),
    ("PDS_DPOP_SECRET", NO_OAUTH),
    ("PDS_ENTRYWAY_ADMIN_TOKEN", NO_ENTRYWAY),
    ("PDS_ENTRYWAY_DID", NO_ENTRYWAY),
    ("PDS_ENTRYWAY_JWT_VERIFY_KEY_K256_PUBLIC_KEY_HEX", NO_ENTRYWAY),
    ("PDS_ENTRYWAY_PLC_ROTATION_KEY", NO_ENTRYWAY),
    ("PDS_ENTRYWAY_URL", NO_ENTRYWAY),
    ("PDS_ERROR_COLOR", NO_PAGES),
    ("PDS_HCAPTCHA_SECRET_KEY", NO_CAPTCHA),
    ("PDS_HCAPTCHA_SITE_KEY", NO_CAPTCHA),
    ("PDS_HCAPTCHA_TOKEN_SALT", NO_CAPTCHA),
    ("PDS_HOME_URL", NO_PAGES),
    ("PDS_INFO_COLOR", NO_PAGES),
    ("PDS_LOGO_URL", NO_PAGES),
    ("PDS_OAUTH_TRUSTED_CLIENTS", NO_OAUTH),
    (
        "PDS_PLC_ROTATION_KEY_KMS_KEY_ID",
        "keys are kept in files: set hosting.plc_rotation_key, or let one be made",
    ),
    ("PDS_PRIMARY_COLOR", NO_PAGES),
    ("PDS_PROXY_ALLOW_HTTP2", "HTTP/2 is spoken with every service that offers it"),
    (
        "PDS_PROXY_PREFER_COMPRESSED",
        "services are always asked for compressed answers, and these are unpacked here",
    ),
    ("PDS_REDIS_SCRATCH_ADDRESS", NO_REDIS),
    ("PDS_REDIS_SCRATCH_PASSWORD", NO_REDIS),
    ("PDS_SEQUENCER_DB_LOCATION", ONE_DATABASE),
    ("PDS_SQLITE_DISABLE_WAL_AUTO_CHECKPOINT", "p2pds folds its log away by itself"),
    ("PDS_SUCCESS_COLOR", NO_PAGES),
    ("PDS_SUPPORT_URL", NO_PAGES),
    ("PDS_VERSION", "p2pds says its own version"),
    ("PDS_WARNING_COLOR", NO_PAGES),
];

const ONE_DATABASE: &str = "everything is in one database in node.data_dir";
const NO_OAUTH: &str = "signing in by OAuth is not in this version";
const NO_PAGES: &str = "it is for the pages of signing in by OAuth, which is not in this version";
const NO_ENTRYWAY: &str = "this host stands for itself, there is no entryway before it";
const NO_CAPTCHA: &str = "whom signing up is open to is said by invites";
const NO_REDIS: &str = "requests are counted in this process";

/// Settings by each name that they have in the environment.
type Known = BTreeMap<&'static str, &'static SettingInfo>;

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
    if let Some((_, why)) = NOT_HERE.iter().find(|(known, _)| *known == name.trim_end_matches("_FILE")) {
        return Some(format!("{name} is set, but means nothing here: {why}"));
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
