//! That nothing is unsaid, in any language, and that nothing is said but through the files.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::layout::{Frame, Page, document};
use crate::pages::samples;
use crate::samples::NOW;

/// Keys of a language's files, with the variables that each uses.
fn keys(files: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut keys = BTreeMap::new();
    let mut last = String::new();
    for file in files {
        assert!(FluentResource::try_new((*file).to_owned()).is_ok(), "a file has a mistake");
        for line in file.lines() {
            if let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.contains([' ', '#', '['])) {
                last = key.to_owned();
                assert!(keys.insert(last.clone(), BTreeSet::new()).is_none(), "{key} is there twice");
            }
            for variable in line.split("{ $").skip(1) {
                let name: String = variable.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
                keys.entry(last.clone()).or_default().insert(name);
            }
        }
    }
    keys
}

#[test]
fn each_language_says_all_and_no_more() {
    let (english, german) = (keys(ENGLISH), keys(GERMAN));
    let only = |a: &BTreeMap<String, BTreeSet<String>>, b: &BTreeMap<String, BTreeSet<String>>| {
        a.iter()
            .filter(|(key, vars)| b.get(*key) != Some(vars))
            .map(|(key, _)| key.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(only(&english, &german), Vec::<String>::new(), "not in German, or with other variables");
    assert_eq!(only(&german, &english), Vec::<String>::new(), "only in German");
}

#[test]
fn every_sentence_can_be_said() {
    for locale in [Locale::En, Locale::De, Locale::Pseudo, Locale::Mirrored] {
        let w = Words::new(locale, NOW);
        for (key, variables) in keys(ENGLISH) {
            let args: Vec<(&str, Arg<'_>)> =
                variables.iter().map(|name| (name.as_str(), Arg::from(2))).collect();
            let said = w.f(&key, &args);
            assert!(!said.contains('⟦') && !said.trim().is_empty(), "{key} in {}: {said}", locale.tag());
        }
    }
}

/// The text of a document outside what is not to be translated, with the elements that it stands in.
fn texts(html: &str) -> Vec<String> {
    const VOID: [&str; 6] = ["meta", "link", "input", "br", "hr", "img"];
    let (mut stack, mut found) = (Vec::<(String, bool)>::new(), Vec::new());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (text, after) = rest.split_at(at);
        let kept = stack.last().is_some_and(|(_, kept)| *kept);
        if !kept && !text.trim().is_empty() {
            found.push(text.trim().to_owned());
        }
        let end = after.find('>').unwrap();
        let (tag, after) = (&after[1..end], &after[end + 1..]);
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(stack.pop().map(|(open, _)| open).as_deref(), Some(name), "elements close in order");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap().to_owned();
        let keeps = kept
            || tag.contains("translate=\"no\"")
            || ["script", "style", "code", "pre", "time", "textarea"].contains(&name.as_str());
        for attribute in ["aria-label", "title", "alt", "placeholder"] {
            let value = tag.split(&format!(" {attribute}=\"")).nth(1).and_then(|rest| rest.split('"').next());
            if let Some(value) = value.filter(|value| !keeps && !value.is_empty()) {
                found.push(value.to_owned());
            }
        }
        if !VOID.contains(&name.as_str()) && !tag.ends_with('/') && name != "!DOCTYPE" {
            stack.push((name, keeps));
        }
    }
    assert!(stack.is_empty(), "{stack:?} stay open");
    found
}

/// Letters that the disguise replaces.
fn plain(text: &str) -> bool {
    let units = ["GB", "MB", "kB", "TB", "UTC", "DID", "p2pds"];
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !units.contains(word));
    words.any(|word| word.chars().any(|c| "aceginosuyzACEGINOSUYZ".contains(c)))
}

#[test]
fn no_page_says_anything_that_is_not_in_the_files() {
    let w = Words::new(Locale::Pseudo, NOW);
    let mut seen = 0;
    for sample in samples(&w) {
        let frame = Frame {
            path: "/".into(),
            query: String::new(),
            owner: true,
            hosting: true,
            signed_in: Some("x".into()),
            csrf: "t".into(),
        };
        let html = document(&w, &frame, &Page::new(w.t("home-title"), sample.body)).into_string();
        for text in texts(&html) {
            let text =
                text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").replace("&quot;", "");
            assert!(
                !plain(&text),
                "{} ({}): `{text}` is written into the program",
                sample.page,
                sample.state
            );
            seen += 1;
        }
    }
    assert!(seen > 100);
}

#[test]
fn every_sample_is_whole_in_every_language() {
    for locale in [Locale::En, Locale::De, Locale::Pseudo, Locale::Mirrored] {
        let w = Words::new(locale, NOW);
        for sample in samples(&w) {
            let at = format!("{} ({}) in {}", sample.page, sample.state, locale.tag());
            let html = sample.body.into_string();
            texts(&html);
            assert!(!html.contains('⟦'), "{at}: a sentence is missing");
            assert_eq!(html.matches("<h1").count(), 1, "{at}: one heading");
            for inline in [" style=", " onclick", "<script", "<style", "javascript:"] {
                assert!(!html.contains(inline), "{at}: {inline}");
            }
            assert!(html.len() < 100_000, "{at}: {} bytes", html.len());
            for form in html.split("<form").skip(1) {
                let form = form.split("</form>").next().unwrap();
                assert!(
                    form.contains("method=\"get\"") || form.contains("name=\"csrf\""),
                    "{at}: a form without its token"
                );
            }
        }
    }
}

#[test]
fn every_page_has_its_states() {
    let w = Words::new(Locale::En, NOW);
    let mut pages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for sample in samples(&w) {
        pages.entry(sample.page).or_default().insert(sample.state);
    }
    for (page, states) in pages {
        assert!(states.contains("success"), "{page}");
        assert!(states.len() > 1, "{page}");
    }
}

#[test]
fn languages_are_chosen() {
    assert_eq!(Locale::accepted("de-AT,de;q=0.9,en;q=0.8"), Locale::De);
    assert_eq!(Locale::accepted("fr, en;q=0.2, de;q=0.5"), Locale::De);
    assert_eq!(Locale::accepted("fr"), Locale::En);
    assert_eq!(Locale::accepted("de;q=0, en"), Locale::En);
    let of = |query: &str| Negotiated::of(Some(query), &axum::http::HeaderMap::new());
    assert_eq!(of("lang=de"), Negotiated { locale: Locale::De, chosen: true });
    assert_eq!(of("ui_locales=fr+de+en"), Negotiated { locale: Locale::De, chosen: false });
}
