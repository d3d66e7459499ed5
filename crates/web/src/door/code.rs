//! The code that claims a node: 24 letters and digits that cannot be taken for one another, in groups of four; 120
//! random bits.

use data_encoding::{Encoding, Specification};
use sha2::{Digest as _, Sha256};

/// Crockford's letters: no I, L, O and U.
const LETTERS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Random bytes.
const BYTES: usize = 15;
/// Letters and digits.
const LONG: usize = 24;

/// A new code.
pub(super) fn new() -> Result<String, String> {
    let mut bytes = [0_u8; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    let text = encoding()?.encode(&bytes);
    let groups: Vec<&str> =
        text.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
    Ok(groups.join("-"))
}

fn encoding() -> Result<Encoding, String> {
    let mut specification = Specification::new();
    specification.symbols.push_str(LETTERS);
    specification.encoding().map_err(|error| error.to_string())
}

/// What is stored of a code, however it was typed; `None` for what cannot be one.
pub(super) fn digest(typed: &str) -> Option<[u8; 32]> {
    let plain: String = typed
        .chars()
        .filter(|c| !matches!(c, '-' | ' ' | '\t'))
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .take(LONG + 1)
        .collect();
    let fits = plain.len() == LONG && plain.chars().all(|c| LETTERS.contains(c));
    fits.then(|| Sha256::digest(plain.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_typed() {
        let code = new().unwrap();
        assert_eq!(code.len(), 24 + 5);
        assert_eq!(code.split('-').count(), 6);
        assert_ne!(code, new().unwrap());
        let stored = digest(&code).unwrap();
        for typed in [code.to_lowercase(), code.replace('-', ""), format!(" {code} ")] {
            assert_eq!(digest(&typed), Some(stored), "{typed:?}");
        }
        assert_eq!(digest("OIL0-1111-2222-3333-4444-5555"), digest("0110-1111-2222-3333-4444-5555"));
        for bad in
            ["", "0000", &format!("{code}0"), "U000-1111-2222-3333-4444-5555", "é000-1111-2222-3333-4444-555"]
        {
            assert_eq!(digest(bad), None, "{bad:?}");
        }
    }
}
