use super::*;

const HOUR: i64 = 3_600_000_000;
const NOW: i64 = 1_795_000_000_000_000;

fn did(n: usize) -> Did {
    Did::parse(&format!("did:web:a{n}.example")).unwrap()
}

fn limits() -> Limits {
    Limits { disk_low: 1_000, unreachable_after: Duration::from_secs(24 * 3_600) }
}

fn facts() -> Facts {
    Facts { now: NOW, disk_free: Some(5_000), ..Facts::default() }
}

fn finding(n: usize, kind: &str, subject: &str) -> Finding {
    Finding {
        did: did(n),
        kind: kind.into(),
        subject: subject.into(),
        detail: "words".into(),
        first_at: 1,
        last_at: 1,
    }
}

fn account(n: usize, host: &str, hours: i64, error: Option<&str>) -> AccountFacts {
    AccountFacts {
        did: did(n),
        name: format!("a{n}"),
        host: (!host.is_empty()).then(|| host.to_owned()),
        status: AccountStatus::Active,
        followed: true,
        current_at: NOW - hours * HOUR,
        error: error.map(str::to_owned),
    }
}

fn kinds(facts: &Facts) -> Vec<String> {
    faults(facts, &limits()).into_iter().map(|fault| fault.key.kind).collect()
}

#[test]
fn findings_are_one_fault_for_each_account_and_kind() {
    let findings = vec![
        finding(0, "damaged", "x"),
        finding(0, "damaged", "y"),
        finding(1, "damaged", "x"),
        finding(0, "odd-record", "z"),
        finding(0, "plc-unexpected", "bafy1"),
        finding(0, "plc-unexpected", "bafy2"),
    ];
    let found = faults(&Facts { findings, ..facts() }, &limits());
    let keys: Vec<(&str, &str)> =
        found.iter().map(|fault| (fault.key.kind.as_str(), fault.key.subject.as_str())).collect();
    assert_eq!(
        keys,
        [("damaged", ""), ("damaged", ""), ("plc-unexpected", "bafy1"), ("plc-unexpected", "bafy2")]
    );
    assert!(found[0].detail.contains("and 1 more"), "{}", found[0].detail);
}

#[test]
fn what_cannot_wait_is_told_apart() {
    let found = faults(&Facts { stopped: Some("x".into()), disk_full: true, ..facts() }, &limits());
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|fault| is_urgent(&fault.key.kind)), "{found:?}");
    let found = faults(
        &Facts { findings: vec![finding(0, p2pds_archive::UNEXPECTED, "bafy1")], ..facts() },
        &limits(),
    );
    assert!(is_urgent(&found[0].key.kind), "{found:?}");
    assert_eq!(kinds(&Facts { disk_free: Some(999), ..facts() }), ["disk-low"]);
    assert!(!is_urgent("disk-low"));
}

#[test]
fn reports_that_wait_are_one_fault_that_is_not_urgent() {
    assert!(kinds(&Facts { reports: (0, None), ..facts() }).is_empty());
    let found = faults(&Facts { reports: (3, Some(NOW - HOUR)), ..facts() }, &limits());
    let [only] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((only.key.kind.as_str(), only.key.subject.as_str()), ("report", ""));
    assert!(only.detail.starts_with("3 reports wait; the oldest since 20"), "{}", only.detail);
    assert!(!is_urgent("report") && !only.is_passing());
    let one = faults(&Facts { reports: (1, Some(NOW)), ..facts() }, &limits());
    assert!(one[0].detail.starts_with("1 report waits; the oldest since "), "{}", one[0].detail);
    assert_eq!(one[0].key, only.key, "one more or less is no other fault");
}

