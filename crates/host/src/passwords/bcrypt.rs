//! bcrypt, for `PASSWORD_HASH` of single-user hosts that were set up elsewhere. Nothing new is kept that way.

use super::Check;

/// The most work that is taken on for one check: two to this power.
const MOST: u32 = 14;

/// Whether a kept password says that it is of this kind.
pub(super) fn is_one(stored: &str) -> bool {
    stored.starts_with("$2")
}

/// Whether it can be checked here.
pub(super) fn readable(stored: &str) -> bool {
    stored.parse::<bcrypt::HashParts>().is_ok_and(|parts| parts.get_cost() <= MOST)
}

/// Checks a password against it.
pub(super) fn check(stored: &str, password: &[u8]) -> Check {
    // What lies beyond 72 bytes counts for nothing in this scheme; so there is nothing to find beyond them.
    match readable(stored) && bcrypt::verify(password, stored).unwrap_or(false) {
        true => Check::RightButOld,
        false => Check::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::{check, is_one, readable};
    use crate::passwords::Check;

    #[test]
    fn hashes_of_other_programs() {
        // Made by the C library's crypt(3).
        let kept = "$2b$04$abcdefghijklmnopqrstuunBMgByaIAZYuFgMUjBx8aaeU/9We5xa".to_owned();
        assert!(is_one(&kept) && readable(&kept), "{kept}");
        assert_eq!(check(&kept, b"hunter22"), Check::RightButOld);
        for wrong in ["hunter2", "hunter222", ""] {
            assert_eq!(check(&kept, wrong.as_bytes()), Check::Wrong, "{wrong:?}");
        }
        for bad in ["$2b$", "$2b$04$short", &kept.replace("$04$", "$31$")] {
            assert!(!readable(bad), "{bad}");
            assert_eq!(check(bad, b"hunter22"), Check::Wrong);
        }
    }
}
