//! The lexicon string format `language`.

use crate::SyntaxError;
use crate::newtype::text_newtype;

const WHAT: &str = "language tag";

/// Tags registered before the present grammar that it does not cover.
const GRANDFATHERED: [&str; 26] = [
    "en-gb-oed",
    "i-ami",
    "i-bnn",
    "i-default",
    "i-enochian",
    "i-hak",
    "i-klingon",
    "i-lux",
    "i-mingo",
    "i-navajo",
    "i-pwn",
    "i-tao",
    "i-tay",
    "i-tsu",
    "sgn-be-fr",
    "sgn-be-nl",
    "sgn-ch-de",
    "art-lojban",
    "cel-gaulish",
    "no-bok",
    "no-nyn",
    "zh-guoyu",
    "zh-hakka",
    "zh-min",
    "zh-min-nan",
    "zh-xiang",
];

/// A BCP 47 language tag such as `pt-BR`.
///
/// The grammar is that of RFC 5646, "valid" in the sense of its section 2.2.9 except for the registry: no variant and no
/// extension may repeat. As the protocol's interoperability files ask, the primary language is two or three *lower-case*
/// letters. The text is kept as written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(Box<str>);

impl Language {
    /// Longest tag that is read, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Parses a tag.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        check(text).map_err(|problem| SyntaxError::new(WHAT, text, problem))?;
        Ok(Self(text.into()))
    }

    /// The first subtag: `pt` of `pt-BR`.
    pub fn primary(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }
}

text_newtype!(Language);

fn check(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() > Language::MAX_LEN {
        return Err("it has more than 128 characters");
    }
    if GRANDFATHERED.iter().any(|tag| tag.eq_ignore_ascii_case(text)) {
        return Ok(());
    }
    let subtags: Vec<&str> = text.split('-').collect();
    for subtag in &subtags {
        if subtag.is_empty() || subtag.len() > 8 || !subtag.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err("its parts between hyphens must be 1 to 8 ASCII letters and digits");
        }
    }
    let mut rest = Subtags(&subtags);
    if rest.take(is_x).is_some() {
        return private_use(rest);
    }
    rest.take(is_primary).ok_or("it must start with two or three lower-case letters")?;
    // Up to three extended language subtags, a script, a region.
    for _ in 0..3 {
        if rest.take(|s| s.len() == 3 && alphabetic(s)).is_none() {
            break;
        }
    }
    rest.take(|s| s.len() == 4 && alphabetic(s));
    rest.take(|s| (s.len() == 2 && alphabetic(s)) || (s.len() == 3 && s.bytes().all(|b| b.is_ascii_digit())));
    variants(&mut rest)?;
    extensions(&mut rest)?;
    if rest.take(is_x).is_some() {
        return private_use(rest);
    }
    if rest.0.is_empty() { Ok(()) } else { Err("its parts are not in the order that RFC 5646 asks for") }
}

/// The subtags that are not consumed yet.
struct Subtags<'a>(&'a [&'a str]);

impl<'a> Subtags<'a> {
    fn take(&mut self, accept: impl Fn(&str) -> bool) -> Option<&'a str> {
        let (first, rest) = self.0.split_first()?;
        if !accept(first) {
            return None;
        }
        self.0 = rest;
        Some(first)
    }
}

fn variants(rest: &mut Subtags<'_>) -> Result<(), &'static str> {
    let mut seen: Vec<&str> = Vec::new();
    while let Some(variant) = rest.take(is_variant) {
        if seen.iter().any(|s| s.eq_ignore_ascii_case(variant)) {
            return Err("it repeats a variant");
        }
        seen.push(variant);
    }
    Ok(())
}

fn extensions(rest: &mut Subtags<'_>) -> Result<(), &'static str> {
    let mut seen: Vec<&str> = Vec::new();
    while let Some(singleton) = rest.take(|s| s.len() == 1 && !is_x(s)) {
        if seen.iter().any(|s| s.eq_ignore_ascii_case(singleton)) {
            return Err("it repeats an extension");
        }
        seen.push(singleton);
        rest.take(|s| s.len() >= 2).ok_or("an extension has no content")?;
        while rest.take(|s| s.len() >= 2).is_some() {}
    }
    Ok(())
}

fn private_use(rest: Subtags<'_>) -> Result<(), &'static str> {
    if rest.0.is_empty() { Err("nothing follows \"x-\"") } else { Ok(()) }
}

fn is_primary(subtag: &str) -> bool {
    matches!(subtag.len(), 2 | 3) && subtag.bytes().all(|b| b.is_ascii_lowercase())
}

fn is_variant(subtag: &str) -> bool {
    subtag.len() >= 5 || (subtag.len() == 4 && subtag.starts_with(|c: char| c.is_ascii_digit()))
}

fn is_x(subtag: &str) -> bool {
    subtag.eq_ignore_ascii_case("x")
}

fn alphabetic(subtag: &str) -> bool {
    subtag.bytes().all(|b| b.is_ascii_alphabetic())
}
