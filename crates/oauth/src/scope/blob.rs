//! `blob:`: which media may be uploaded.

use super::syntax::{Fields, Wrong, listed, written};

/// `blob:image/*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobScope {
    /// Media types, or patterns of them: `*/*`, `image/*`, `image/png`.
    pub accept: Vec<String>,
}

impl BlobScope {
    pub(super) fn of(fields: Fields<'_>) -> Result<Self, Wrong> {
        let accept = fields.only(&["accept"])?.many("accept", true)?.ok_or(Wrong)?;
        let fits = |text: &str| two_parts(text) && (!text.contains('*') || text.ends_with("/*"));
        if accept.iter().all(|text| fits(text)) { Ok(Self { accept }) } else { Err(Wrong) }
    }

    /// Whether it covers this media type.
    #[must_use]
    pub fn covers(&self, mime: &str) -> bool {
        let one = |pattern: &str| match pattern.strip_suffix('*') {
            Some("*/") => true,
            Some(kind) => mime.starts_with(kind),
            None => pattern == mime,
        };
        two_parts(mime) && !mime.contains('*') && self.accept.iter().any(|pattern| one(pattern))
    }

    pub(super) fn text(&self) -> String {
        let mut accept: Vec<String> = self.accept.iter().map(|text| text.to_ascii_lowercase()).collect();
        if accept.iter().any(|text| text == "*/*") {
            accept = vec!["*/*".to_owned()];
        }
        // A type is not said beside the pattern that has it.
        let patterns: Vec<String> = accept.iter().filter(|text| text.ends_with("/*")).cloned().collect();
        let said = |text: &String| {
            let kind = text.split('/').next().unwrap_or_default();
            patterns.contains(text) || !patterns.contains(&format!("{kind}/*"))
        };
        accept.retain(said);
        accept.sort_unstable();
        accept.dedup();
        let (positional, named) = listed("accept", &accept);
        written("blob", positional, &named)
    }
}

/// Something, one slash, something, and no space.
fn two_parts(text: &str) -> bool {
    text.split_once('/').is_some_and(|(kind, sub)| {
        !kind.is_empty() && !sub.is_empty() && !sub.contains('/') && !text.contains(' ')
    })
}
