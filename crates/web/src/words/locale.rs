//! Which language a page is in.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use unic_langid::LanguageIdentifier;

/// The cookie that keeps the choice of a language.
pub const LANGUAGE_COOKIE: &str = "p2pds-language";

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Locale {
    /// English.
    #[default]
    En,
    /// German.
    De,
    /// English in disguise, for tests.
    Pseudo,
    /// English from right to left, for tests.
    Mirrored,
}

impl Locale {
    /// Those that are offered.
    pub const OFFERED: [Self; 2] = [Self::En, Self::De];

    /// By its name: `de`, `de-AT`, `en-XA`, `ar-XB`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "en-xa" => return Some(Self::Pseudo),
            "ar-xb" => return Some(Self::Mirrored),
            _ => {}
        }
        match text.split(['-', '_']).next() {
            Some("en") => Some(Self::En),
            Some("de") => Some(Self::De),
            _ => None,
        }
    }

    /// The value of `lang`.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Pseudo => "en-XA",
            Self::Mirrored => "ar-XB",
        }
    }

    /// The value of `dir`: where its lines begin.
    #[must_use]
    pub fn direction(self) -> &'static str {
        match self {
            Self::En | Self::De | Self::Pseudo => "ltr",
            Self::Mirrored => "rtl",
        }
    }

    /// Its own name for itself.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::De => "Deutsch",
            Self::Pseudo => "Éńǧlíśh",
            Self::Mirrored => "\u{202e}English\u{202c}",
        }
    }

    pub(super) fn identifier(self) -> LanguageIdentifier {
        let tag = if self == Self::De { "de" } else { "en" };
        tag.parse().unwrap_or_default()
    }

    /// The language that a browser asks for: the first of its list that is offered.
    #[must_use]
    pub fn accepted(header: &str) -> Self {
        let mut wanted: Vec<(f32, &str)> = header
            .split(',')
            .take(32)
            .map(|part| {
                let (name, weight) = part.split_once(';').unwrap_or((part, ""));
                let weight = weight.trim().strip_prefix("q=").and_then(|text| text.parse().ok());
                (weight.unwrap_or(1.0), name)
            })
            .collect();
        wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let known = wanted.into_iter().filter(|(weight, _)| *weight > 0.0);
        known.filter_map(|(_, name)| Self::parse(name)).next().unwrap_or_default()
    }
}

/// The language of a request, and whether it was chosen by its query, so that the choice is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// The language.
    pub locale: Locale,
    /// `?lang=` said so.
    pub chosen: bool,
}

impl Negotiated {
    /// Of a query and headers.
    #[must_use]
    pub fn of(query: Option<&str>, headers: &HeaderMap) -> Self {
        let asked = |name: &str| {
            let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
            pairs.filter(|(key, _)| key == name).find_map(|(_, value)| {
                // `ui_locales` is a list with spaces.
                value.split(' ').find_map(Locale::parse)
            })
        };
        if let Some(locale) = asked("lang") {
            return Self { locale, chosen: true };
        }
        let locale = asked("ui_locales")
            .or_else(|| crate::cookies::cookie(headers, LANGUAGE_COOKIE).and_then(Locale::parse))
            .or_else(|| {
                headers.get(header::ACCEPT_LANGUAGE).and_then(|text| text.to_str().ok()).map(Locale::accepted)
            });
        Self { locale: locale.unwrap_or_default(), chosen: false }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Negotiated {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts.uri.query(), &parts.headers))
    }
}
