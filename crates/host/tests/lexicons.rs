//! The types that are known from the start, beside the published schemas: both must take and refuse the same records.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    missing_docs
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use p2pds_host::lexicons::{Lexicons, Validation};
use p2pds_ipld::json::record_from_json;
use p2pds_lexicon::{Catalog, Document, ValidationError};
use p2pds_syntax::{Nsid, Rkey};
use serde_json::{Map, Value, json};

/// The types that must be known.
const TYPES: [&str; 20] = [
    "app.bsky.actor.profile",
    "app.bsky.actor.status",
    "app.bsky.feed.generator",
    "app.bsky.feed.like",
    "app.bsky.feed.post",
    "app.bsky.feed.postgate",
    "app.bsky.feed.repost",
    "app.bsky.feed.threadgate",
    "app.bsky.graph.block",
    "app.bsky.graph.follow",
    "app.bsky.graph.list",
    "app.bsky.graph.listblock",
    "app.bsky.graph.listitem",
    "app.bsky.graph.starterpack",
    "app.bsky.graph.verification",
    "app.bsky.labeler.service",
    "app.bsky.notification.declaration",
    "chat.bsky.actor.declaration",
    "com.atproto.lexicon.schema",
    "com.germnetwork.declaration",
];

/// The directory of the published references, or `None` (said on standard error) when it is not there.
fn shared(sub: &str) -> Option<PathBuf> {
    let found =
        std::env::var_os("P2PDS_SHARED").map(|root| PathBuf::from(root).join(sub)).filter(|p| p.exists());
    if found.is_none() {
        assert!(std::env::var_os("P2PDS_REQUIRE_SHARED").is_none(), "P2PDS_SHARED has no {sub}");
        eprintln!("SKIPPED: set P2PDS_SHARED to the directory that holds {sub}");
    }
    found
}

/// Records tried of each type.
const TRIES: usize = 600;

/// The published schemas: as the validator reads them, and as JSON to make records from.
#[derive(Default)]
struct Published {
    catalog: Catalog,
    json: BTreeMap<String, Value>,
}

impl Published {
    fn load(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.load(&path);
            } else if path.extension().is_some_and(|e| e == "json") {
                let bytes = std::fs::read(&path).unwrap();
                let document = Document::parse(&bytes).unwrap();
                let json: Value = serde_json::from_slice(&bytes).unwrap();
                self.json.insert(document.id().to_string(), json["defs"].clone());
                self.catalog.insert(document);
            }
        }
    }

    fn definition(&self, at: &str, reference: &str) -> (String, Value) {
        let (id, name) = reference.split_once('#').unwrap_or((reference, "main"));
        let id = if id.is_empty() { at } else { id };
        (id.to_owned(), self.json[id][name].clone())
    }
}

/// Dice; the same seed rolls the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Makes records: mostly good ones, at the edges of what is allowed, with a fault now and then.
struct Maker<'a> {
    published: &'a Published,
    dice: Dice,
    /// One fault in so many values; 0 for none.
    faults: usize,
}

