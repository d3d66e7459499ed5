//! What the search reads: files of bounded size, each a call with a list of records. A page from disk may not read
//! files, but it may load scripts.

use p2pds_syntax::RecordPath;
use serde_json::json;

use super::shown::shown;
use super::when::When;

/// Bytes after which a file ends.
pub(super) const PIECE: usize = 256 << 10;
/// Bytes of a record that can be found.
const FINDABLE: usize = 4_000;

/// Files being filled.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Files that are full, by their number from 1.
    pub(super) full: Vec<(u32, String)>,
    count: u32,
    /// Records in all.
    pub(super) records: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    collection: String,
    text: String,
}

/// Where the pages of a collection lie, as seen from the search page.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    /// Its name in words.
    pub(super) heading: String,
    /// Its pages without number and ending.
    pub(super) folder: String,
    /// Another address for its first page.
    pub(super) first: Option<String>,
}

impl Index {
    /// Takes a record.
    pub(super) fn push(&mut self, shelf: &Shelf, path: &RecordPath, page: u32, when: When, words: &str) {
        if self.open.as_ref().is_none_or(|open| open.collection != path.collection()) {
            self.close();
            let head = json!({"name": shelf.heading, "folder": shelf.folder, "first": shelf.first});
            let text = format!("p2pdsPiece({}, [", script(&head.to_string()));
            self.open = Some(Open { collection: path.collection().to_owned(), text });
        }
        let Some(open) = &mut self.open else { return };
        if !open.text.ends_with('[') {
            open.text.push(',');
        }
        let entry = json!([page, path.rkey(), when.day(), shown(words.trim(), FINDABLE).text]);
        open.text.push('\n');
        open.text.push_str(&script(&entry.to_string()));
        self.records = self.records.saturating_add(1);
        if open.text.len() >= PIECE {
            self.close();
        }
    }

    /// Ends the file that is open.
    pub(super) fn close(&mut self) {
        if let Some(mut open) = self.open.take() {
            open.text.push_str("\n]);\n");
            self.count = self.count.saturating_add(1);
            self.full.push((self.count, open.text));
        }
    }

    /// Files so far.
    pub(super) fn count(&self) -> u32 {
        self.count
    }
}

/// JSON as it may stand in a script: older engines end a line at U+2028, and nothing looks like markup.
fn script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use p2pds_ipld::cbor::Value;

    use super::*;

    #[test]
    fn files_are_bounded_and_whole() {
        let shelf = |name: &str| Shelf { heading: name.into(), folder: format!("{name}/"), first: None };
        let mut index = Index::default();
        let evil = "</script>\u{2028}\"\\\u{0}\u{202e}";
        for n in 0..1_000_u32 {
            let name = if n < 900 { "com.example.one" } else { "com.example.two" };
            let path = RecordPath::parse(&format!("{name}/k{n}")).unwrap();
            index.push(
                &shelf(name),
                &path,
                n,
                When::of(&Value::Null, "k"),
                &format!("{evil}{}", "x".repeat(9_000)),
            );
        }
        index.close();
        assert_eq!((index.records, index.count() as usize), (1_000, index.full.len()));
        assert!(index.full.len() > 10);
        let mut seen = 0;
        for (_, text) in &index.full {
            assert!(text.len() < PIECE + 2 * FINDABLE && !text.contains('<') && !text.contains('\u{2028}'));
            let inner = text.strip_prefix("p2pdsPiece(").unwrap().strip_suffix(");\n").unwrap();
            let both: serde_json::Value = serde_json::from_str(&format!("[{inner}]")).unwrap();
            let name = both[0]["name"].as_str().unwrap();
            for entry in both[1].as_array().unwrap() {
                assert_eq!(entry[0].as_u64().unwrap() < 900, name == "com.example.one");
                assert!(entry[3].as_str().unwrap().starts_with("</script>\u{2028}\"\\\u{fffd}\u{fffd}xx"));
                seen += 1;
            }
        }
        assert_eq!(seen, 1_000);
    }
}
