//! Every lexicon method is in the table once: served, or absent with a reason.

use std::collections::BTreeSet;
use std::path::Path;

use p2pds_xrpc::{ABSENT, METHODS};

use crate::house::House;

/// NSIDs of the queries, procedures and subscriptions below a directory of lexicons.
fn methods(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            methods(&path, found);
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

fn is_absent(nsid: &str) -> bool {
    ABSENT.iter().any(|(name, _)| if name.ends_with('.') { nsid.starts_with(name) } else { nsid == *name })
}

#[test]
fn every_method_of_the_lexicons_is_listed_once() {
    let Some(dir) = p2pds_testkit::shared("lexicons/com/atproto") else { return };
    let mut known = BTreeSet::new();
    methods(&dir, &mut known);
    assert!(known.len() > 70, "{} methods", known.len());
    let served: BTreeSet<String> = METHODS.iter().map(|method| method.nsid.to_owned()).collect();
    assert_eq!(served.len(), METHODS.len(), "a method is listed twice");
    for nsid in &known {
        assert!(served.contains(nsid) != is_absent(nsid), "{nsid} is neither served nor absent, or both");
    }
    for nsid in served.iter().filter(|nsid| nsid.starts_with("com.atproto.")) {
        assert!(known.contains(nsid), "{nsid} is in no lexicon");
    }
    for (name, _) in ABSENT {
        assert!(known.iter().any(|nsid| nsid.starts_with(name)), "{name} is in no lexicon");
    }
}

#[tokio::test]
async fn routes_are_those_of_the_table() {
    let door = House::new().door();
    for method in METHODS {
        let reply = door.xrpc(method.nsid, "").await;
        assert_ne!(reply.status, 501, "{}", method.nsid);
        assert_ne!(reply.status, 404, "{}", method.nsid);
    }
    for nsid in
        ["com.atproto.repo.createRecord", "com.atproto.server.createSession", "app.bsky.feed.getTimeline"]
    {
        let reply = door.xrpc(nsid, "").await;
        assert_eq!((reply.status, reply.error().as_str()), (501, "MethodNotImplemented"), "{nsid}");
    }
}
