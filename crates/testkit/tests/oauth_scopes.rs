//! Scopes against the reference package: which strings are scopes, how they are written, what they cover, and what
//! permission sets give. Everything is made from a seed; the two must agree on all of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::io::Write as _;
use std::process::{Command, Stdio};

use p2pds_oauth::scope::{
    AccountAction, AccountAttr, IdentityAttr, Need, PermissionSet, RepoAction, Scope, Scopes,
};
use p2pds_testkit::need;
use p2pds_testkit::oracle::node;
use p2pds_testkit::random::Random;
use serde_json::{Value, json};

/// The reference's own tables, and what is near them.
const STRINGS: &str = "
    atproto transition:generic transition:email transition:chat.bsky transition transition: transition:other Atproto
    atproto: atproto? openid offline_access
    account:email account:email?action=read account:email?action=manage account:email?action=read&action=manage
    account:email?action=manage&action=read account:email?action=read&action=read account?attr=email
    account?attr=email&attr=repo account:email?attr=email account:repo?action=manage account:status
    account:status?action=manage account:invalid account account: account? account:* account:email?action=invalid
    account:email?action= account:email? account:email?Action=read Account:email account:Email account:%65mail
    account:email?action=re%61d account:email?x=1 account:email?action
    blob:image/png blob:*/* blob:image/* blob?accept=image/png blob?accept=image/png&accept=image/*
    blob?accept=video/mp4&accept=*/* blob?accept=b/b&accept=a/a&accept=a/a blob:IMAGE/PNG blob blob: blob:invalid
    blob?accept=invalid blob:*/** blob:*/png blob:a/b/c blob:/png blob:image/ blob?Accept=image/png Blob:image/png
    blob:image/svg+xml blob?accept=image/svg+xml blob?accept=image/svg%2Bxml blob:image%2Fpng blob:a%2Fb%2Fc blob:%zz
    blob:image/%E9 blob:image/%C3%A9 blob:image/%25 blob:image/%253A blob:a*b/* blob:x/y?accept=x/y blob:a%20b/c
    identity:handle identity:* identity?attr=handle identity:handle?attr=handle identity:*?action=manage identity
    identity: identity:Handle identity?attribute=handle identity:%2A identity:handle?
    include:app.example.authBasics include:com.example.baz?aud=did:web:example.com%23my_service
    include:com.example.baz?aud=did:web:example.com#my_service include?nsid=com.example.baz
    include?aud=did:web:example.com%23s&nsid=com.example.baz include:com.example.baz?aud=
    include:com.example.baz?aud=did:web:example.com include:com.example.baz?aud=* include:com.example include:*
    include include: include:com.example.baz?nsid=com.example.baz include:com.example.baz?aud=a&aud=b Include:com.example.a
    include:com.example.-bar include:9com.example.foo include:com.example.foo9 include:com.example.foo-bar
    repo:com.example.foo repo:com.example.foo?action=create&action=update repo:*?action=create repo:*
    repo?collection=com.example.foo&action=create&action=update&action=delete repo:com.example.foo?action=delete&action=create
    repo?action=create&collection=com.example.foo&collection=com.example.bar repo?collection=com.example.b&collection=*
    repo?collection=com.example.b&collection=com.example.a&collection=com.example.b repo?collection=*&collection=*
    repo repo: repo? repo:foo repo:com.example repo:com.example.* repo:*.example.foo repo:com.example.foo?action=invalid
    repo:com.example.foo?action=* repo:*?Action=create repo:*?action=Create repo:com.example.foo?collection=com.example.foo
    repo:com.example.foo?action=create&action=create Repo:* repo:%2A repo:com%2Eexample.foo repo:com.example.foo?&action=create
    repo:com.example.foo?action=create&&action=delete repo:com.example.foo?action=create& repo:com.example.foo??action=create
    repo:com.example.foo#x repo:com.example.foo?action=create#x repo:com.example.foo?=x repo:COM.example.foo
    rpc:com.example.service?aud=did:web:example.com%23service_id rpc:com.example.method1?aud=* rpc:*?aud=*
    rpc?lxm=com.example.method1&lxm=com.example.method2&aud=did:web:example.com%23service_id rpc?lxm=*&aud=*
    rpc?aud=*&lxm=com.example.method1&lxm=com.example.method2 rpc:*?aud=did:web:api.example.com%23svc_appview
    rpc?lxm=com.example.a&lxm=*&aud=did:web:x.example%23y rpc?lxm=com.example.a&lxm=*&aud=*
    rpc?aud=did%3Aweb%3Aapi.example.com%23frag&lxm=com.example.query rpc:com.example.method1 rpc:*
    rpc?aud=did:web:example.com%23service_id rpc:com.example.q?aud=did:web:example.com rpc:foo.bar?aud=*
    rpc:foo.bar.baz?aud=did:web%23s rpc:foo.bar.baz?aud=did:plc:111%23s rpc:foo.bar.baz?aud=did:foo:bar%23s
    rpc:foo.bar.baz?aud=did:plc:aaaaaaaaaaaaaaaaaaaaaaaa%23s rpc:foo.bar.baz?aud=did:plc:aaaaaaaaaaaaaaaaaaaaaaa1%23s
    rpc:foo.bar.baz?aud=did:plc:AAAAAAAAAAAAAAAAAAAAAAAA%23s rpc:foo.bar.baz?aud=did:web:localhost%253A3000%23s
    rpc:foo.bar.baz?aud=did:web:localhost%23s rpc:foo.bar.baz?aud=did:web:example.com%253A3000%23s
    rpc:foo.bar.baz?aud=did:web:example.com:path%23s rpc:foo.bar.baz?aud=did:web::x%23s rpc:foo.bar.baz?aud=did:web:x.example%23
    rpc:foo.bar.baz?aud=did:web:x.example%23a%23b rpc:foo.bar.baz?aud=did:web:x.example%23a%2520b
    rpc:foo.bar.baz?aud=did:web:x.example%23a+b rpc:foo.bar.baz?aud=did:web:x.example%23a^b rpc:foo.bar.baz?aud=did:web:x.example%23a%25
    rpc:foo.bar.baz?aud=did:web:x.example%23s&aud=* rpc:foo.bar.baz?aud=did:web:x.example%23s&x=y rpc rpc: Rpc:foo.bar.baz?aud=*
    rpc?Lxm=com.example.method1&aud=* rpc:foo.bar.baz?lxm=foo.bar.baz&aud=* rpc:app.bsky.feed.getTimeline?aud=did:web:api.bsky.app%23bsky_appview
    space:com.example.x :x ?x : ? repox:* repo/x
";

const NAMES: [&str; 8] = [
    "com.example.a",
    "com.example.b",
    "com.example.deep.c",
    "com.examples.d",
    "app.bsky.feed.post",
    "app.bsky.feed.getTimeline",
    "chat.bsky.convo.sendMessage",
    "*",
];
const AUDS: [&str; 5] = [
    "*",
    "did:web:api.example.com#svc",
    "did:web:other.example#svc",
    "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa#x",
    "did:web:api.example.com",
];
const MIMES: [&str; 7] = ["*/*", "image/*", "image/png", "image/svg+xml", "video/mp4", "text/plain", "png"];
const PARTS: [&str; 20] = [
    ":",
    "?",
    "&",
    "=",
    "%",
    "%2",
    "%23",
    "#",
    "*",
    "com.example.a",
    "action",
    "create",
    "collection",
    "aud",
    "lxm",
    "did:web:x.example%23s",
    "image/*",
    "email",
    "+",
    "attr",
];

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[usize::try_from(random.below(from.len() as u64)).unwrap()]
}

fn encoded(text: &str) -> String {
    text.replace('%', "%25").replace('#', "%23")
}

/// A scope that is mostly right.
fn scope(random: &mut Random) -> String {
    let values = |random: &mut Random, key: &str, from: &[&str]| match random.below(3) {
        0 => (format!(":{}", encoded(pick(random, from))), Vec::new()),
        1 => (String::new(), vec![format!("{key}={}", encoded(pick(random, from)))]),
        _ => {
            let mut two = || format!("{key}={}", encoded(pick(random, from)));
            (String::new(), vec![two(), two()])
        }
    };
    let (name, (first, mut rest)) = match random.below(8) {
        0 | 1 => ("repo", values(random, "collection", &NAMES)),
        2 | 3 => ("rpc", values(random, "lxm", &NAMES)),
        4 => ("blob", values(random, "accept", &MIMES)),
        5 => ("account", values(random, "attr", &["email", "repo", "status"])),
        6 => ("identity", values(random, "attr", &["handle", "*"])),
        _ => {
            return pick(
                random,
                &["atproto", "transition:generic", "transition:email", "transition:chat.bsky"],
            )
            .to_owned();
        }
    };
    let mut more = |random: &mut Random, key: &str, from: &[&str], most: u64| {
        for _ in 0..random.below(most) {
            rest.push(format!("{key}={}", encoded(pick(random, from))));
        }
    };
    match name {
        "repo" => more(random, "action", &["create", "update", "delete"], 4),
        "rpc" if random.below(10) > 0 => rest.push(format!("aud={}", encoded(pick(random, &AUDS)))),
        "account" => more(random, "action", &["read", "manage"], 3),
        _ => {}
    }
    let query = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
    format!("{name}{first}{query}")
}

/// A scope with something wrong in it, or nothing like one.
fn broken(random: &mut Random) -> String {
    let mut text = match random.below(3) {
        0 => pick(random, &["repo", "rpc", "blob", "account", "identity", "include"]).to_owned(),
        _ => scope(random),
    };
    for _ in 0..=random.below(4) {
        let part = pick(random, &PARTS);
        let at = usize::try_from(random.below(text.len() as u64 + 1)).unwrap();
        match random.below(3) {
            0 => text.insert_str(at, part),
            1 => text.push_str(part),
            _ => drop(text.pop()),
        }
    }
    text
}

/// Whether scopes cover something.
type Covers = Box<dyn Fn(&Scopes) -> bool>;

/// The same need for both sides.
fn need(random: &mut Random) -> (Value, Covers, String) {
    let (lxm, aud, mime) = (pick(random, &NAMES), pick(random, &AUDS[1..4]), pick(random, &MIMES));
    let action = RepoAction::ALL[random.below(3) as usize];
    let (attr, act) =
        (AccountAttr::ALL[random.below(3) as usize], AccountAction::ALL[random.below(2) as usize]);
    let identity = if random.below(2) == 0 { IdentityAttr::Handle } else { IdentityAttr::All };
    let (value, need) = match random.below(6) {
        0 | 1 => (
            json!(["repo", { "collection": lxm, "action": action.name() }]),
            Need::Repo { collection: lxm, action },
        ),
        2 | 3 => (json!(["rpc", { "lxm": lxm, "aud": aud }]), Need::Rpc { lxm, aud }),
        4 => (json!(["blob", { "mime": mime }]), Need::Blob { mime }),
        _ if random.below(2) == 0 => {
            (json!(["identity", { "attr": identity.name() }]), Need::Identity(identity))
        }
        _ => (
            json!(["account", { "attr": attr.name(), "action": act.name() }]),
            Need::Account { attr, action: act },
        ),
    };
    (value, Box::new(move |scopes| scopes.allows(&need)), need.to_string())
}

/// A permission set that is partly nonsense, and the scope that includes it.
fn set(random: &mut Random) -> (String, Value) {
    let many = |random: &mut Random, from: &[&str]| -> Value {
        match random.below(12) {
            0 => Value::Null,
            1 => pick(random, from).into(),
            2 => json!([]),
            3 => json!([pick(random, from), 7]),
            _ => (0..=random.below(2)).map(|_| pick(random, from)).collect::<Vec<_>>().into(),
        }
    };
    let mut entries = Vec::new();
    for _ in 0..random.below(6) {
        let mut entry = json!({ "type": "permission", "resource": pick(random, &["repo", "rpc", "repo", "rpc", "blob", "account", "space"]) });
        if entry["resource"] == "repo" || random.below(8) == 0 {
            entry["collection"] = many(random, &NAMES);
        }
        if random.below(3) == 0 {
            entry["action"] = many(random, &["create", "update", "delete", "burn"]);
        }
        if entry["resource"] == "rpc" || random.below(8) == 0 {
            entry["lxm"] = many(random, &NAMES);
            match random.below(4) {
                0 => entry["aud"] = pick(random, &AUDS).into(),
                1 => entry["aud"] = "*".into(),
                2 => entry["inheritAud"] = true.into(),
                _ => {}
            }
            if random.below(6) == 0 {
                entry["inheritAud"] = json!([true, false, "true"])[random.below(3) as usize].clone();
            }
        }
        if random.below(10) == 0 {
            entry["description"] = "what it is for".into();
        }
        entries.push(entry);
    }
    let nsid =
        pick(random, &["com.example.auth", "com.example.deep.auth", "app.bsky.authFull", "org.other.set"]);
    let aud = if random.below(2) == 0 { "?aud=did:web:api.example.com%23svc" } else { "" };
    (format!("include:{nsid}{aud}"), json!({ "type": "permission-set", "permissions": entries }))
}

fn asked(questions: &Value) -> Option<Value> {
    let oracle = need::oracle()?;
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(oracle.join("node_modules"), dir.path().join("node_modules")).unwrap();
    let script = dir.path().join("scopes.mjs");
    std::fs::write(&script, include_str!("oauth/scopes.mjs")).unwrap();
    let mut child = Command::new(node(&oracle))
        .arg(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(questions.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn the_reference_judges_scopes_the_same_way() {
    let mut random = Random::from_environment();
    let count = need::count("P2PDS_SCOPES", 4_000);
    let mut strings: Vec<String> = STRINGS.split_whitespace().map(str::to_owned).collect();
    strings.extend((0..count).map(|_| scope(&mut random)));
    strings.extend((0..count).map(|_| broken(&mut random)));
    let mut grants = Vec::new();
    for _ in 0..count / 4 {
        let held: Vec<String> = (0..=random.below(3)).map(|_| scope(&mut random)).collect();
        grants.push((held, (0..12).map(|_| need(&mut random)).collect::<Vec<_>>()));
    }
    let sets: Vec<(String, Value)> = (0..count).map(|_| set(&mut random)).collect();
    let questions = json!({
        "scopes": strings,
        "grants": grants.iter().map(|(held, needs)| json!({
            "scopes": held, "needs": needs.iter().map(|(value, ..)| value).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "needed": grants.iter().flat_map(|(_, needs)| needs).map(|(value, ..)| value).collect::<Vec<_>>(),
        "sets": sets.iter().map(|(include, set)| json!({ "include": include, "set": set })).collect::<Vec<_>>(),
    });
    let Some(answers) = asked(&questions) else { return };

    let (mut right, mut wrong, mut apart) = (0, 0, Vec::new());
    for (text, theirs) in strings.iter().zip(answers["scopes"].as_array().unwrap()) {
        let ours = Scope::parse(text).ok().map(|scope| scope.to_string());
        // The reference writes a media type that was said twice once, and by its name still; it means the same.
        let named = theirs
            .as_str()
            .and_then(|text| text.strip_prefix("blob?accept="))
            .filter(|rest| !rest.contains('&'));
        let theirs =
            named.map_or_else(|| theirs.as_str().map(str::to_owned), |rest| Some(format!("blob:{rest}")));
        if ours != theirs {
            apart.push((text, theirs, ours.clone()));
        }
        *(if ours.is_some() { &mut right } else { &mut wrong }) += 1;
    }
    assert!(apart.is_empty(), "{} strings: {:#?}", apart.len(), apart.iter().take(20).collect::<Vec<_>>());
    assert!(right > 1_000 && wrong > 1_000, "{right} scopes, {wrong} others");

    let (mut yes, mut no) = (0, 0);
    for ((held, needs), theirs) in grants.iter().zip(answers["grants"].as_array().unwrap()) {
        // What is no scope grants nothing, on either side.
        let known = Scopes::known(&held.join(" ")).unwrap().0;
        for ((value, allowed, _), theirs) in needs.iter().zip(theirs.as_array().unwrap()) {
            let ours = allowed(&known);
            assert_eq!(Some(ours), theirs.as_bool(), "{held:?} for {value}");
            *(if ours { &mut yes } else { &mut no }) += 1;
        }
    }
    assert!(yes > 1_000 && no > 1_000, "{yes} allowed, {no} refused");

    let needed = answers["needed"].as_array().unwrap();
    for ((_, _, ours), theirs) in grants.iter().flat_map(|(_, needs)| needs).zip(needed) {
        assert_eq!(Some(ours.as_str()), theirs.as_str());
    }

    let mut given = 0;
    for ((include, set), theirs) in sets.iter().zip(answers["sets"].as_array().unwrap()) {
        let Scope::Include(asked) = Scope::parse(include).unwrap() else { panic!("{include}") };
        let ours: Vec<String> = asked
            .permissions(&PermissionSet::from_json(set).unwrap())
            .iter()
            .map(ToString::to_string)
            .collect();
        let theirs: Vec<&str> =
            theirs.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        assert_eq!(ours, theirs, "{include} {set}");
        given += ours.len();
    }
    assert!(given > 100, "{given} permissions of sets");
}
