//! Pieces that pages are made of.

use maud::{Markup, html};

use crate::node_side::Trouble;
use crate::words::Words;

/// How something stands. Never shown by its colour alone: each has a sign and a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Nobody can tell.
    Unknown,
    /// It should be looked at.
    Warn,
    /// It must be mended.
    Bad,
}

impl Tone {
    /// Its class.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    /// Its sign.
    #[must_use]
    pub fn sign(self) -> Markup {
        let path = match self {
            Self::Good => "M5 12.5l4.5 4.5L19 7.5",
            Self::Unknown => "M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 1.9M12 17.5v.2",
            Self::Warn => "M12 4 2.5 20h19zM12 10v4.5M12 17.2v.2",
            Self::Bad => "M6 6l12 12M18 6 6 18",
        };
        html! { svg.sign viewBox="0 0 24 24" aria-hidden="true" focusable="false" { path d=(path) {} } }
    }
}

/// Text that nobody translates: names, DIDs, addresses, what a service said.
#[must_use]
pub fn name(text: &str) -> Markup {
    html! { bdi translate="no" { (text) } }
}

/// Words that a service said, in English, whatever the language of the page.
#[must_use]
pub fn said(text: &str) -> Markup {
    html! { span lang="en" dir="auto" translate="no" { (text) } }
}

/// An identifier, in letters of one width.
#[must_use]
pub fn code(text: &str) -> Markup {
    html! { code dir="ltr" translate="no" { (text) } }
}

/// What did not work, and what to do.
#[must_use]
pub fn trouble(w: &Words, trouble: &Trouble) -> Markup {
    html! {
        div.notice.bad role="alert" {
            p { strong { (w.t("error-title")) } }
            (why(w, trouble))
        }
    }
}

/// The same beside a field of a form.
#[must_use]
pub fn wrong(w: &Words, trouble: &Trouble) -> Markup {
    html! { div.wrong role="alert" { (why(w, trouble)) } }
}

/// What happened: in a sentence of the pages, and what a service said where that says more.
fn why(w: &Words, trouble: &Trouble) -> Markup {
    let theirs = html! {
        p { (said(&trouble.message)) }
        @if let Some(hint) = &trouble.hint { p { (said(hint)) } }
    };
    match &trouble.sentence {
        None => theirs,
        Some(sentence) => html! {
            p { (sentence.say(w)) }
            @if !sentence.whole { details { summary { (w.t("refused-said")) } (theirs) } }
        },
    }
}

/// A notice of a tone.
#[must_use]
pub fn notice(tone: Tone, content: Markup) -> Markup {
    html! { div class={ "notice " (tone.class()) } { (content) } }
}

/// The hidden field that forms carry.
#[must_use]
pub fn csrf(token: &str) -> Markup {
    html! { input type="hidden" name="csrf" value=(token); }
}

/// A form of one button.
#[must_use]
pub fn button(csrf_token: &str, action: &str, class: &str, words: &str) -> Markup {
    html! { form method="post" action=(action) { (csrf(csrf_token)) button class=(class) type="submit" { (words) } } }
}

/// A path segment: everything but letters, digits and `-._~:` is escaped.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The page of an archived account.
#[must_use]
pub fn account_path(did: &str) -> String {
    format!("/archive/{}", segment(did))
}

/// One bar of a chart: what it stands for, how much, how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What it stands for.
    pub label: String,
    /// How much.
    pub value: u64,
    /// How it stands.
    pub tone: Tone,
}

/// Bars as SVG; the same as a table for those who do not see it.
#[must_use]
pub fn bars(title: &str, columns: (&str, &str), bars: &[Bar]) -> Markup {
    const HEIGHT: u64 = 120;
    const STEP: usize = 24;
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
    // Few bars are not blown up: there is room for a month of them.
    let width = bars.len().max(30).saturating_mul(STEP);
    html! {
        figure {
            svg.chart role="img" aria-label=(title) viewBox={ "0 0 " (width) " " (HEIGHT.saturating_add(8)) } preserveAspectRatio="xMinYMid meet" {
                @for (place, bar) in bars.iter().enumerate() {
                    @let height = bar.value.saturating_mul(HEIGHT).checked_div(most).unwrap_or(0).max(2);
                    rect class={ "bar " (bar.tone.class()) } x=(place.saturating_mul(STEP).saturating_add(3)) width="18"
                        y=(HEIGHT.saturating_sub(height)) height=(height) rx="2" { title { (bar.label) } }
                }
                line.axis x1="0" x2=(width) y1=(HEIGHT) y2=(HEIGHT) {}
            }
            details {
                summary { (title) }
                div.scroll tabindex="0" { table {
                    thead { tr { th scope="col" { (columns.0) } th.number scope="col" { (columns.1) } } }
                    tbody { @for bar in bars { tr { td { (bar.label) } td.number { (bar.value) } } } }
                } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments() {
        assert_eq!(segment("did:web:a.b%3A80"), "did:web:a.b%253A80");
        assert_eq!(segment("a/b?c#d"), "a%2Fb%3Fc%23d");
    }
}
