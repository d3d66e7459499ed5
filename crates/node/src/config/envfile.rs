//! An environment file (`.env`): `NAME=value` lines, as shells, Compose and systemd read them.

use std::collections::BTreeMap;
use std::path::Path;

/// The file that is read when it lies in the working directory and nothing else is named.
pub(super) const NAME: &str = ".env";

/// Names with their values and lines.
pub(super) type Values = BTreeMap<String, (String, usize)>;

/// Reads the lines: empty ones and comments, else `NAME=value` with an optional `export` and quotes. Second come the
/// lines that are none of these.
///
/// Nothing is expanded and a value ends with its line. The last of two lines with one name counts.
pub(super) fn parse(text: &str) -> (Values, Vec<usize>) {
    let (mut values, mut strange) = (Values::new(), Vec::new());
    for (line, text) in (1_usize..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let text = text.strip_prefix("export ").unwrap_or(text);
        let split = text.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        let Some((name, value)) = split.filter(|(name, _)| is_name(name)) else {
            strange.push(line);
            continue;
        };
        let value = unquoted(value);
        if !value.is_empty() {
            values.insert(name.to_owned(), (value, line));
        }
    }
    (values, strange)
}

fn is_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// A value without its quotes; without quotes, a comment after a space is no part of it.
fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some((inner, rest)) = value.strip_prefix(quote).and_then(|v| v.split_once(quote))
            && (rest.trim().is_empty() || rest.trim_start().starts_with('#'))
        {
            return inner.to_owned();
        }
    }
    value.split_once(" #").map_or(value, |(value, _)| value.trim_end()).to_owned()
}

/// Whether only its owner can have written the file: we or root. Whoever starts the program in a
/// directory of somebody else's must not get that one's settings.
pub(super) fn is_ours(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(file) = std::fs::metadata(path) else { return false };
    let ours = file.uid() == rustix::process::geteuid().as_raw() || file.uid() == 0;
    ours && file.mode() & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let text =
            "# all forms\n\nPORT=1\nexport DATA_DIR = \"/a b\" # quoted\nA='x # y'\nB=a#b # c\nC=\nPORT=2\n";
        let (values, strange) = parse(text);
        let shown: Vec<String> = values.iter().map(|(n, (v, l))| format!("{n}={v}@{l}")).collect();
        assert_eq!(shown, ["A=x # y@5", "B=a#b@6", "DATA_DIR=/a b@4", "PORT=2@8"]);
        assert!(strange.is_empty());
    }

    #[test]
    fn what_is_no_line_is_named() {
        for text in ["PORT 1", "=1", "1A=2", "a b=c"] {
            assert_eq!(parse(&format!("\n{text}\nA=1")).1, [2], "{text}");
        }
    }
}
