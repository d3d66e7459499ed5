//! Every lexicon method is in the table once: with who may call it.

use std::collections::BTreeSet;
use std::path::Path;

use p2pds_xrpc::{Body, Kind, Served, methods};

use crate::house::House;

/// NSIDs of the queries, procedures and subscriptions below a directory of lexicons.
fn methods_below(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            methods_below(&path, found);
            continue;
        }
        let Ok(document) = serde_json::from_slice::<serde_json::Value>(&std::fs::read(&path).unwrap()) else {
            continue;
        };
        if ["query", "procedure", "subscription"]
            .contains(&document["defs"]["main"]["type"].as_str().unwrap_or(""))
        {
            found.insert(document["id"].as_str().unwrap().to_owned());
        }
    }
}

/// What a lexicon says of a method: its type, and the media type of what it takes.
fn said(dir: &Path, nsid: &str) -> (String, Option<String>) {
    let path = dir.join(nsid.replace('.', "/")).with_extension("json");
    let document: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let main = &document["defs"]["main"];
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    (text(&main["type"]).unwrap(), text(&main["input"]["encoding"]))
}

#[test]
fn every_method_of_the_lexicons_is_listed_once() {
    let Some(dir) = p2pds_testkit::shared("lexicons") else { return };
    let mut known = BTreeSet::new();
    methods_below(&dir.join("com/atproto"), &mut known);
    assert!(known.len() > 70, "{} methods", known.len());
    let listed: BTreeSet<String> = methods().map(|method| method.nsid.to_owned()).collect();
    assert_eq!(listed.len(), methods().count(), "a method is listed twice");
    for nsid in &known {
        assert!(listed.contains(nsid), "{nsid} is not in the table: say where it is answered, and to whom");
    }
    for method in methods().filter(|method| !method.nsid.starts_with("org.p2pds.")) {
        let (kind, takes) = said(&dir, method.nsid);
        let of_kind = match method.kind {
            Kind::Query => "query",
            Kind::Procedure => "procedure",
            Kind::Subscription => "subscription",
            Kind::Any => "any",
        };
        assert_eq!(kind, of_kind, "{}", method.nsid);
        if method.served == Served::Hosting || method.served == Served::Always {
            let fits = match method.body {
                Body::None => takes.is_none(),
                Body::Json(_) => takes.as_deref() == Some("application/json"),
                Body::Bytes(_) => takes.is_some_and(|kind| kind != "application/json"),
                Body::Any(_) => false,
            };
            assert!(fits, "{}: its body", method.nsid);
        }
    }
}

/// What the table says of credentials, in one line each: a change here is a change of who may do what.
#[test]
fn who_may_call_what() {
    let mut lines = String::new();
    for method in methods() {
        let credentials = format!("{:?}", method.credentials)
            .replace(
                "Sessions { app_passwords: true, takendown: false, queued: false, deactivated: true }",
                "standard",
            )
            .replace(
                "Sessions { app_passwords: false, takendown: false, queued: false, deactivated: true }",
                "full",
            )
            .replace(
                "Sessions { app_passwords: true, takendown: true, queued: false, deactivated: true }",
                "standard+takendown",
            )
            .replace(
                "Sessions { app_passwords: false, takendown: true, queued: false, deactivated: true }",
                "full+takendown",
            )
            .replace(
                "Sessions { app_passwords: true, takendown: false, queued: true, deactivated: true }",
                "standard+queued",
            )
            .replace(
                "Sessions { app_passwords: true, takendown: false, queued: false, deactivated: false }",
                "active",
            );
        let rules: Vec<&str> = method.rules.iter().map(|rule| rule.name).collect();
        lines += &format!(
            "{} {:?} {credentials} {:?} {:?} {}\n",
            method.nsid,
            method.served,
            method.body,
            method.permission,
            rules.join(",")
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/table.txt");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &lines).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        lines,
        "set UPDATE_DOCS=1 and read the difference"
    );
}

#[tokio::test]
async fn routes_are_those_of_the_table() {
    let door = House::new().door();
    for method in methods() {
        let reply = door.xrpc(method.nsid, "").await;
        if method.served == Served::Always {
            assert!(![404, 405, 501].contains(&reply.status), "{} {}", method.nsid, reply.status);
        } else {
            assert_eq!(
                (reply.status, reply.error().as_str()),
                (501, "MethodNotImplemented"),
                "{}",
                method.nsid
            );
        }
    }
    for nsid in ["app.bsky.feed.describeFeedGenerator", "com.atproto.sync.GETREPO", "x", "..", "%2e%2e"] {
        let reply = door.xrpc(nsid, "").await;
        assert_eq!((reply.status, reply.error().as_str()), (501, "MethodNotImplemented"), "{nsid}");
    }
}
