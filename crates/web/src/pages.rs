//! One file for each page: what is shown (a plain struct), how (a pure function), and the handler that fills it.
//!
//! Every page has `samples()`: one of each state that it can be in. The tests render them all in every language.

pub mod about;
pub mod account;
pub mod accounts;
pub mod act;
pub mod add;
pub mod authorize;
pub mod claim;
pub mod consent;
pub mod drills;
pub mod export;
pub mod home;
pub mod hosted;
pub mod identity;
pub mod job;
pub mod lexicons;
pub mod media;
pub mod nowhere;
pub mod operator;
pub mod own;
pub mod promote;
pub mod public;
pub mod record;
pub mod removal;
pub mod remove;
pub mod sessions;
pub mod sign_in;
pub mod time;

use maud::Markup;

use crate::words::Words;

/// A page in one of its states.
#[derive(Debug)]
pub struct Sample {
    /// The page.
    pub page: &'static str,
    /// `empty`, `loading`, `partial`, `error` or `success`.
    pub state: &'static str,
    /// What it shows.
    pub body: Markup,
}

/// All samples of all pages.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    [
        home::samples(w),
        accounts::samples(w),
        add::samples(w),
        add::plan::samples(w),
        job::samples(w),
        about::samples(w),
        authorize::samples(w),
        hosted::samples(w),
        own::samples(w),
        operator::samples(w),
        public::samples(w),
        nowhere::samples(w),
        removal::samples(w),
        claim::samples(w),
        sign_in::samples(w),
        sessions::samples(w),
        account::samples(w),
        media::samples(w),
        drills::samples(w),
        time::samples(w),
        record::samples(w),
        lexicons::samples(w),
        identity::samples(w),
        export::samples(w),
        promote::samples(w),
        remove::samples(w),
        time::compare::samples(w),
        identity::key::samples(w),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A made-up error.
pub(crate) fn made_up_trouble() -> crate::node_side::Trouble {
    crate::node_side::Trouble::said("the disk is full", Some("make room and try again".to_owned()))
}
