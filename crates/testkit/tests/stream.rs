//! The made-up stream, the client and the rules together: what is honest arrives byte for byte, and every lie, on the
//! wire or in an event, has one outcome that is named here. No head ever moves to something its account did not sign.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::time::Duration;

use p2pds_crypto::PublicKey;
use p2pds_net::{Client, NetConfig, NetError, WsOptions, WsStream};
use p2pds_replica::{Context, Decision, Frame, Head, Key, Origin, State, Status, decode, step};
use p2pds_testkit::stream::{Behaviour, Host, Plan, Rule, When, Write};

fn host(accounts: usize) -> Host {
    Host::start(&Plan { seed: 1, accounts, records: 12 }).unwrap()
}

/// Limits that a test can wait for.
fn options() -> WsOptions {
    WsOptions {
        max_frame: 1 << 20,
        idle: Duration::from_secs(5),
        ping_every: Duration::from_millis(300),
        rate_window: Duration::from_millis(500),
        ..WsOptions::default()
    }
}

async fn open(host: &Host, cursor: Option<&str>) -> Result<WsStream, NetError> {
    let query = cursor.map_or_else(String::new, |cursor| format!("?cursor={cursor}"));
    let url = format!("{}/xrpc/com.atproto.sync.subscribeRepos{query}", host.stream_url());
    Client::new(NetConfig::development()).unwrap().ws(&url, &options()).await
}

