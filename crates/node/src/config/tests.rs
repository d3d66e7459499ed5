use std::time::Duration;

use super::setting::{Secret, Setting};
use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

struct Case {
    flag: Option<&'static str>,
    env: &'static [(&'static str, &'static str)],
    file: Option<&'static str>,
    system: Option<&'static str>,
    port: u16,
    origin: &'static str,
}

/// Precedence: flags, environment (own name, reference name, short name), files, default.
#[test]
fn precedence_table() {
    let cases = [
        Case { flag: None, env: &[], file: None, system: None, port: 3000, origin: "default" },
        Case { flag: None, env: &[], file: None, system: Some("7"), port: 7, origin: "file SYSTEM, line 2" },
        Case {
            flag: None,
            env: &[],
            file: Some("6"),
            system: Some("7"),
            port: 6,
            origin: "file FILE, line 2",
        },
        Case {
            flag: None,
            env: &[("PORT", "5")],
            file: Some("6"),
            system: None,
            port: 5,
            origin: "environment PORT",
        },
        Case {
            flag: None,
            env: &[("PORT", "5"), ("PDS_PORT", "4")],
            file: Some("6"),
            system: None,
            port: 4,
            origin: "environment PDS_PORT",
        },
        Case {
            flag: None,
            env: &[("PORT", "5"), ("PDS_PORT", "4"), ("P2PDS_PORT", "3")],
            file: None,
            system: None,
            port: 3,
            origin: "environment P2PDS_PORT",
        },
        Case {
            flag: Some("2"),
            env: &[("P2PDS_PORT", "3")],
            file: Some("6"),
            system: Some("7"),
            port: 2,
            origin: "flag --port",
        },
        Case { flag: None, env: &[("PORT", "")], file: None, system: None, port: 3000, origin: "default" },
    ];
    for (i, case) in cases.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, value: Option<&str>| {
            let path = dir.path().join(name);
            if let Some(value) = value {
                std::fs::write(&path, format!("[http]\nport = {value}\n")).unwrap();
            }
            path
        };
        let file = write("FILE", case.file);
        let system = write("SYSTEM", case.system);
        let flags = case.flag.map(|f| map(&[("http.port", f)])).unwrap_or_default();
        let loaded = Config::load(flags, map(case.env), case.file.map(|_| file.as_path()), &system).unwrap();
        assert_eq!(loaded.config.http.port, case.port, "case {i}");
        let shown = loaded.resolved.iter().find(|r| r.name == "http.port").unwrap();
        let origin = shown.origin.replace(&format!("{}/", dir.path().display()), "");
        assert_eq!(origin, case.origin, "case {i}");
        assert_eq!(shown.value, case.port.to_string(), "case {i}");
    }
}

fn load_text(text: &str) -> Result<Loaded, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(BTreeMap::new(), BTreeMap::new(), Some(&path), Path::new("/nonexistent"))
}

#[test]
fn unknown_keys_are_refused_by_name() {
    for (text, want) in [
        ("[http]\nprot = 1", "there is no setting `http.prot`; did you mean `port`?"),
        ("[htpp]\nport = 1", "there is no setting `htpp`; did you mean [http]?"),
        ("port = 1", "there is no setting `port`; did you mean `port` under [http]?"),
        ("[http]\nport = \"x\"", "`x` is not a number from 0 to 65535 (setting http.port)"),
        ("[http]\nport = { a = 1 }", "is not a single value or a list of them (setting http.port)"),
        ("[archive]\nsync_interval = 5", "`5` is not a duration such as 30s, 5m, 1h or 7d"),
        ("[http", "is not valid TOML"),
    ] {
        let message = load_text(text).unwrap_err().to_string();
        assert!(message.contains(want), "{text:?} gave: {message}");
    }
}

