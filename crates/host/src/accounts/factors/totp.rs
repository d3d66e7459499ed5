//! Codes of an app: TOTP (RFC 6238) with SHA-1, six digits, thirty seconds, which is what all such apps take.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;

/// Length of a secret, bytes: as long as the hash (RFC 4226, R6).
pub const SECRET: usize = 20;
/// Digits of a code.
pub const DIGITS: usize = 6;
/// How long a code is shown, seconds.
pub const PERIOD: i64 = 30;

/// The time step at a time in microseconds.
#[must_use]
pub fn step(now: i64) -> i64 {
    now.div_euclid(1_000_000).div_euclid(PERIOD)
}

/// The code of a time step.
#[must_use]
pub fn code(secret: &[u8], step: i64) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else { return digits };
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash.last().copied().unwrap_or_default() & 15);
    let four = hash.get(at..at.saturating_add(4)).and_then(|four| <[u8; 4]>::try_from(four).ok());
    let mut number = u32::from_be_bytes(four.unwrap_or_default()) & 0x7fff_ffff;
    for digit in digits.iter_mut().rev() {
        *digit = b'0'.saturating_add(u8::try_from(number % 10).unwrap_or_default());
        number /= 10;
    }
    digits
}

/// The time step that a code belongs to: this one, the one before or the next, if its code was not taken yet. All three
/// are compared, whichever it is.
#[must_use]
pub fn find(secret: &[u8], given: &str, now: i64, taken: i64) -> Option<i64> {
    let present = step(now);
    let mut found = None;
    for near in [present.saturating_sub(1), present, present.saturating_add(1)] {
        let right = bool::from(code(secret, near).as_slice().ct_eq(given.as_bytes()));
        if right && near > taken {
            found = Some(near);
        }
    }
    found
}

/// What an app is shown as a QR code: <https://github.com/google/google-authenticator/wiki/Key-Uri-Format>.
#[must_use]
pub fn uri(secret: &[u8], issuer: &str, account: &str) -> String {
    let (issuer, account) = (escape(issuer), escape(account));
    format!(
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={PERIOD}",
        BASE32_NOPAD.encode(secret)
    )
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC: &[u8] = b"12345678901234567890";
    const SECOND: i64 = 1_000_000;

    /// RFC 6238, appendix B, the rows of SHA-1; the last six of its eight digits.
    #[test]
    fn the_codes_of_the_rfc() {
        for (seconds, eight) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(code(RFC, step(seconds * SECOND)), eight.as_bytes()[2..], "{seconds}");
        }
    }

    /// RFC 4226, appendix D.
    #[test]
    fn the_codes_of_the_rfc_before() {
        let all = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (count, expected) in (0..).zip(all) {
            assert_eq!(code(RFC, count), expected.as_bytes(), "{count}");
        }
    }

    #[test]
    fn a_code_is_good_for_one_step_around_and_after_those_that_were_taken() {
        let now = 1_111_111_111 * SECOND;
        let here = step(now);
        let text = |step| String::from_utf8(code(RFC, step).to_vec()).unwrap();
        for near in -1..=1 {
            assert_eq!(find(RFC, &text(here + near), now, 0), Some(here + near), "{near}");
        }
        for far in [-2, 2, 100] {
            assert_eq!(find(RFC, &text(here + far), now, 0), None, "{far}");
        }
        assert_eq!(find(RFC, &text(here), now, here), None, "taken");
        assert_eq!(find(RFC, &text(here - 1), now, here), None, "one before what was taken");
        assert_eq!(find(RFC, &text(here + 1), now, here), Some(here + 1));
        for wrong in ["", "12345", "1234567", "abcdef", "００００００"] {
            assert_eq!(find(RFC, wrong, now, 0), None, "{wrong}");
        }
        assert_eq!(find(b"another secret......", &text(here), now, 0), None);
    }

    #[test]
    fn what_an_app_is_shown() {
        let uri = uri(RFC, "A host", "alice.example.com");
        assert_eq!(
            uri,
            "otpauth://totp/A%20host:alice.example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=A%20host\
             &algorithm=SHA1&digits=6&period=30"
        );
    }
}
