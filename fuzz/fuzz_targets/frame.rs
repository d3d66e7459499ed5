//! Stream frames: what decodes says of itself what a glance says, encodes to a frame that says the same, and never
//! moves the head of an account that signed nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2pds_replica::{Context, Head, Key, Origin, State, Status, decode, peek, step};

fuzz_target!(|bytes: &[u8]| {
    let seen = peek(bytes);
    let Ok(frame) = decode(bytes) else { return };
    let seen = seen.expect("a glance reads no more than a reading");
    assert_eq!(seen.seq, frame.seq());
    if let Some(did) = frame.did() {
        assert_eq!(seen.did, Some(did.as_str()));
    }
    let again = frame.encode();
    let twice = decode(&again).expect("our own frame");
    assert_eq!(twice.encode(), again);
    assert_eq!((twice.seq(), twice.did()), (frame.seq(), frame.did()));

    let key = p2pds_crypto::PublicKey::from_did_key("did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme")
        .expect("a key");
    let keys = [Key { key, until: None }];
    let head = Head {
        rev: p2pds_syntax::Tid::from_micros(1, 1),
        commit: p2pds_ipld::Cid::of_cbor(b"commit"),
        data: p2pds_repo::mst::empty_root(),
    };
    for origin in [Origin::Host, Origin::Relay, Origin::Other] {
        let mut state = State::new(Some(head), Status::Active);
        let context = Context { now: i64::MAX / 2, origin, keys: &keys, again: true };
        let _ = step(&mut state, decode(bytes).expect("read before"), &context);
        assert_eq!(state.head(), Some(head));
    }
});
