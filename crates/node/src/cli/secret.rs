//! Reading a password that must not be an argument.

use std::io::Read as _;
use std::path::Path;

use crate::operator::hosting::Secret;
use anyhow::Context as _;

use crate::cli::exit::Stopped;

/// Longest first line.
const MOST: u64 = 4_096;

/// The first line of a file; `-` is standard input.
///
/// # Errors
/// It cannot be read, or is empty.
pub fn read_secret(file: &Path) -> Result<Secret, Stopped> {
    let mut text = String::new();
    let mut read = |from: &mut dyn std::io::Read| from.take(MOST).read_to_string(&mut text).map(|_| ());
    if file == Path::new("-") {
        read(&mut std::io::stdin().lock()).context("cannot read standard input")?;
    } else {
        let mut opened =
            std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        read(&mut opened).with_context(|| format!("cannot read {}", file.display()))?;
    }
    let secret = Secret::new(text.lines().next().unwrap_or_default());
    if secret.is_empty() {
        return Err(Stopped::usage("there is no password in it", "put it on the first line"));
    }
    Ok(secret)
}
