//! Names of directories and files: injective, readable, the same on case-insensitive disks.

use p2pds_ipld::Cid;
use p2pds_syntax::Did;

/// The directory of uploads under way.
pub(crate) const TMP: &str = "tmp";
/// Names longer than this are replaced by a hash; file systems allow 255 bytes.
const MAX_NAME: usize = 200;
/// Start of a hashed name; no escaped DID starts so.
const HASHED: &str = "long-";
/// The file that tells the DID of a directory with a hashed name.
pub(crate) const DID_FILE: &str = "did.txt";

/// The directory name of an account: its DID, with every byte outside
/// `a-z 0-9 . : -` written as `_` and two hex digits; DIDs too long for a file
/// name become `long-` and their SHA-256.
#[must_use]
pub fn account_dir_name(did: &Did) -> String {
    let mut name = String::new();
    for byte in did.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b':' | b'-' => name.push(char::from(byte)),
            _ => name.push_str(&format!("_{byte:02x}")),
        }
    }
    if name.len() <= MAX_NAME {
        return name;
    }
    let hash: String =
        Cid::of_raw(did.as_str().as_bytes()).digest().iter().map(|b| format!("{b:02x}")).collect();
    format!("{HASHED}{hash}")
}

/// Whether the name is a hashed one, whose DID stands in [`DID_FILE`].
pub(crate) fn is_hashed(name: &str) -> bool {
    name.starts_with(HASHED)
}

/// The DID of a directory name made by [`account_dir_name`], unless it is hashed or foreign.
pub(crate) fn did_of_name(name: &str) -> Option<Did> {
    let mut text = Vec::new();
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'_' {
            let hex = [bytes.next()?, bytes.next()?];
            text.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
        } else {
            text.push(byte);
        }
    }
    let did = Did::parse(&String::from_utf8(text).ok()?).ok()?;
    (account_dir_name(&did) == name).then_some(did)
}

#[cfg(test)]
mod tests {
    use super::{account_dir_name, did_of_name, is_hashed};
    use p2pds_syntax::Did;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    #[test]
    fn common_dids_are_their_own_names() {
        let did = Did::parse("did:plc:ewvi7nxzyoun6zhxrhs64oiz").unwrap();
        assert_eq!(account_dir_name(&did), "did:plc:ewvi7nxzyoun6zhxrhs64oiz");
        let did = Did::parse("did:web:localhost%3A3000").unwrap();
        assert_eq!(account_dir_name(&did), "did:web:localhost_253_413000");
        for foreign in ["tmp", "..", "did:plc:A", "did:web:x_2", "did:web:x_61", "lost+found"] {
            assert_eq!(did_of_name(foreign), None, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn names_are_safe_and_tell_their_did(id in "[a-zA-Z0-9._:%-]{0,400}[a-zA-Z0-9._-]") {
            if let Ok(did) = Did::parse(&format!("did:web:{id}")) {
                let name = account_dir_name(&did);
                prop_assert!(name.len() <= 200 && !name.contains('/') && !name.starts_with('.'));
                prop_assert_eq!(&name.to_ascii_lowercase(), &name);
                if !is_hashed(&name) {
                    prop_assert_eq!(did_of_name(&name), Some(did));
                }
            }
        }
    }
}