#[test]
fn values_that_cannot_be_right_are_refused_by_their_variable() {
    let load = |name: &str, value: &str| {
        Config::load(BTreeMap::new(), map(&[(name, value)]), None, Path::new("/nonexistent"))
    };
    for (name, value, want) in [
        ("PDS_EMAIL_SMTP_URL", "foo", "a URL of a mail server"),
        ("PDS_EMAIL_SMTP_URL", "https://user:hunter2@mail.test", "a URL of a mail server"),
        ("PDS_MODERATION_EMAIL_SMTP_URL", "smtps://", "a URL of a mail server"),
        ("PDS_CRAWLERS", "https://bsky.network,xx", "each a URL such as"),
        ("PDS_BSKY_APP_VIEW_URL", "ftp://x", "a URL such as"),
        ("PDS_MOD_SERVICE_URL", "mod.example.com", "a URL such as"),
        ("PDS_REPORT_SERVICE_URL", "https://", "a URL such as"),
    ] {
        let said = load(name, value).unwrap_err().to_string();
        assert!(said.contains(name) && said.contains(want) && !said.contains("hunter2"), "{said}");
    }
    for (name, value) in [
        ("PDS_EMAIL_SMTP_URL", "smtps://user:p%40ss@mail.example.com"),
        ("PDS_CRAWLERS", "https://bsky.network, http://localhost:2470/"),
        ("PDS_CRAWLERS", "none"),
        ("PDS_BSKY_APP_VIEW_URL", "none"),
        ("PDS_MOD_SERVICE_URL", "https://mod.example.com/"),
    ] {
        assert!(load(name, value).is_ok(), "{name} {value}");
    }
    let said = load("PDS_DID_PLC_URL", "http://localhost:2582").unwrap().warnings.join("\n");
    assert!(said.contains("PDS_DID_PLC_URL") && said.contains("PDS_DEV_MODE"), "{said}");
    let alone = load("PDS_BSKY_APP_VIEW_URL", "https://view.example.com").unwrap();
    let said = crate::passing::proxy(&alone.config).unwrap_err();
    assert!(
        said.message.ends_with("services.appview_did (PDS_BSKY_APP_VIEW_DID) is not set"),
        "{}",
        said.message
    );
}

#[test]
fn lists_and_durations_from_a_file() {
    let loaded = load_text(
        "[network]\nnameservers = [\"127.0.0.1:5353\", \"1.1.1.1\"]\n[archive]\nsync_interval = \"90s\"\naccounts = [\"a.test\", \"b.test\"]",
    )
    .unwrap();
    let servers: Vec<String> = loaded.config.network.nameservers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["127.0.0.1:5353", "1.1.1.1:53"]);
    assert_eq!(loaded.config.archive.sync_interval, Duration::from_secs(90));
    let accounts: Vec<&str> = loaded.config.archive.accounts.iter().map(|account| account.as_str()).collect();
    assert_eq!(accounts, ["a.test", "b.test"]);
}

#[test]
fn unused_names_give_one_warning_each() {
    let env = map(&[
        ("PDS_REDIS_SCRATCH_ADDRESS", "x"),
        ("PDS_DPOP_SECRET_FILE", "/x"),
        ("PORT", "7"),
        ("REPLICATE_DIDS", "did:plc:a,did:plc:b"),
        ("POLICY_FILE", "/x"),
        ("HANDLE", "a.test"),
        ("P2PDS_PORT_FILE", "/x"),
        ("P2PDS_PROT", "1"),
        ("PDS_HOSTNAME", "pds.test"),
        ("HOME", "/"),
        ("P2PDS_SHARED", "/x"),
    ]);
    let loaded = Config::load(BTreeMap::new(), env, None, Path::new("/nonexistent")).unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "taken from older names: HANDLE (now P2PDS_SINGLE_HANDLE), PORT (now P2PDS_PORT), REPLICATE_DIDS (now P2PDS_ARCHIVE_ACCOUNTS)",
            "set, but without a meaning in this version yet: POLICY_FILE (policies)",
            "P2PDS_PORT_FILE is set, but http.port is no secret: only secrets are read from files",
            "P2PDS_PROT is set, but no setting has that name: it is not used; did you mean P2PDS_PORT?",
            "PDS_DPOP_SECRET_FILE is set, but means nothing here: signing in by OAuth is not in this version",
            "PDS_REDIS_SCRATCH_ADDRESS is set, but means nothing here: requests are counted in this process",
        ]
    );
    assert_eq!(loaded.config.http.hostname.as_deref(), Some("pds.test"));
}

