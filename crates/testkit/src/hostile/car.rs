//! CAR files that are no whole, proved repository, by the rule they break.
//!
//! All are built from a repository that is read without complaint ([`unbroken`]); every block hashes to its CID, the
//! commit names the root, and the blocks stand in streamable order, unless just that is the broken rule. So the rule
//! is the only reason to refuse the file, and each reader meets it.

mod build;
mod frame;
mod tree;

pub use build::unbroken;

/// A CAR file that must not be read as a repository.
pub struct CarCase {
    /// Which rule is broken, and how.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// What the refusal has to say.
    pub refusal: &'static str,
}

/// All cases.
pub fn car_cases() -> Vec<CarCase> {
    let mut cases = Vec::new();
    frame::add(&mut cases);
    tree::add(&mut cases);
    cases
}

fn case(cases: &mut Vec<CarCase>, name: &str, bytes: Vec<u8>, refusal: &'static str) {
    cases.push(CarCase { name: name.to_owned(), bytes, refusal });
}
