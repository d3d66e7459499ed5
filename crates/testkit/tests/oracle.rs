//! The harness against the reference stack alone: what it reads is what it wrote.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use p2pds_testkit::oracle::{Network, Options, POST, Write, bulk_key, image, post_record};

#[test]
fn what_is_written_is_what_is_read() {
    let Some(network) = Network::start(&Options::default()).unwrap() else { return };
    let account = network.account(0, "maria-p2pds", None).unwrap();
    let empty = account.truth().unwrap();
    assert_eq!((empty.records.len(), empty.blobs.len()), (0, 0));

    let post = account.create(POST, &post_record("one")).unwrap();
    let picture = account.post_image(&image(1, 5_000)).unwrap();
    account.put(POST, post.rkey(), &post_record("one, changed")).unwrap();
    let started = std::time::Instant::now();
    account.bulk("bulk", 1_000).unwrap();
    println!("1000 records written in {:?}", started.elapsed());
    account.delete(POST, &bulk_key("bulk", 999)).unwrap();
    account.apply(&[Write::Delete(POST.into(), bulk_key("bulk", 998))]).unwrap();

    let truth = account.truth().unwrap();
    assert_eq!(truth.records.len(), 1_000);
    assert_eq!(truth.blobs.keys().collect::<Vec<_>>(), [&picture]);
    assert_ne!(truth.records[&format!("{POST}/{}", post.rkey())], post.cid, "the update is seen");
    assert!(truth.blocks.len() > truth.records.len());
    let log = network.audit_log(&account.did).unwrap();
    assert!(String::from_utf8(log).unwrap().contains(&account.did));
}

#[test]
fn one_pds_can_go_while_the_other_goes_on() {
    let options = Options { pdses: 2, ..Options::default() };
    let Some(network) = Network::start(&options).unwrap() else { return };
    let first = network.account(0, "oskar-p2pds", None).unwrap();
    let second = network.account(1, "linda-p2pds", None).unwrap();
    network.destroy_pds(0).unwrap();
    assert!(first.latest_commit().is_err());
    second.latest_commit().unwrap();
    network.audit_log(&first.did).unwrap();
}
