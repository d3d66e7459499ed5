//! The words of the pages: Fluent files in `words/`, one directory for each language, compiled in.
//!
//! English is complete; a key that another language lacks is a failing test. The language is chosen by `?lang=`, a
//! cookie, or `Accept-Language`. `en-XA` is English in letters that nobody can mistake for text that was written into
//! the program: what looks like plain English on such a page was not translated. `ar-XB` is English from right to left, for
//! tests of how pages look in such a language.

mod figures;
mod locale;
mod sentence;

use std::borrow::Cow;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};

pub use locale::{LANGUAGE_COOKIE, Locale, Negotiated};
pub use sentence::{Figure, Sentence};

type Bundle = FluentBundle<FluentResource>;

macro_rules! files {
    ($language:literal: $($area:literal),* $(,)?) => {
        &[$(include_str!(concat!("../words/", $language, "/", $area, ".ftl"))),*]
    };
}

const ENGLISH: &[&str] = files!("en": "shell", "operator", "public", "hosted", "refused", "home", "start", "accounts", "archive", "identity", "takeaway", "door");
const GERMAN: &[&str] = files!("de": "shell", "operator", "public", "hosted", "refused", "home", "start", "accounts", "archive", "identity", "takeaway", "door");

static EN: LazyLock<Bundle> = LazyLock::new(|| bundle(Locale::En, ENGLISH));
static DE: LazyLock<Bundle> = LazyLock::new(|| bundle(Locale::De, GERMAN));
static XA: LazyLock<Bundle> = LazyLock::new(|| {
    let mut pseudo = bundle(Locale::Pseudo, ENGLISH);
    pseudo.set_transform(Some(disguised));
    pseudo
});

static XB: LazyLock<Bundle> = LazyLock::new(|| {
    let mut mirrored = bundle(Locale::Mirrored, ENGLISH);
    mirrored.set_transform(Some(reversed));
    mirrored
});

fn bundle(locale: Locale, files: &[&str]) -> Bundle {
    let mut bundle = Bundle::new_concurrent(vec![locale.identifier()]);
    // Isolation marks would stand in every sentence with a name; names are wrapped in <bdi> where direction matters.
    bundle.set_use_isolating(false);
    for file in files {
        // A file with a mistake still gives what stands around it; a test refuses the mistake.
        let resource = FluentResource::try_new((*file).to_owned()).unwrap_or_else(|(resource, _)| resource);
        bundle.add_resource_overriding(resource);
    }
    bundle
}

/// Letters that read as English and are not.
fn disguised(text: &str) -> Cow<'_, str> {
    const PLAIN: &str = "aceginosuyzACEGINOSUYZ";
    const DRESSED: &str = "áćéǧíńóśúýźÁĆÉǦÍŃÓŚÚÝŹ";
    let dress = |letter: char| {
        let place = PLAIN.chars().position(|plain| plain == letter);
        place.and_then(|place| DRESSED.chars().nth(place)).unwrap_or(letter)
    };
    Cow::Owned(text.chars().map(dress).collect())
}

/// Letters that run from right to left.
fn reversed(text: &str) -> Cow<'_, str> {
    Cow::Owned(format!("\u{202e}{text}\u{202c}"))
}

/// The words of one language. Cheap to clone.
#[derive(Clone)]
pub struct Words {
    locale: Locale,
    now: i64,
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Words").field(&self.locale).finish()
    }
}

/// Something that is put into a sentence.
pub type Arg<'a> = FluentValue<'a>;

/// `args!{name = value, ...}` for [`Words::f`].
#[macro_export]
macro_rules! args {
    ($($name:ident = $value:expr),* $(,)?) => {
        &[$((stringify!($name), $crate::words::Arg::from($value))),*]
    };
}

impl Words {
    /// In this language, at this time (microseconds since 1970), from which "ago" counts.
    #[must_use]
    pub fn new(locale: Locale, now: i64) -> Self {
        Self { locale, now }
    }

    /// The language.
    #[must_use]
    pub fn locale(&self) -> Locale {
        self.locale
    }

    /// The time that "ago" counts from, microseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now
    }

    fn bundle(&self) -> &'static Bundle {
        match self.locale {
            Locale::En => &EN,
            Locale::De => &DE,
            Locale::Pseudo => &XA,
            Locale::Mirrored => &XB,
        }
    }

    /// A sentence.
    #[must_use]
    pub fn t(&self, key: &str) -> String {
        self.f(key, &[])
    }

    /// A sentence with something in it: `w.f("home-accounts", args!(count = 3))`.
    #[must_use]
    pub fn f(&self, key: &str, args: &[(&str, Arg<'_>)]) -> String {
        let said = say(self.bundle(), key, args).or_else(|| say(&EN, key, args));
        // Seen by a test before anybody else sees it.
        said.unwrap_or_else(|| format!("⟦{key}⟧"))
    }

    /// Whether there is such a sentence.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.bundle().has_message(key)
    }

    /// The sentence for a word that comes from elsewhere, if there is one: `word("status", "active")` is `status-active`.
    #[must_use]
    pub fn word(&self, area: &str, word: &str) -> String {
        let key = format!("{area}-{word}");
        if EN.has_message(&key) { self.t(&key) } else { word.to_owned() }
    }
}

fn say(bundle: &Bundle, key: &str, args: &[(&str, Arg<'_>)]) -> Option<String> {
    let message = bundle.get_message(key)?;
    let mut given = FluentArgs::with_capacity(args.len());
    for (name, value) in args {
        given.set(*name, value.clone());
    }
    let mut mistakes = Vec::new();
    let said = bundle.format_pattern(message.value()?, Some(&given), &mut mistakes).into_owned();
    debug_assert!(mistakes.is_empty(), "{key}: {mistakes:?}");
    Some(said)
}

#[cfg(test)]
mod tests;
