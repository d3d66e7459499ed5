use super::*;

fn parse_words(words: &str) -> Result<Parsed, clap::Error> {
    parse(std::iter::once("p2pds").chain(words.split_whitespace()).map(OsString::from))
}

/// What each command line means, as one snapshot.
#[test]
fn command_lines() {
    let cases = [
        ("", "None"),
        ("serve --port 8080", "Some(Serve(Args))"),
        (
            "archive add alice.test",
            r#"Some(Archive(Args { action: Add { accounts: ["alice.test"], follows_of: None, list: None, dry_run: false, own: false } }))"#,
        ),
        ("archive list --json", "Some(Archive(Args { action: List }))"),
        (
            "archive show did:web:a.test",
            r#"Some(Archive(Args { action: Show { account: "did:web:a.test" } }))"#,
        ),
        ("archive sync", "Some(Archive(Args { action: Sync { account: None } }))"),
        ("archive sync a.test", r#"Some(Archive(Args { action: Sync { account: Some("a.test") } }))"#),
        ("archive pause a.test", r#"Some(Archive(Args { action: Pause { account: "a.test" } }))"#),
        ("archive resume a.test", r#"Some(Archive(Args { action: Resume { account: "a.test" } }))"#),
        (
            "archive remove a.test --dry-run",
            r#"Some(Archive(Args { action: Remove { account: "a.test", dry_run: true } }))"#,
        ),
        (
            "archive serve a.test public --basis asked",
            r#"Some(Archive(Args { action: Serve { account: "a.test", to: Public, basis: Some("asked") } }))"#,
        ),
        (
            "archive block bafy --reason notice",
            r#"Some(Archive(Args { action: Block { cid: "bafy", reason: "notice" } }))"#,
        ),
        ("archive unblock bafy", r#"Some(Archive(Args { action: Unblock { cid: "bafy" } }))"#),
        ("archive blocked", "Some(Archive(Args { action: Blocked }))"),
        ("admin reports --closed", "Some(Admin(Args { action: Reports { closed: true } }))"),
        (
            "admin report close 12 --note done",
            r#"Some(Admin(Args { action: Report { action: Close { id: 12, note: "done" } } }))"#,
        ),
        ("verify", "Some(Verify(Args { account: None, read_data: false, no_repair: false }))"),
        (
            "verify a.test --read-data --no-repair",
            r#"Some(Verify(Args { account: Some("a.test"), read_data: true, no_repair: true }))"#,
        ),
        ("show at://a.test/c/r", r#"Some(Show(Args { uri: "at://a.test/c/r", at: None }))"#),
        (
            "export a.test --out d --html",
            r#"Some(Export(Args { account: "a.test", out: Some("d"), html: true, car: None }))"#,
        ),
        (
            "export a.test --car -",
            r#"Some(Export(Args { account: "a.test", out: None, html: false, car: Some("-") }))"#,
        ),
        (
            "import a.car --plc-log plc.json",
            r#"Some(Import(Args { car: "a.car", plc_log: Some("plc.json") }))"#,
        ),
        ("drill a.test", r#"Some(Drill(Args { account: "a.test" }))"#),
        (
            "lexicon search app.bsky --limit 3",
            r#"Some(Lexicon(Args { action: Search { prefix: "app.bsky", limit: 3 } }))"#,
        ),
        ("lexicon stats", "Some(Lexicon(Args { action: Stats }))"),
        ("health", "Some(Health(Args))"),
        ("workers", "Some(Workers(Args { action: None }))"),
        ("claim --again", "Some(Claim(Args { again: true }))"),
        ("doctor --offline", "Some(Doctor(Args { offline: true, mend: false }))"),
        ("config show --origin", "Some(Config(Args { action: Show { origin: true } }))"),
        ("completions bash", "Some(Completions(CompletionsArgs { shell: Bash }))"),
        ("man --out m", r#"Some(Man(ManArgs { out: Some("m") }))"#),
    ];
    for (words, want) in cases {
        let parsed = parse_words(words).unwrap_or_else(|error| panic!("{words}: {error}"));
        assert_eq!(format!("{:?}", parsed.cli.command), want, "{words}");
    }
}

#[test]
fn settings_are_taken_before_and_after_the_command() {
    for words in ["--data-dir d --port 1 archive list", "archive list --data-dir d --port 1"] {
        let parsed = parse_words(words).unwrap();
        let settings: Vec<(&str, &str)> =
            parsed.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(settings, [("http.port", "1"), ("node.data_dir", "d")], "{words}");
    }
    let parsed = parse_words("archive add a.test --dev-allow-loopback --progress json -q -y").unwrap();
    assert_eq!(parsed.settings.get("network.dev_allow_loopback").map(String::as_str), Some("true"));
    assert_eq!(parsed.cli.global.progress, ProgressStyle::Json);
    assert!(parsed.cli.global.quiet && parsed.cli.global.yes);
}

#[test]
fn wrong_usage_is_refused() {
    for words in [
        "archive",
        "archive add",
        "archive frobnicate",
        "export a.test",
        "export a.test --out d --car f",
        "import",
        "show",
        "config",
        "completions cobol",
        "--progress loud",
        "verify --frobnicate",
    ] {
        let error = parse_words(words).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{words}");
    }
}

/// Every command that can be run has examples in its help, and every flag a description.
#[test]
fn every_command_has_examples() {
    fn look(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains("Examples:\n  p2pds"), "{path} has no examples");
        assert!(command.get_about().is_some(), "{path} has no description");
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{path}: {} has no description", arg.get_id());
        }
        for sub in command.get_subcommands() {
            look(sub, &path);
        }
    }
    look(&tree(), "");
    tree().debug_assert();
}