/// Each name that the reference server reads is a setting here, or is said to mean nothing, with the reason.
#[test]
fn every_name_of_the_reference_is_known() {
    let Some(oracle) = p2pds_testkit::need::oracle() else { return };
    let text = std::fs::read_to_string(oracle.join("node_modules/@atproto/pds/dist/config/env.js")).unwrap();
    let names: Vec<&str> = text
        .split(['\'', '"'])
        .filter(|part| {
            part.starts_with("PDS_") && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
        .collect();
    assert!(names.len() >= 93, "the reference reads 93 names and more, found {}", names.len());
    for name in names {
        let setting = Config::settings().find(|setting| setting.env.contains(&name));
        let value = setting.map_or_else(|| "x".to_owned(), |setting| sample(setting, "7"));
        let loaded =
            Config::load(map(&[]), map(&[(name, value.as_str())]), None, Path::new("/nonexistent")).unwrap();
        let line = loaded.warnings.iter().find(|line| line.starts_with(name));
        match setting {
            Some(_) => assert_eq!(line, None, "{name} is a setting"),
            None => {
                let line = line.unwrap_or_else(|| panic!("{name} is not known here"));
                assert!(line.contains("means nothing here: "), "{line}");
                assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
            }
        }
    }
}

section::section! {
    /// For the test of secrets.
    pub struct SecretSection in "secrets" {
        /// A secret.
        token: Option<Secret> = "", env ["TEST_TOKEN"];
    }
}

#[test]
fn secrets_are_hidden_and_read_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "s3cret\n").unwrap();
    for (env, origin) in [
        (map(&[("TEST_TOKEN_FILE", path.to_str().unwrap())]), "environment TEST_TOKEN_FILE"),
        (map(&[("TEST_TOKEN", "s3cret")]), "environment TEST_TOKEN"),
    ] {
        let mut resolved = Vec::new();
        let section = SecretSection::load(&Layers::new(BTreeMap::new(), env), &mut resolved).unwrap();
        assert_eq!(section.token.as_ref().unwrap().expose(), "s3cret");
        assert!(!format!("{section:?}").contains("s3cret"));
        assert_eq!(resolved[0].value, "(hidden)");
        assert_eq!(resolved[0].origin, origin);
    }
    const { assert!(Option::<Secret>::SECRET) };
}

/// A value that a setting takes and that is not its default: the first that it does not refuse.
fn sample(setting: &section::SettingInfo, roots: &str) -> String {
    if setting.secret {
        let hidden = "not-to-be-seen-anywhere";
        return if setting.key.ends_with("smtp_url") {
            format!("smtps://{hidden}@mail.test")
        } else {
            hidden.to_owned()
        };
    }
    let words = setting.shape.rsplit([' ', ',']).filter(|word| !word.is_empty());
    let usual = [
        roots,
        "7",
        "true",
        "127.0.0.9",
        "35s",
        "7MB",
        "https://x.test",
        "127.0.0.1:5353",
        "some-text",
        "a.test",
    ];
    let refused = |value: &&str| {
        let flags = map(&[(&format!("{}{}", layers::SET, setting.name()), *value)]);
        *value != setting.default
            && Config::load(flags, BTreeMap::new(), None, Path::new("/nonexistent")).is_ok()
    };
    let found = usual.into_iter().chain(words).find(refused);
    found
        .unwrap_or_else(|| panic!("the test has no value for {}: {}", setting.name(), setting.shape))
        .to_owned()
}

