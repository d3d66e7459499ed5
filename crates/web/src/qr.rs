//! An address as a QR code, drawn here: for the camera of a phone.

use maud::{Markup, html};
use qrcodegen::{QrCode, QrCodeEcc};

/// Light modules around it; fewer, and cameras do not find it (ISO/IEC 18004, 6.3.8).
const QUIET: i32 = 4;

/// The code as SVG, black on white in the dark as well. `label`: what it is, for those who do not see it. `None`: the
/// text is too long for any.
#[must_use]
pub fn qr(text: &str, label: &str) -> Option<Markup> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let side = code.size().saturating_add(QUIET.saturating_mul(2));
    Some(html! {
        // Colours as attributes: no style sheet and no setting of a browser may turn them round.
        svg.qr role="img" aria-label=(label) viewBox={ "0 0 " (side) " " (side) } shape-rendering="crispEdges" {
            rect width=(side) height=(side) fill="#fff" {}
            path fill="#000" d=(dark(&code)) {}
        }
    })
}

/// The dark modules as an outline: one oblong for each run of them in a row.
fn dark(code: &QrCode) -> String {
    let mut path = String::new();
    for y in 0..code.size() {
        let mut run = 0_i32;
        // One more than there are: what lies outside is light and ends the run.
        for x in 0..=code.size() {
            if code.get_module(x, y) {
                run = run.saturating_add(1);
                continue;
            }
            if run > 0 {
                let (left, top) = (x.saturating_sub(run).saturating_add(QUIET), y.saturating_add(QUIET));
                path.push_str(&format!("M{left} {top}h{run}v1h-{run}z"));
            }
            run = 0;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_no_code() {
        assert!(qr(&"x".repeat(2_000), "x").is_some());
        assert!(qr(&"x".repeat(4_000), "x").is_none());
    }

    #[test]
    fn there_is_light_all_around() {
        let drawn = qr("otpauth://totp/x", "a \"label\"").unwrap().into_string();
        assert!(drawn.contains("role=\"img\" aria-label=\"a &quot;label&quot;\""), "{drawn}");
        // The smallest code has 21 modules; a finder stands in its corner.
        let side: i32 =
            drawn.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert!(side >= 21 + 8 && (side - 8 - 17) % 4 == 0, "{side}");
        assert!(drawn.contains("d=\"M4 4h7v1h-7z"), "{drawn}");
    }
}
