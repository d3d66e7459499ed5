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
        Case { flag: None, env: &[], file: None, system: Some("7"), port: 7, origin: "file SYSTEM" },
        Case { flag: None, env: &[], file: Some("6"), system: Some("7"), port: 6, origin: "file FILE" },
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
fn lists_and_durations_from_a_file() {
    let loaded = load_text(
        "[network]\nnameservers = [\"127.0.0.1:5353\", \"1.1.1.1\"]\n[archive]\nsync_interval = \"90s\"\naccounts = [\"a.test\", \"b.test\"]",
    )
    .unwrap();
    let servers: Vec<String> = loaded.config.network.nameservers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["127.0.0.1:5353", "1.1.1.1:53"]);
    assert_eq!(loaded.config.archive.sync_interval, Duration::from_secs(90));
    assert_eq!(loaded.config.archive.accounts, ["a.test", "b.test"]);
}

#[test]
fn unused_names_give_one_warning_each() {
    let env = map(&[
        ("PDS_JWT_SECRET", "x"),
        ("P2PDS_PROT", "1"),
        ("PDS_HOSTNAME", "pds.test"),
        ("HOME", "/"),
        ("P2PDS_SHARED", "/x"),
    ]);
    let loaded = Config::load(BTreeMap::new(), env, None, Path::new("/nonexistent")).unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "P2PDS_PROT is set, but no setting has that name: it is not used; did you mean P2PDS_PORT?",
            "PDS_JWT_SECRET is set, but this version does not host accounts yet: it is not used",
        ]
    );
    assert_eq!(loaded.config.http.hostname.as_deref(), Some("pds.test"));
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
