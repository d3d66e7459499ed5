//! A sentence before anybody knows in which language it will be said.

use super::{Arg, Words};

/// The key of a sentence, and what is put into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    key: &'static str,
    figures: Vec<(&'static str, Figure)>,
    /// It says all that there is to say: nothing is lost when the English words that it stands for are left out.
    pub whole: bool,
}

/// Something that is put into a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Figure {
    /// A name.
    Text(String),
    /// How many.
    Count(u64),
    /// Bytes.
    Size(u64),
}

impl Sentence {
    /// One with nothing in it.
    #[must_use]
    pub fn of(key: &'static str) -> Self {
        Self { key, figures: Vec::new(), whole: true }
    }

    /// With something in it.
    #[must_use]
    pub fn with(mut self, name: &'static str, figure: Figure) -> Self {
        self.figures.push((name, figure));
        self
    }

    /// One that says less than the words that it stands for, so that they are shown too.
    #[must_use]
    pub fn in_short(key: &'static str) -> Self {
        Self { whole: false, ..Self::of(key) }
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// In a language.
    #[must_use]
    pub fn say(&self, w: &Words) -> String {
        let args: Vec<(&str, Arg<'_>)> = self
            .figures
            .iter()
            .map(|(name, figure)| {
                let arg = match figure {
                    // Where lines begin on the right, a name keeps its own direction.
                    Figure::Text(text) if w.locale().direction() == "rtl" => {
                        Arg::from(format!("\u{2068}{text}\u{2069}"))
                    }
                    Figure::Text(text) => Arg::from(text.as_str()),
                    Figure::Count(count) => Arg::from(*count),
                    Figure::Size(bytes) => Arg::from(w.size(*bytes)),
                };
                (*name, arg)
            })
            .collect();
        w.f(self.key, &args)
    }
}