/// Every setting, from every source that it can come from, with its value and its origin.
#[test]
fn every_setting_from_every_source() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let roots = p2pds_testkit::secure::Authority::new(dir.path()).unwrap().root();
    for setting in Config::settings() {
        let roots = if setting.key == "ca_file" { roots.to_str().unwrap() } else { "7" };
        let (name, value) = (setting.name(), sample(setting, roots));
        let check = |from: &str, loaded: Result<Loaded, ConfigError>| {
            let loaded = loaded.unwrap_or_else(|error| panic!("{name} from {from}: {error}"));
            let shown = loaded.resolved.iter().find(|r| r.name == name).unwrap();
            assert_eq!(shown.origin, from.replace("<dir>", &dir.path().display().to_string()), "{name}");
            assert_eq!(shown.value, if setting.secret { "(hidden)" } else { &value }, "{name} from {from}");
            assert!(!setting.secret || !format!("{:?}", loaded.config).contains(&value), "{name} is printed");
        };
        let nowhere = Path::new("/nonexistent");
        let set = format!("{}{name}", layers::SET);
        check(&format!("flag --set {name}"), Config::load(map(&[(&set, &value)]), map(&[]), None, nowhere));
        if let Some(flag) = setting.flag {
            let parsed = crate::cli::parse(["p2pds".into(), format!("--{flag}={value}").into()]).unwrap();
            check(&format!("flag --{flag}"), Config::load(parsed.settings, map(&[]), None, nowhere));
        }
        for variable in setting.env {
            let env = map(&[(variable, &value)]);
            check(&format!("environment {variable}"), Config::load(map(&[]), env, None, nowhere));
            std::fs::write(at("env"), format!("# ours\n{variable}='{value}'\n")).unwrap();
            let env = map(&[("P2PDS_ENV_FILE", at("env").to_str().unwrap())]);
            let from = format!("environment {variable} in <dir>/env, line 2");
            check(&from, Config::load(map(&[]), env, None, nowhere));
        }
        let toml = format!("[{}]\n\n{} = \"{value}\"\n", setting.section, setting.key);
        std::fs::write(at("c.toml"), &toml).unwrap();
        check("file <dir>/c.toml, line 3", Config::load(map(&[]), map(&[]), Some(&at("c.toml")), nowhere));
        check("file <dir>/c.toml, line 3", Config::load(map(&[]), map(&[]), None, &at("c.toml")));
        if setting.secret {
            secrets_from_files(setting, &value, dir.path(), &check);
        }
    }
}

