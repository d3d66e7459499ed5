//! Printing results: JSON for programs, words for people.

use std::io::{self, Write as _};

use serde::Serialize;

/// Prints a value as indented JSON.
///
/// # Errors
/// Standard output is closed.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    line(&text)
}

/// Prints text and a line break.
///
/// # Errors
/// Standard output is closed.
pub fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Rows in columns, two blanks apart; the last column is not padded.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.chars().count())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let put = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            text.push_str(cell);
            let pad = width.saturating_sub(cell.chars().count()).saturating_add(2);
            text.extend(std::iter::repeat_n(' ', pad));
        }
        text.truncate(text.trim_end().len());
        text
    };
    let mut lines = vec![put(&mut head.iter().copied())];
    lines.extend(rows.iter().map(|row| put(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["alice.test".into(), "12".into()], vec!["b".into(), "3,000".into()]];
        assert_eq!(
            table(&["ACCOUNT", "RECORDS"], &rows),
            "ACCOUNT     RECORDS\nalice.test  12\nb           3,000"
        );
    }
}
