//! Every page in every state that it can be in, as whole documents: for the tests that look at them in a browser.

use crate::assets::{ICON, SCRIPT, STYLE};
use crate::layout::{Frame, Page, document};
use crate::pages::samples;
use crate::words::{Locale, Words};

/// When it is in the gallery, microseconds since 1970.
const NOW: i64 = 1_795_000_000_000_000;

/// File names and contents: one document for each sample, `PAGE-STATE.html` (numbered where a page has several of one
/// state), and what they load.
#[must_use]
pub fn gallery(locale: Locale) -> Vec<(String, String)> {
    let words = Words::new(locale, NOW);
    let frame = Frame {
        path: "/".to_owned(),
        query: String::new(),
        owner: true,
        signed_in: Some("alice.example.com".to_owned()),
        csrf: "a-token".to_owned(),
        hosting: true,
    };
    let mut files: Vec<(String, String)> = Vec::new();
    for sample in samples(&words) {
        let stem = format!("{}-{}", sample.page.replace('/', "-"), sample.state);
        let same = files.iter().filter(|(name, _)| name.starts_with(&stem)).count();
        let name = if same == 0 { format!("{stem}.html") } else { format!("{stem}-{same}.html") };
        let page = Page::new(sample.page, sample.body);
        files.push((name, document(&words, &frame, &page).into_string()));
    }
    let assets = [&STYLE, &SCRIPT, &ICON]
        .map(|asset| (asset.path().trim_start_matches('/').to_owned(), asset.bytes.to_owned()));
    files.extend(assets);
    files
}
