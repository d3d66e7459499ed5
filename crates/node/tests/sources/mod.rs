//! Finds macro calls in the project's own sources.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// Crates whose log lines and metrics are not a node's.
const NOT_OURS: [&str; 1] = ["testkit"];

/// One macro call.
pub struct Call {
    pub file: String,
    line: usize,
    /// With its exclamation mark.
    pub macro_name: &'static str,
    /// What stands between its brackets, split at the commas of the outermost level.
    args: Vec<String>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Call {
    /// The first argument, if it is a text.
    pub fn first_text(&self) -> Option<String> {
        text_of(self.args.first()?)
    }

    /// The texts on the left of `between`, such as `=>`.
    pub fn keys(&self, between: &str) -> BTreeSet<String> {
        self.args.iter().filter_map(|arg| text_of(arg.split_once(between)?.0)).collect()
    }

    /// The text given to `name = "..."`.
    pub fn value(&self, name: &str) -> Option<String> {
        self.args.iter().find_map(|arg| {
            let (key, value) = arg.split_once('=')?;
            (key.trim() == name).then(|| text_of(value)).flatten()
        })
    }

    /// Names of the fields of a log line.
    pub fn fields(&self) -> BTreeSet<String> {
        let word = |text: &str| -> Option<String> {
            let text = text.trim().trim_start_matches(['%', '?']);
            let plain =
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b));
            plain.then(|| text.rsplit('.').next().unwrap_or(text).to_owned())
        };
        // What follows the message are its arguments.
        let fields = self.args.iter().take_while(|arg| !arg.trim_start().starts_with('"'));
        fields.filter_map(|arg| word(arg.split_once('=').map_or(arg.as_str(), |(key, _)| key))).collect()
    }
}

/// All calls of these macros in the sources of the crates.
pub fn calls(macros: &[&'static str]) -> Vec<Call> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let dir = entry.unwrap().path();
        if NOT_OURS.contains(&dir.file_name().unwrap().to_str().unwrap()) {
            continue;
        }
        for file in rust_files(&dir.join("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            let name = file.strip_prefix(root).unwrap().display().to_string();
            found.extend(in_text(&name, &text, macros));
        }
    }
    assert!(!found.is_empty());
    found
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The calls in one file.
pub fn in_text(file: &str, text: &str, macros: &[&'static str]) -> Vec<Call> {
    let mut found = Vec::new();
    for macro_name in macros {
        let needle = format!("{macro_name}(");
        for (at, _) in text.match_indices(&needle) {
            let before = text[..at].chars().next_back().unwrap_or(' ');
            let line_start = text[..at].rfind('\n').map_or(0, |n| n + 1);
            let commented = text[line_start..at].contains("//");
            if before.is_alphanumeric() || before == '_' || commented {
                continue;
            }
            let line = text[..at].lines().count() + usize::from(line_start == at);
            let args = arguments(&text[at + needle.len()..]);
            found.push(Call { file: file.to_owned(), line, macro_name, args });
        }
    }
    found
}

/// Splits at the commas of the outermost level, up to the closing bracket.
fn arguments(text: &str) -> Vec<String> {
    let (mut args, mut arg, mut depth, mut in_text, mut escaped) =
        (Vec::new(), String::new(), 0_i32, false, false);
    for c in text.chars() {
        if in_text {
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            match c {
                '"' => in_text = true,
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' if depth == 0 => break,
                ')' | ']' | '}' => depth -= 1,
                ',' if depth == 0 => {
                    args.push(std::mem::take(&mut arg));
                    continue;
                }
                _ => {}
            }
        }
        arg.push(c);
    }
    args.push(arg);
    args
}

fn text_of(arg: &str) -> Option<String> {
    Some(arg.trim().strip_prefix('"')?.strip_suffix('"')?.to_owned())
}

/// Compares a page of `docs/` with what the code makes of it; with `UPDATE_DOCS=1` writes it.
pub fn document(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "docs/{name} is not what the code makes: run the test once with UPDATE_DOCS=1");
}
