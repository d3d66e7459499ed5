//! Everything that happens to hosted accounts, for those who watch their host's events.
#![allow(dead_code, reason = "every test uses a part of it")]

use p2pds_testkit::hosted::{ADMIN, Hosted};
use p2pds_testkit::http;
use p2pds_testkit::oracle::{Account, Network, Options, POST, Write, bulk_key, image, post_record};
use serde_json::{Value, json};

/// A collection that nobody knows.
pub const THING: &str = "com.example.thing";

/// A PLC directory and a name server.
pub fn network() -> Option<Network> {
    Network::start(&Options { pdses: 0, ..Options::default() }).unwrap()
}

/// As the operator: `com.atproto.admin.NSID`.
pub fn admin(host: &Hosted, nsid: &str, body: &Value) {
    let bearer = format!("Basic {}", data_encoding::BASE64.encode(format!("admin:{ADMIN}").as_bytes()));
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    let url = format!("{}/xrpc/com.atproto.admin.{nsid}", host.url);
    let answer = http::request("POST", &url, &headers, Some(body.to_string().as_bytes())).unwrap();
    assert_eq!(answer.status, 200, "{nsid}: {}", String::from_utf8_lossy(&answer.body));
}

pub fn takedown(host: &Hosted, did: &str, applied: bool) {
    let subject = json!({"$type": "com.atproto.admin.defs#repoRef", "did": did});
    let takedown = if applied { json!({"applied": true, "ref": "1"}) } else { json!({"applied": false}) };
    admin(host, "updateSubjectStatus", &json!({"subject": subject, "takedown": takedown}));
}

/// A procedure without a body.
pub fn bare(account: &Account, nsid: &str) {
    let bearer = format!("Bearer {}", account.token());
    let url = format!("{}/xrpc/{nsid}", account.pds);
    let answer = http::request("POST", &url, &[("Authorization", &bearer)], None).unwrap();
    assert_eq!(answer.status, 200, "{nsid}: {}", String::from_utf8_lossy(&answer.body));
}

/// Everything that can happen to accounts, but for the end of one of them; gives the one that remains.
pub fn lives(host: &Hosted, network: &Network) -> Account {
    let alice = host.sign_up(network, "alice-firehose").unwrap();
    let bob = host.sign_up(network, "bob-firehose").unwrap();
    let first = alice.create(POST, &post_record("first")).unwrap();
    alice.put(POST, first.rkey(), &post_record("second")).unwrap();
    alice
        .put(
            "app.bsky.actor.profile",
            "self",
            &json!({"$type": "app.bsky.actor.profile", "displayName": "Al"}),
        )
        .unwrap();
    alice.post_image(&image(1, 20_000)).unwrap();
    alice.delete(POST, first.rkey()).unwrap();
    bob.bulk("firehose", 450).unwrap();
    let writes: Vec<Write> = (0..200)
        .map(|n| match n % 3 {
            0 => Write::Delete(POST.to_owned(), bulk_key("firehose", n)),
            1 => {
                Write::Update(POST.to_owned(), bulk_key("firehose", n), post_record(&format!("changed {n}")))
            }
            _ => Write::Create(THING.to_owned(), format!("thing-{n}"), json!({"$type": THING, "n": n})),
        })
        .collect();
    bob.apply(&writes).unwrap();
    let handle = "alice-renamed.test";
    network.names.set_txt(&format!("_atproto.{handle}"), &[&format!("did={}", alice.did)]);
    alice.call("com.atproto.identity.updateHandle", &json!({ "handle": handle })).unwrap();
    // Off and on again, with a repo brought along in between.
    let car = bob.repo_car(None).unwrap();
    bob.call("com.atproto.server.deactivateAccount", &json!({})).unwrap();
    bob.upload("com.atproto.repo.importRepo", "application/vnd.ipld.car", &car).unwrap();
    bare(&bob, "com.atproto.server.activateAccount");
    bob.create(POST, &post_record("here again")).unwrap();
    takedown(host, &alice.did, true);
    takedown(host, &alice.did, false);
    let alice = host.sign_in(handle).unwrap();
    alice.create(POST, &post_record("back")).unwrap();
    let gone = host.sign_up(network, "gone-firehose").unwrap();
    gone.create(POST, &post_record("soon gone")).unwrap();
    admin(host, "deleteAccount", &json!({ "did": gone.did }));
    alice
}