fn secrets_from_files(
    setting: &section::SettingInfo,
    value: &str,
    dir: &Path,
    check: &dyn Fn(&str, Result<Loaded, ConfigError>),
) {
    let (path, nowhere) = (dir.join("secret"), Path::new("/nonexistent"));
    std::fs::write(&path, format!("{value}\n")).unwrap();
    for variable in setting.env {
        let env = map(&[(&format!("{variable}_FILE"), path.to_str().unwrap())]);
        check(&format!("environment {variable}_FILE"), Config::load(map(&[]), env, None, nowhere));
    }
    let toml = format!("[{}]\n{}_file = {path:?}\n", setting.section, setting.key);
    std::fs::write(dir.join("s.toml"), toml).unwrap();
    check("file <dir>/s.toml, line 2", Config::load(map(&[]), map(&[]), Some(&dir.join("s.toml")), nowhere));
    for name in std::iter::once(setting.name()).chain(setting.env.iter().map(|n| (*n).to_owned())) {
        let credentials = dir.join(format!("credentials-{name}"));
        std::fs::create_dir_all(&credentials).unwrap();
        std::fs::copy(&path, credentials.join(&name)).unwrap();
        let env = map(&[("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())]);
        check(&format!("credential {name}"), Config::load(map(&[]), env, None, nowhere));
    }
}

/// A bad value is named with the place that it stands in and with what was expected there.
#[test]
fn a_bad_value_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (file, env_file) = (dir.path().join("c.toml"), dir.path().join("e"));
    std::fs::write(&file, "# one\n[http]\nbind = \"::\"\nport = 99999\n").unwrap();
    std::fs::write(&env_file, "P2PDS_BIND=::\nP2PDS_PORT=x\n").unwrap();
    let env = map(&[("P2PDS_ENV_FILE", env_file.to_str().unwrap())]);
    let set = map(&[("--set http.port", "x")]);
    let nowhere = Path::new("/nonexistent");
    for (flags, env, file, want) in [
        (map(&[]), map(&[]), Some(file.as_path()), "file DIR/c.toml, line 4: `99999`"),
        (map(&[]), env, None, "environment P2PDS_PORT in DIR/e, line 2: `x`"),
        (map(&[]), map(&[("PORT", "x")]), None, "environment PORT: `x`"),
        (set, map(&[]), None, "flag --set http.port: `x`"),
        (map(&[("http.port", "x")]), map(&[]), None, "flag --port: `x`"),
    ] {
        let error = Config::load(flags, env, file, nowhere).unwrap_err().to_string();
        let want = want.replace("DIR", &dir.path().display().to_string());
        assert_eq!(error, format!("{want} is not a number from 0 to 65535 (setting http.port)"));
    }
    let error = Config::load(map(&[("--set http.prot", "1")]), map(&[]), None, nowhere).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--set http.prot: there is no setting of that name; did you mean http.port?"
    );
}

#[test]
fn env_file_of_the_working_directory() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".env");
    let load = |mode: u32, text: &str| {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut layers = Layers::new(map(&[]), map(&[("P2PDS_BIND", "::1")]));
        layers.add_env_file(Some(&path)).unwrap();
        Config::resolve(layers, None, Path::new("/nonexistent")).unwrap()
    };
    let loaded = load(0o644, "P2PDS_PORT=7\nP2PDS_BIND=::2\n");
    assert_eq!(loaded.config.http.port, 7);
    assert_eq!(loaded.config.http.bind.to_string(), "::1", "the environment comes first");
    let loaded = load(0o666, "P2PDS_PORT=7\n");
    assert_eq!(loaded.config.http.port, 3000);
    assert!(loaded.warnings[0].contains("is not read: others"), "{:?}", loaded.warnings);
    let loaded = load(0o600, "P2PDS_PORT=7\nwhat is this\n");
    assert_eq!(loaded.config.http.port, 7);
    assert!(loaded.warnings[0].ends_with("line 2: expected NAME=value; the line is not used"));
}

#[test]
fn the_public_url_names_the_host() {
    let load = |env: &[(&str, &str)]| {
        let loaded = Config::load(map(&[]), map(env), None, Path::new("/nonexistent")).unwrap();
        let shown = loaded.resolved.into_iter().find(|r| r.name == "http.hostname").unwrap();
        (loaded.config.http.hostname, shown.origin)
    };
    let url = ("PUBLIC_URL", "https://a.example.com:8443");
    assert_eq!(load(&[url]), (Some("a.example.com".into()), "setting http.public_url".into()));
    let both = load(&[url, ("PDS_HOSTNAME", "b.example.com")]);
    assert_eq!(both, (Some("b.example.com".into()), "environment PDS_HOSTNAME".into()));
    for bad in ["ftp://a.test", "a.test", "https://a.test/path", "https://"] {
        let loaded = Config::load(map(&[]), map(&[("PUBLIC_URL", bad)]), None, Path::new("/nonexistent"));
        assert!(loaded.is_err(), "{bad}");
    }
}

/// The example file, with its comments taken away, is the default configuration.
#[test]
fn the_example_file_is_valid() {
    let text: String = reference::example()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') && rest.contains(" = ") => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(text.contains("\nport = 3000\n"));
    let loaded = load_text(&text).unwrap();
    for value in &loaded.resolved {
        assert!(value.origin.starts_with("file "), "{} is not in the example", value.name);
    }
}

/// `docs/configuration.md` and `docs/p2pds.example.toml` are what the code says they are.
#[test]
fn generated_files_are_current() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (name, text) in
        [("configuration.md", reference::page()), ("p2pds.example.toml", reference::example())]
    {
        let path = docs.join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, text, "{name} is old: run the tests once with UPDATE_DOCS=1");
    }
}
