//! Questions before something is erased.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::cli::exit::Stopped;

/// Asks whether to go on with what erases nothing; without a terminal `refused` is the answer.
///
/// # Errors
/// Not confirmed.
pub fn go_on(question: &str, refused: &str) -> Result<(), Stopped> {
    let stdin = std::io::stdin();
    let mut err = std::io::stderr();
    let hint = "add --yes if that is what you want";
    if !stdin.is_terminal() {
        writeln!(err, "{question}")?;
        return Err(Stopped::usage(refused, hint));
    }
    write!(err, "{question} Go on? [y/N] ")?;
    err.flush()?;
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    match line.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Stopped::usage(refused, hint)),
    }
}

/// Asks for `word` to be typed. `yes` answers in advance; without a terminal and without `yes`
/// nothing is asked and nothing is done.
///
/// # Errors
/// Not confirmed.
pub fn confirm(yes: bool, question: &str, word: &str) -> Result<(), Stopped> {
    if yes {
        return Ok(());
    }
    let stdin = std::io::stdin();
    let mut err = std::io::stderr();
    if !stdin.is_terminal() {
        writeln!(err, "{question}")?;
        return Err(Stopped::usage(
            "this erases data and nobody is there to ask",
            "add --yes if that is what you want",
        ));
    }
    write!(err, "{question}\nType {word} to go on, anything else to leave everything as it is: ")?;
    err.flush()?;
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    if line.trim() == word {
        Ok(())
    } else {
        Err(Stopped::usage(
            "not confirmed; nothing was changed",
            "type the word exactly as shown, or add --yes",
        ))
    }
}
