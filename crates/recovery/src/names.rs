//! File names for record keys that every file system can hold.
//!
//! Windows and macOS do not tell upper case from lower case, Windows refuses `:` and device names such as `con`, and
//! everybody refuses names past 255 bytes. The encoding is the same everywhere, so that an export made on one machine can
//! be compared with one made on another. The record's own file names its true key, so nothing has to be decoded.

use sha2::{Digest as _, Sha256};

/// Longest name that is written as it is, before `.json`.
const LONGEST: usize = 200;
/// What is kept of a longer one, before its hash.
const KEPT: usize = 120;

/// The file name (without extension) of a record key.
///
/// Lower-case letters, digits, `-`, `_`, `~` and inner dots stay; everything else becomes `%` and two hex digits. The first
/// character of a reserved device name is encoded too. A name past 200 bytes is cut and ends in a hash of the whole key.
/// Different keys get different names, on file systems that ignore case too.
#[must_use]
pub fn rkey_file(rkey: &str) -> String {
    let mut out = String::with_capacity(rkey.len());
    let last = rkey.len().saturating_sub(1);
    let reserved = is_reserved(rkey);
    for (at, byte) in rkey.bytes().enumerate() {
        let plain = match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => !(reserved && at == 0),
            b'.' => at != 0 && at != last,
            _ => false,
        };
        push(&mut out, byte, plain);
    }
    shorten(out, rkey)
}

/// The directory name of a collection. Upper case is kept, since collections are camel case; `taken` says whether another
/// collection already has a name that differs in case only, and then upper case is encoded.
#[must_use]
pub fn collection_dir(collection: &str, taken: impl Fn(&str) -> bool) -> String {
    let encode = |upper_plain: bool| {
        let mut out = String::with_capacity(collection.len());
        let last = collection.len().saturating_sub(1);
        let reserved = is_reserved(collection);
        for (at, byte) in collection.bytes().enumerate() {
            let plain = match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => !(reserved && at == 0),
                b'A'..=b'Z' => upper_plain && !(reserved && at == 0),
                b'.' => at != 0 && at != last,
                _ => false,
            };
            push(&mut out, byte, plain);
        }
        shorten(out, collection)
    };
    let plain = encode(true);
    if taken(&plain.to_ascii_lowercase()) { encode(false) } else { plain }
}

fn push(out: &mut String, byte: u8, plain: bool) {
    if plain {
        out.push(char::from(byte));
    } else {
        out.push('%');
        out.push_str(&data_encoding::HEXLOWER.encode(&[byte]));
    }
}

fn shorten(name: String, whole: &str) -> String {
    if name.len() <= LONGEST {
        return name;
    }
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(whole.as_bytes()));
    let kept = name.get(..KEPT).unwrap_or_default();
    // `%%` occurs in no other name.
    format!("{kept}%%{}", hash.get(..32).unwrap_or_default())
}

/// Names that Windows gives to devices, whatever follows a dot.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul")
        || (stem.len() == 4
            && (stem.starts_with("com") || stem.starts_with("lpt"))
            && stem.ends_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn usual_keys_stay() {
        for key in ["3jzfcijpj2z2a", "self", "at-2024_11~x", "example.com"] {
            assert_eq!(rkey_file(key), key);
        }
        assert_eq!(collection_dir("app.bsky.feed.postGate", |_| false), "app.bsky.feed.postGate");
    }

    #[test]
    fn odd_keys_are_safe_everywhere() {
        assert_eq!(rkey_file(".."), "%2e%2e");
        assert_eq!(rkey_file("."), "%2e");
        assert_eq!(rkey_file("did:plc:abc"), "did%3aplc%3aabc");
        assert_eq!(rkey_file("CON"), "%43%4f%4e");
        assert_eq!(rkey_file("con"), "%63on");
        assert_eq!(rkey_file("nul.txt"), "%6eul.txt");
        assert_eq!(rkey_file("lpt1"), "%6cpt1");
        assert_eq!(rkey_file("a."), "a%2e");
        let long = rkey_file(&"A".repeat(512));
        assert!(long.len() <= 255 - ".json".len(), "{}", long.len());
    }

    #[test]
    fn no_two_keys_share_a_file_even_without_case() {
        let long_a = format!("{}a", "x".repeat(511));
        let long_b = format!("{}b", "x".repeat(511));
        let keys = ["abc", "ABC", "aBc", "a:c", "a.c", "a.", ".a", "con", "CON", "..", ".", &long_a, &long_b];
        let names: HashSet<String> = keys.iter().map(|key| rkey_file(key).to_ascii_lowercase()).collect();
        assert_eq!(names.len(), keys.len());
    }

    #[test]
    fn collections_that_differ_in_case_only() {
        let first = collection_dir("com.example.fooBar", |_| false);
        let second = collection_dir("com.example.foobar", |name| name == first.to_ascii_lowercase());
        assert_eq!(second, "com.example.foobar");
        let third = collection_dir("com.example.fooBAR", |_| true);
        assert_ne!(third.to_ascii_lowercase(), first.to_ascii_lowercase());
    }
}
