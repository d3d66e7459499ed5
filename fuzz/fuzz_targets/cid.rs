//! CIDs: bytes and text agree with each other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2pds_ipld::Cid;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(cid) = Cid::from_bytes(bytes) {
        assert_eq!(cid.to_bytes().as_slice(), bytes);
        assert_eq!(cid.to_string().parse::<Cid>().ok(), Some(cid));
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(cid) = text.parse::<Cid>()
    {
        assert_eq!(cid.to_string(), text);
    }
});
