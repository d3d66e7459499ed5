//! What stands around the content of every page.

use maud::{DOCTYPE, Markup, html};

use crate::assets;
use crate::parts;
use crate::words::{Locale, Words};

/// As whom a page is shown, as far as its frame goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// The path of the page, for the place in the navigation and for the choice of a language.
    pub path: String,
    /// What was asked for besides, as a query of an address: it is kept when the language is changed.
    pub query: String,
    /// The owner of the node looks at it.
    pub owner: bool,
    /// The name that the viewer is signed in with.
    pub signed_in: Option<String>,
    /// The token that forms carry.
    pub csrf: String,
    /// Accounts are hosted here.
    pub hosting: bool,
}

/// A page: its title, the content of `<main>`.
#[derive(Debug)]
pub struct Page {
    /// What the page is called, in words.
    pub title: String,
    /// The content.
    pub body: Markup,
    /// The page shows itself again after so many seconds where there is no script.
    pub refresh: Option<u32>,
}

impl Page {
    /// A page that stays as it is.
    #[must_use]
    pub fn new(title: impl Into<String>, body: Markup) -> Self {
        Self { title: title.into(), body, refresh: None }
    }
}

/// The whole document.
#[must_use]
pub fn document(w: &Words, frame: &Frame, page: &Page) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(w.locale().tag()) dir=(w.locale().direction()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="same-origin";
                @if let Some(seconds) = page.refresh {
                    noscript { meta http-equiv="refresh" content=(seconds); }
                }
                title { (page.title) " · " (w.t("product")) }
                link rel="stylesheet" href=(assets::STYLE.path());
                link rel="icon" type="image/svg+xml" href=(assets::ICON.path());
                script src=(assets::SCRIPT.path()) defer {}
            }
            body {
                a.skip href="#main" { (w.t("skip")) }
                header.top {
                    a.brand href="/" translate="no" { (assets::mark()) span { (w.t("product")) } }
                    nav aria-label=(w.t("nav-label")) { ul {
                        @for (path, key) in places(frame) {
                            li { a href=(path) aria-current=[current(frame, path)] { (w.t(key)) } }
                        }
                    } }
                    @if let Some(name) = &frame.signed_in {
                        form.sign-out method="post" action="/sign-out" {
                            input type="hidden" name="csrf" value=(frame.csrf);
                            span.who { (parts::name(name)) }
                            button.quiet type="submit" { (w.t("nav-sign-out")) }
                        }
                    }
                }
                main #main tabindex="-1" { (page.body) }
                footer {
                    p { (w.t("footer-what")) }
                    ul {
                        li { a href="/about" { (w.t("nav-about")) } }
                        li { a href="/privacy" { (w.t("footer-privacy")) } }
                        li { a href="/remove-me" { (w.t("footer-remove")) } }
                    }
                    ul.languages aria-label=(w.t("language")) {
                        @for locale in Locale::OFFERED {
                            li { a href=(in_language(frame, locale)) hreflang=(locale.tag()) lang=(locale.tag()) dir=(locale.direction())
                                translate="no" aria-current=[(locale == w.locale()).then_some("true")] { (locale.name()) } }
                        }
                    }
                }
            }
        }
    }
}

/// The same page in a language.
fn in_language(frame: &Frame, locale: Locale) -> String {
    let pairs = url::form_urlencoded::parse(frame.query.as_bytes()).filter(|(name, _)| name != "lang");
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs).append_pair("lang", locale.tag());
    format!("{}?{}", frame.path, query.finish())
}

fn places(frame: &Frame) -> Vec<(&'static str, &'static str)> {
    let mut places = Vec::new();
    if frame.owner {
        places.extend([
            ("/", "nav-home"),
            ("/accounts", "nav-accounts"),
            ("/add", "nav-add"),
            ("/lexicons", "nav-lexicons"),
            ("/operator", "nav-operator"),
        ]);
    }
    if frame.hosting {
        places.push(("/account", "nav-account"));
    }
    if frame.signed_in.is_none() {
        places.push(("/sign-in", "nav-sign-in"));
    }
    places
}

fn current(frame: &Frame, path: &str) -> Option<&'static str> {
    let under = frame.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    (frame.path == path || path != "/" && under).then_some("page")
}

#[cfg(test)]
mod tests;