#[test]
fn a_host_that_is_down_is_one_fault() {
    let mut accounts: Vec<AccountFacts> =
        (0..1_000).map(|n| account(n, "one.example", 30, Some("no answer"))).collect();
    accounts.push(account(1_000, "two.example", 1, Some("no answer")));
    accounts.push(account(1_001, "three.example", 30, None));
    accounts.push(AccountFacts { followed: false, ..account(1_002, "four.example", 30, Some("x")) });
    accounts.push(account(1_003, "", 30, Some("names no server")));
    let found = faults(&Facts { accounts, ..facts() }, &limits());
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|f| f.key.subject == "one.example" && f.detail.contains("1,000 accounts")));
    assert!(found.iter().any(|f| f.key.did == Some(did(1_003))));
}

#[test]
fn a_withheld_account_is_a_fault_of_its_own() {
    let gone = AccountFacts { status: AccountStatus::Takendown, ..account(0, "one.example", 99, Some("x")) };
    let found = faults(&Facts { accounts: vec![gone], ..facts() }, &limits());
    assert_eq!((found.len(), found[0].key.kind.as_str()), (1, "account-status"));
    assert!(found[0].detail.contains("takendown"));
    let deleted = AccountFacts { status: AccountStatus::Deleted, ..account(1, "one.example", 99, None) };
    let findings = vec![finding(1, "withdrawn", "")];
    let facts = Facts { accounts: vec![deleted], findings, ..facts() };
    assert_eq!(kinds(&facts), ["withdrawn"], "told once");
}

#[test]
fn the_nodes_own_limits() {
    assert_eq!(kinds(&facts()), Vec::<String>::new());
    assert_eq!(kinds(&Facts { disk_free: Some(999), ..facts() }), ["disk-low"]);
    let nearly = Facts { disk_free: Some(1_050), ..facts() };
    assert!(kinds(&nearly).is_empty());
    let open = vec![Key { kind: "disk-low".into(), did: None, subject: String::new() }];
    assert_eq!(kinds(&Facts { open: open.clone(), ..nearly }), ["disk-low"], "it does not come and go");
    assert!(kinds(&Facts { open, disk_free: Some(1_100), ..facts() }).is_empty());
    assert_eq!(kinds(&Facts { disk_full: true, ..facts() }), ["disk-full"]);
    assert_eq!(kinds(&Facts { stopped: Some("x".into()), ..facts() }), ["store-stopped"]);
    assert_eq!(kinds(&Facts { wal_bytes: LARGE_WAL + 1, ..facts() }), ["wal-large"]);
    assert_eq!(kinds(&Facts { clock_jump: Some(-90), ..facts() }), ["clock"]);
    assert_eq!(
        kinds(&Facts { failing: vec![("hygiene".into(), "x".into())], ..facts() }),
        ["worker-failing"]
    );
}

#[test]
fn a_flood_is_bounded() {
    let findings = (0..5_000).map(|n| finding(n, "damaged", "x")).collect();
    let found = faults(&Facts { findings, ..facts() }, &limits());
    assert_eq!(found.len(), MOST_OF_A_KIND + 1);
    assert!(found.last().unwrap().detail.contains("4900 more"), "{}", found.last().unwrap().detail);
}

#[test]
fn conditions_are_faults_while_they_hold() {
    let of = |subject: &str, detail: Option<&str>| Condition {
        kind: "live-source".into(),
        subject: subject.into(),
        detail: detail.map(Into::into),
    };
    let conditions = vec![of("a", Some("down")), of("b", None)];
    let found = faults(&Facts { conditions, ..facts() }, &limits());
    assert_eq!((found.len(), found[0].key.subject.as_str()), (1, "a"));
}

#[test]
fn a_move_is_told_as_long_as_it_lasts() {
    let found = faults(&Facts { moving: vec![(did(3), NOW - HOUR)], ..facts() }, &limits());
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].key.kind.as_str(), &found[0].key.did), ("moving-in", &Some(did(3))));
    assert!(!found[0].is_passing(), "at once");
    assert!(found[0].detail.contains("p2pds account delete did:web:a3.example"), "{}", found[0].detail);
    assert!(kinds(&facts()).is_empty(), "over when it is over");
}
