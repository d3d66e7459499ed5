//! That pages can be read where lines begin on the right: what others wrote and what nobody translates keeps its own
//! direction.

use super::*;
use crate::pages::samples;
use crate::samples::NOW;

/// The tags of a document that are opened, each with the text that stands right behind it.
fn tags(html: &str) -> impl Iterator<Item = (&str, &str)> {
    html.split('<')
        .skip(1)
        .filter_map(|part| part.split_once('>'))
        .filter(|(tag, _)| !tag.starts_with(['/', '!']))
}

fn name_of(tag: &str) -> &str {
    tag.split([' ', '/']).next().unwrap_or_default()
}

fn mirrored() -> Vec<(String, String)> {
    let w = Words::new(Locale::Mirrored, NOW);
    let frame = Frame {
        path: "/".to_owned(),
        query: String::new(),
        owner: true,
        signed_in: Some("alice.example.com".to_owned()),
        csrf: "t".to_owned(),
        hosting: true,
    };
    let whole = |sample: crate::pages::Sample| {
        let at = format!("{} ({})", sample.page, sample.state);
        (at, document(&w, &frame, &Page::new("x", sample.body)).into_string())
    };
    samples(&w).into_iter().map(whole).collect()
}

#[test]
fn pages_begin_on_the_right_and_names_keep_their_direction() {
    let mut seen = 0;
    for (at, html) in mirrored() {
        assert!(html.contains("<html lang=\"ar-XB\" dir=\"rtl\">"), "{at}");
        for (tag, text) in tags(&html) {
            let (name, own) = (name_of(tag), tag.contains(" dir=\""));
            if ["code", "pre"].contains(&name) {
                assert!(own, "{at}: <{tag}> needs a direction: {text}");
                seen += 1;
            }
            // Isolated by itself, or with a direction of its own, or ours.
            let whose = tag.contains("translate=\"no\"") && !text.trim().is_empty();
            if whose && name != "bdi" && !tag.contains("class=\"brand\"") {
                assert!(own, "{at}: <{tag}> needs a direction, or <bdi>: {text}");
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn fields_for_names_and_codes_run_from_left_to_right() {
    let latin =
        ["handle", "email", "identifier", "key", "code", "token", "password", "invite", "recovery", "who"];
    let mut seen = 0;
    for (at, html) in mirrored() {
        for (tag, _) in tags(&html).filter(|(tag, _)| name_of(tag) == "input") {
            let called =
                tag.split(" name=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
            let typed = !["hidden", "checkbox", "radio", "file"]
                .iter()
                .any(|kind| tag.contains(&format!("type=\"{kind}\"")));
            if typed && latin.contains(&called) {
                assert!(tag.contains(" dir=\"ltr\""), "{at}: <{tag}>");
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn another_language_is_the_same_page() {
    let frame = Frame {
        path: "/archive/did%3Aplc%3Aabc/record".to_owned(),
        query: "path=app.bsky.feed.post%2F3k&lang=de&at=2026".to_owned(),
        ..Frame::default()
    };
    let want = "/archive/did%3Aplc%3Aabc/record?path=app.bsky.feed.post%2F3k&at=2026&lang=en";
    assert_eq!(in_language(&frame, Locale::En), want);
    assert_eq!(in_language(&Frame { path: "/".to_owned(), ..Frame::default() }, Locale::De), "/?lang=de");
}
