//! Writing tables between markers.

use std::fmt::Write as _;

/// Replaces what stands between `<!-- name -->` and `<!-- /name -->` in docs/performance.md.
pub fn write(name: &str, text: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md");
    let page = std::fs::read_to_string(path).expect("docs/performance.md can be read");
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let from = page.find(&begin).expect("the page has the marker") + begin.len();
    let to = page.find(&end).expect("the page has the closing marker");
    let page = format!("{}\n{}\n{}", &page[..from], text.trim_end(), &page[to..]);
    std::fs::write(path, page).expect("docs/performance.md can be written");
    println!("{text}");
}

/// A table with a header.
pub struct Table {
    text: String,
}

impl Table {
    pub fn new(title: &str, columns: &[&str]) -> Self {
        let mut text = format!("\n**{title}**\n\n| {} |\n|", columns.join(" | "));
        for _ in columns {
            text.push_str("--|");
        }
        text.push('\n');
        Self { text }
    }

    pub fn row(&mut self, cells: &[String]) {
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }

    pub fn text(self) -> String {
        self.text
    }
}

pub fn micros(seconds: f64) -> String {
    format!("{:.1}", seconds * 1e6)
}

pub fn millis(seconds: f64) -> String {
    format!("{:.1}", seconds * 1e3)
}

pub fn ratio(value: f64) -> String {
    format!("{value:.2}")
}

pub fn mib(bytes: usize) -> String {
    format!("{:.2}", bytes as f64 / (1 << 20) as f64)
}