/// Name of an error frame, or of an `#info`.
fn word(bytes: &[u8]) -> String {
    match decode(bytes).unwrap() {
        Frame::Error(failure) => failure.error.to_owned(),
        Frame::Info(info) => info.name.to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn cursors_are_those_of_the_protocol() {
    let host = host(2);
    for n in 0..10 {
        host.post(n % 2);
    }
    let mut all = open(&host, Some("0")).await.unwrap();
    let mut part = open(&host, Some("7")).await.unwrap();
    let mut live = open(&host, None).await.unwrap();
    for seq in 1..=10 {
        assert_eq!(all.next().await.unwrap().unwrap(), host.event(seq));
    }
    for seq in 8..=10 {
        assert_eq!(part.next().await.unwrap().unwrap(), host.event(seq));
    }
    let eleventh = host.sync(1);
    for stream in [&mut all, &mut part, &mut live] {
        assert_eq!(stream.next().await.unwrap().unwrap(), host.event(eleventh));
    }
    let mut future = open(&host, Some("12")).await.unwrap();
    assert_eq!(word(&future.next().await.unwrap().unwrap()), "FutureCursor");
    assert_eq!(future.next().await.unwrap(), None);
    host.forget_before(5);
    let mut old = open(&host, Some("2")).await.unwrap();
    assert_eq!(word(&old.next().await.unwrap().unwrap()), "OutdatedCursor");
    assert_eq!(old.next().await.unwrap().unwrap(), host.event(5));
    for nonsense in ["-1", "1.5", "x", "99999999999999999999999"] {
        let error = open(&host, Some(nonsense)).await.unwrap_err();
        assert!(matches!(error, NetError::Status { status: 400, .. }), "{error}");
    }
    host.hang_up();
    let error = live.next().await.unwrap_err();
    assert!(matches!(error, NetError::Body { .. }), "{error}");
}

/// What the reader of the stream is told when event 2 is sent in this way.
async fn wire(what: Behaviour) -> String {
    let host = host(2);
    for _ in 0..3 {
        host.post(0);
    }
    host.behave(vec![Rule::once(2, what)]);
    let mut stream = open(&host, Some("0")).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), host.event(1));
    match stream.next().await {
        Ok(Some(bytes)) if bytes == host.event(2) => "honest".to_owned(),
        Ok(Some(bytes)) if bytes == host.event(3) => "next".to_owned(),
        Ok(Some(bytes)) => {
            decode(&bytes).map_or_else(|error| error.kind().to_string(), |_| "other".to_owned())
        }
        Ok(None) => format!("closed {:?}", stream.closed().map(|(code, _)| code)),
        Err(NetError::TooSlow { .. }) => "too slow".to_owned(),
        Err(NetError::TooLarge { .. }) => "too large".to_owned(),
        Err(NetError::Body { .. }) => "broken".to_owned(),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_abuse_of_the_wire_has_its_end() {
    let cases = [
        (Behaviour::Drop, "next"),
        (Behaviour::Duplicate, "honest"),
        (Behaviour::Swap, "next"),
        (Behaviour::Text, "broken"),
        (Behaviour::Compressed, "broken"),
        (Behaviour::Masked, "broken"),
        (Behaviour::Reset, "broken"),
        (Behaviour::CutFrame, "broken"),
        (Behaviour::Close(1012), "closed Some(1012)"),
        (Behaviour::HugeFrame((1 << 20) + 1), "too large"),
        (Behaviour::LongFrame(u64::MAX >> 1), "too large"),
        (Behaviour::LongFrame(1 << 19), "too slow"),
        (Behaviour::Trickle(200), "too slow"),
        (Behaviour::Trickle(200_000), "honest"),
        (Behaviour::DripFragments(20), "too slow"),
        (Behaviour::EndlessFragments, "too large"),
        (Behaviour::PingFlood(10), "honest"),
        (Behaviour::PingFlood(10_000), "broken"),
        (Behaviour::Stall(1_000), "honest"),
        (Behaviour::TruncateFrame(50), "invalid"),
        (Behaviour::Garbage(500), "invalid"),
        (Behaviour::Garbage(0), "invalid"),
        (Behaviour::BadDid, "invalid"),
        (Behaviour::HugeSeq, "invalid"),
    ];
    for (what, outcome) in cases {
        let said = tokio::time::timeout(Duration::from_secs(60), wire(what.clone())).await;
        assert_eq!(said.expect("it ends"), outcome, "{what:?}");
    }
}

fn brief(decision: &Decision<'_>) -> String {
    match decision {
        Decision::Apply { skipped, .. } => format!("apply{}", if *skipped { " skipped" } else { "" }),
        Decision::Compare { .. } => "compare".to_owned(),
        Decision::Touch { .. } => "touch".to_owned(),
        Decision::Ignore(why) => format!("ignore {}", why.as_str()),
        Decision::Resync { why, .. } => format!("resync {}", why.as_str()),
        Decision::Refuse(why) => format!("refuse {}", why.as_str()),
        Decision::Refresh { why, .. } => format!("refresh {}", why.as_str()),
        Decision::Status { status, .. } => format!("status {}", status.as_str()),
    }
}

/// Follows the first account over the stream while its third event is sent in this way, to the end of five; returns what
/// was decided about what came, without the honest applications.
async fn followed(what: Behaviour) -> Vec<String> {
    let host = host(2);
    let truth = host.truth(0);
    let first = Head { rev: truth.rev, commit: truth.commit, data: truth.data };
    let key = PublicKey::from_did_key(&host.signing_key(0)).unwrap();
    let (did, keys) = (host.did(0), [Key { key, until: None }]);
    let mut heads = vec![first];
    for _ in 0..5 {
        host.commit(0, Write { creates: 2, updates: 1, deletes: 1 });
        let truth = host.truth(0);
        heads.push(Head { rev: truth.rev, commit: truth.commit, data: truth.data });
    }
    // The last event is about somebody else and tells when the stream is over.
    let end = host.post(1);
    host.behave(vec![Rule::once(3, what)]);
    let mut stream = open(&host, Some("0")).await.unwrap();
    let (mut state, mut said) = (State::new(Some(first), Status::Active), Vec::new());
    let now = i64::try_from(heads[5].rev.micros()).unwrap();
    loop {
        let bytes = stream.next().await.unwrap().unwrap();
        let Ok(frame) = decode(&bytes) else {
            said.push("unreadable".to_owned());
            continue;
        };
        if frame.seq() == Some(end) {
            break;
        }
        if frame.did().is_some_and(|owner| owner.as_str() != did) {
            said.push("foreign".to_owned());
            continue;
        }
        let context = Context { now, origin: Origin::Host, keys: &keys, again: true };
        let before = state.head().unwrap();
        let decision = step(&mut state, frame, &context);
        let after = state.head().unwrap();
        if matches!(decision, Decision::Resync { .. }) {
            // The host is asked for the repo, and tells the truth there.
            assert_eq!(state.resynced(heads[5]), None);
        } else {
            assert!(after.rev >= before.rev && heads.contains(&after), "{}", brief(&decision));
        }
        if !matches!(decision, Decision::Apply { skipped: false, .. }) {
            said.push(brief(&decision));
        }
    }
    assert_eq!((state.head(), state.lost()), (Some(heads[5]), None), "in step at the end");
    said
}

#[tokio::test]
async fn every_lie_in_an_event_has_its_outcome() {
    // After a resync, what is still to come has been seen already.
    let (lost, late) = ("ignore older", "ignore same");
    let cases: [(Behaviour, &[&str]); 24] = [
        (Behaviour::Drop, &["resync gap", late]),
        (Behaviour::Duplicate, &["ignore same"]),
        (Behaviour::Swap, &["resync gap", lost, late]),
        (Behaviour::ForgeSignature, &["refuse bad-signature", "resync gap", late]),
        (Behaviour::ForeignDid, &["foreign", "resync gap", late]),
        (Behaviour::OlderRev(3_600), &["ignore older", "resync gap", late]),
        (Behaviour::FutureRev(7_200), &["refuse future-rev", "resync gap", late]),
        (Behaviour::Equivocate, &["refuse equivocation"]),
        (Behaviour::WrongPrevData, &["resync unproved", lost, late]),
        (Behaviour::MissingPrevData, &["compare"]),
        (Behaviour::WrongSince, &["apply skipped"]),
        (Behaviour::WrongOp, &["resync unproved", lost, late]),
        (Behaviour::HideOp, &["resync unproved", lost, late]),
        (Behaviour::MissingBlock, &["resync unproved", lost, late]),
        (Behaviour::FlipBlock, &["refuse no-proof", "resync gap", late]),
        (Behaviour::ExtraBlocks(1_000_000), &[]),
        (Behaviour::TooBig, &["resync too-big", lost, late]),
        (Behaviour::Rebase, &["resync rebase", lost, late]),
        (Behaviour::UnknownType, &["ignore not-an-account"]),
        (Behaviour::UnknownOp, &["ignore not-an-account"]),
        (Behaviour::Info("Novelty".to_owned()), &["ignore not-an-account"]),
        (Behaviour::OldSeq, &[]),
        (Behaviour::BadDid, &["unreadable", "resync gap", late]),
        (Behaviour::TruncateFrame(90), &["unreadable", "resync gap", late]),
    ];
    for (what, expected) in cases {
        assert_eq!(followed(what.clone()).await, expected, "{what:?}");
    }
}

#[tokio::test]
async fn identity_events_without_end_cost_two_questions() {
    let said = followed(Behaviour::IdentityFlood(1_000)).await;
    let asked = said.iter().filter(|said| *said == "refresh event").count();
    assert_eq!((asked, said.len()), (2, 1_000), "one now and one in a minute, which covers all the others");
}

#[tokio::test]
async fn scripts_are_data() {
    let script = vec![
        Rule::once(3, Behaviour::ForgeSignature),
        Rule::per_mille(10, Behaviour::Drop),
        Rule { when: When::From(5), what: Behaviour::Trickle(9), times: None },
        Rule::account(1, Behaviour::AccountStatus("deleted".to_owned())),
    ];
    let text = serde_json::to_string(&script).unwrap();
    assert!(text.starts_with(r#"[{"when":{"seq":3},"what":"forge-signature","times":1}"#), "{text}");
    assert_eq!(serde_json::from_str::<Vec<Rule>>(&text).unwrap(), script);
    // One event in a hundred is dropped, the same ones for everybody.
    let host = host(3);
    host.prepare(3_000);
    host.behave(vec![Rule::per_mille(10, Behaviour::Drop)]);
    host.publish(u64::MAX);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut stream = open(&host, Some("0")).await.unwrap();
        let mut seqs = Vec::new();
        while seqs.last() != Some(&3_000) {
            seqs.push(decode(&stream.next().await.unwrap().unwrap()).unwrap().seq().unwrap());
        }
        assert!((2_900..3_000).contains(&seqs.len()), "{}", seqs.len());
        seen.push(seqs);
    }
    assert_eq!(seen[0], seen[1]);
}
