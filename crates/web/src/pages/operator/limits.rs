//! The limits in force: how often what may be asked, how large what may be; and how often somebody was turned away.

use maud::{Markup, html};

use super::view::heads;
use crate::args;
use crate::node_side::{LimitNote, LimitsNote, SettingNote};
use crate::parts::{self, Tone, code, name, said};
use crate::words::Words;

/// The page.
pub(super) fn body(w: &Words, limits: &LimitsNote) -> Markup {
    html! {
        p { (w.t("limit-lead")) }
        @if !limits.counted { (parts::notice(Tone::Warn, html! { p { (w.t("limit-off")) } })) }
        @if limits.rules.is_empty() { div.empty { p { (w.t("limit-none")) } } } @else {
            div.scroll tabindex="0" { table.stack {
                (heads(w, &["limit-what", "limit-most", "limit-hits"]))
                tbody { @for rule in &limits.rules { tr {
                    th scope="row" { (what(w, rule)) }
                    td data-label=(w.t("limit-most")) { (most(w, rule)) }
                    td data-label=(w.t("limit-hits")) { (w.number(rule.hits)) }
                } } }
            } }
        }
        h2 { (w.t("limit-settings")) }
        p { (w.t("limit-settings-lead")) }
        @if limits.settings.is_empty() { p { (w.t("limit-none")) } } @else {
            div.scroll tabindex="0" { table.stack {
                (heads(w, &["operator-setting", "operator-value", "operator-from"]))
                tbody { @for setting in &limits.settings { tr {
                    th scope="row" { (code(&setting.name)) }
                    td data-label=(w.t("operator-value")) { (name(&setting.value)) }
                    td data-label=(w.t("operator-from")) { (said(&setting.origin)) }
                } } }
            } }
        }
    }
}

/// The key of the sentence about a limit. What is counted by the day as well has one sentence for both.
pub(super) fn key(limit: &str) -> String {
    format!("limit-of-{}", limit.strip_suffix("-day").unwrap_or(limit))
}

fn what(w: &Words, rule: &LimitNote) -> Markup {
    let key = key(&rule.name);
    html! { @if w.has(&key) { (w.t(&key)) } @else { (code(&rule.name)) } }
}

fn most(w: &Words, rule: &LimitNote) -> String {
    let points = w.number(rule.most.into());
    match rule.seconds {
        None => w.f("limit-at-a-time", args!(most = points)),
        Some(seconds) => {
            let span = w.span(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000));
            w.f("limit-in", args!(most = points, span = span))
        }
    }
}

/// Made-up ones.
pub(super) fn made_up() -> LimitsNote {
    let rule = |name: &str, most, seconds, hits| LimitNote { name: name.into(), most, seconds, hits };
    let setting =
        SettingNote { name: "archive.quota_total".into(), value: "0".into(), origin: "default".into() };
    LimitsNote {
        counted: true,
        rules: vec![
            rule("requests", 3_000, Some(300), 12_345),
            rule("login", 30, Some(300), 2),
            rule("login-day", 300, Some(86_400), 0),
            rule("repos", 32, None, 1),
            rule("page-report", 10, Some(300), 0),
            rule("com-example-new", 1, Some(3_600), 0),
        ],
        settings: vec![setting],
    }
}