impl Maker<'_> {
    fn fault(&mut self) -> bool {
        self.faults > 0 && self.dice.once_in(self.faults)
    }

    fn wrong(&mut self) -> Value {
        [json!(1), json!("x"), json!(true), json!({}), json!([]), Value::Null, json!({"$bytes": "AAAA"})]
            [self.dice.below(7)]
        .clone()
    }

    fn object(&mut self, at: &str, schema: &Value) -> Map<String, Value> {
        let mut made = Map::new();
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, of) in schema["properties"].as_object().into_iter().flatten() {
            let must = required.contains(&name.as_str());
            let leave_out = if must { self.fault() } else { self.dice.once_in(2) };
            if !leave_out {
                made.insert(name.clone(), self.value(at, of));
            }
        }
        if self.dice.once_in(9) {
            made.insert("somethingElse".into(), json!(7));
        }
        made
    }

    fn value(&mut self, at: &str, schema: &Value) -> Value {
        if self.fault() {
            return self.wrong();
        }
        let number = |name: &str| schema[name].as_i64();
        match schema["type"].as_str().unwrap() {
            "string" => self.text(schema),
            "integer" => {
                let (low, high) = (number("minimum").unwrap_or(-3), number("maximum").unwrap_or(70_000));
                let beyond = i64::from(self.fault());
                json!(if self.dice.once_in(2) { low - beyond } else { high + beyond })
            }
            "boolean" => json!(self.dice.once_in(2)),
            "bytes" => json!({ "$bytes": "AQIDBA" }),
            "cid-link" => json!({ "$link": CID }),
            "unknown" => json!({ "a": 1 }),
            "blob" => self.blob(schema),
            "array" => {
                let most = usize::try_from(number("maxLength").unwrap_or(3)).unwrap();
                let length = match self.dice.below(4) {
                    0 => 0,
                    1 => most + usize::from(self.fault()),
                    _ => most.min(2),
                };
                (0..length).map(|_| self.value(at, &schema["items"])).collect()
            }
            "object" => Value::Object(self.object(at, schema)),
            "ref" => {
                let (at, of) = self.published.definition(at, schema["ref"].as_str().unwrap());
                self.value(&at, &of)
            }
            "union" => {
                let refs = schema["refs"].as_array().unwrap();
                let mut name = refs[self.dice.below(refs.len())].as_str().unwrap().to_owned();
                if name.starts_with('#') {
                    name = format!("{at}{name}");
                }
                if self.dice.once_in(12) {
                    return json!({ "$type": "com.example.other#thing", "a": 1 });
                }
                let (at, of) = self.published.definition(at, &name);
                let mut made = self.object(&at, &of);
                if !self.fault() {
                    made.insert("$type".into(), name.into());
                }
                Value::Object(made)
            }
            other => panic!("no maker for {other}"),
        }
    }

    fn text(&mut self, schema: &Value) -> Value {
        let number = |name: &str| schema[name].as_u64().and_then(|n| usize::try_from(n).ok());
        if let Some(format) = schema["format"].as_str() {
            if self.fault() {
                return json!("not in this form");
            }
            let text = match format {
                "datetime" => "2026-01-02T03:04:05.678Z",
                "did" => "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa",
                "handle" => "somebody.example.com",
                "at-uri" => "at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.feed.post/3jzfcijpj2z2a",
                "uri" => "https://example.com/a",
                "language" => "de-CH",
                "nsid" => "com.example.thing",
                "cid" => CID,
                other => panic!("no text for {other}"),
            };
            return match number("maxLength").filter(|_| self.dice.once_in(3)) {
                // Only URIs have both a form and a length.
                Some(most) => {
                    let size = most + usize::from(self.dice.once_in(2));
                    json!(format!("https://example.com/{}", "a".repeat(size - 20)))
                }
                None => json!(text),
            };
        }
        let (bytes, graphemes) = (number("maxLength"), number("maxGraphemes"));
        let beyond = usize::from(self.fault());
        json!(match self.dice.below(5) {
            0 => String::new(),
            1 => "x".repeat(number("minLength").unwrap_or(1).saturating_sub(beyond)),
            2 => "x".repeat(bytes.unwrap_or(50) + beyond),
            3 => "x".repeat(graphemes.or(bytes).unwrap_or(50) + beyond),
            // One grapheme of four bytes.
            _ => "\u{1f600}".repeat(graphemes.unwrap_or(10) + beyond),
        })
    }

    fn blob(&mut self, schema: &Value) -> Value {
        let accept: Vec<&str> =
            schema["accept"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mime = if accept.is_empty() || self.fault() {
            "application/x-other".to_owned()
        } else {
            accept[self.dice.below(accept.len())].replace('*', "webp")
        };
        let size = schema["maxSize"].as_i64().unwrap_or(9_000) + i64::from(self.fault());
        json!({ "$type": "blob", "ref": { "$link": BLOB }, "mimeType": mime, "size": size })
    }
}

const CID: &str = "bafyreialafggpdsktthijxzfx5ie66lj4mysm3mi362jlkjmfpgrzeban4";
const BLOB: &str = "bafkreialafggpdsktthijxzfx5ie66lj4mysm3mi362jlkjmfpgrzeban4";

#[test]
fn the_known_types_take_and_refuse_what_the_published_ones_do() {
    let Some(dir) = shared("lexicons") else { return };
    let mut published = Published::default();
    published.load(&dir);
    let lexicons = Lexicons::default();
    for name in TYPES {
        let nsid = Nsid::parse(name).unwrap();
        let schema = published.json[name]["main"].clone();
        let mut seen = [0_usize; 2];
        for n in 0..TRIES {
            let faults = [0, 0, 40, 12, 5][n % 5];
            let mut maker = Maker { published: &published, dice: Dice(n as u64 * 7_919 + 1), faults };
            let mut record = maker.object(name, &schema["record"]);
            if !maker.fault() {
                record.insert("$type".into(), name.into());
            }
            let keys = ["3jzfcijpj2z2a", "self", "com.example.thing", "any-key"];
            let rkey = if n % 3 == 0 { keys[maker.dice.below(4)] } else { good_key(&schema) };
            let rkey = Rkey::parse(rkey).unwrap();
            let json = Value::Object(record);
            // What no data model holds is not the schema's to refuse.
            let Ok(value) = record_from_json(&json) else { continue };
            let wanted = match published.catalog.validate_record(&nsid, &rkey, &value) {
                Ok(()) => None,
                Err(error @ ValidationError::UnknownSchema { .. }) => panic!("{name}: {error}"),
                Err(error) => Some(error.to_string()),
            };
            let said = match lexicons.validate(&nsid, &rkey, &value, 0) {
                Validation::Valid => None,
                Validation::Invalid(why) => Some(why),
                Validation::Unknown => panic!("{name} is not known"),
            };
            // Which of several faults is named first is not compared.
            assert_eq!(
                said.is_some(),
                wanted.is_some(),
                "{name} {rkey}: {said:?}, published {wanted:?}: {json:#}"
            );
            seen[usize::from(said.is_some())] += 1;
        }
        let few = TRIES / 20;
        assert!(seen[0] > few && seen[1] > few, "{name}: taken and refused {seen:?}");
    }
}

fn good_key(schema: &Value) -> &str {
    match schema["key"].as_str().unwrap() {
        "tid" => "3jzfcijpj2z2a",
        "nsid" => "com.example.thing",
        "any" => "any-key",
        literal => literal.strip_prefix("literal:").unwrap(),
    }
}
