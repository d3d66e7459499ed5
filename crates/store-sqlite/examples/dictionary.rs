//! Makes `src/dictionary.bin`, the zstd dictionary that ships in the binary.
//!
//! ```sh
//! cargo run --release -p p2pds-store-sqlite --example dictionary -- crates/store-sqlite/src/dictionary.bin
//! ```
//!
//! Every input is invented here, from a fixed seed, so that no user's data can ever be in the
//! dictionary, and the same source gives the same bytes with the same zstd (1.5.7). Stored
//! bodies need the very dictionary that they were packed with: this file is part of the format.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

/// A small, fixed generator (xorshift64*): only its determinism matters.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    fn one<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len() as u64) as usize]
    }
    fn base32(&mut self, alphabet: &[u8], n: usize) -> String {
        (0..n).map(|_| char::from(alphabet[self.below(32) as usize])).collect()
    }
}

/// Just enough of DAG-CBOR.
enum V {
    Int(u64),
    Text(String),
    Link([u8; 32], u8),
    Bool(bool),
    Array(Vec<V>),
    Map(Vec<(&'static str, V)>),
}

fn head(major: u8, n: u64, out: &mut Vec<u8>) {
    match n {
        0..=23 => out.push(major << 5 | n as u8),
        24..=0xff => out.extend([major << 5 | 24, n as u8]),
        0x100..=0xffff => {
            out.push(major << 5 | 25);
            out.extend((n as u16).to_be_bytes());
        }
        _ => {
            out.push(major << 5 | 26);
            out.extend((n as u32).to_be_bytes());
        }
    }
}

fn write(v: V, out: &mut Vec<u8>) {
    match v {
        V::Int(n) => head(0, n, out),
        V::Text(t) => {
            head(3, t.len() as u64, out);
            out.extend(t.as_bytes());
        }
        V::Link(digest, codec) => {
            out.extend([0xd8, 0x2a, 0x58, 0x25, 0, 1, codec, 0x12, 0x20]);
            out.extend(digest);
        }
        V::Bool(b) => out.push(if b { 0xf5 } else { 0xf4 }),
        V::Array(items) => {
            head(4, items.len() as u64, out);
            items.into_iter().for_each(|v| write(v, out));
        }
        V::Map(mut items) => {
            items.sort_by(|a, b| (a.0.len(), a.0).cmp(&(b.0.len(), b.0)));
            head(5, items.len() as u64, out);
            for (k, v) in items {
                head(3, k.len() as u64, out);
                out.extend(k.as_bytes());
                write(v, out);
            }
        }
    }
}

const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
const SORTABLE: &[u8] = b"234567abcdefghijklmnopqrstuvwxyz";
const WORDS: &[&str] = &[
    "the",
    "a",
    "and",
    "to",
    "of",
    "in",
    "is",
    "that",
    "it",
    "for",
    "you",
    "this",
    "was",
    "with",
    "on",
    "not",
    "be",
    "are",
    "have",
    "just",
    "what",
    "like",
    "about",
    "people",
    "they",
    "we",
    "my",
    "so",
    "one",
    "all",
    "can",
    "from",
    "will",
    "would",
    "there",
    "time",
    "think",
    "really",
    "good",
    "new",
    "thanks",
    "love",
    "today",
    "because",
    "when",
    "know",
    "more",
    "very",
    "how",
    "an",
    "if",
    "your",
    "out",
    "up",
    "I'm",
    "don't",
    "it's",
    "que",
    "de",
    "e",
    "o",
    "não",
    "para",
    "com",
    "uma",
    "está",
    "la",
    "el",
    "en",
    "und",
    "die",
    "der",
    "ist",
    "nicht",
    "です",
    "ます",
    "した",
    "ない",
    "から",
    "こと",
    "https://",
    "www.",
    ".com/",
    "bsky.app/profile/",
    "🤣",
    "❤️",
    "✨",
    "\n",
    "\n\n",
    "—",
    "…",
    "?",
    "!",
    ".",
    ",",
];
const LANGS: &[&str] = &["en", "en", "en", "ja", "pt", "de", "es", "fr", "ko", "en-US", "pt-BR"];

fn text(s: &str) -> V {
    V::Text(s.to_owned())
}
fn time(d: &mut Dice) -> V {
    let (y, mo, da) = (2023 + d.below(4), 1 + d.below(12), 1 + d.below(28));
    let (h, mi, s, ms) = (d.below(24), d.below(60), d.below(60), d.below(1000));
    V::Text(format!("{y}-{mo:02}-{da:02}T{h:02}:{mi:02}:{s:02}.{ms:03}Z"))
}
fn did(d: &mut Dice) -> String {
    format!("did:plc:{}", d.base32(LOWER, 24))
}
fn tid(d: &mut Dice) -> String {
    format!(
        "3{}{}2{}",
        d.one(&["j", "k", "l", "m"]),
        d.base32(SORTABLE, 9),
        d.one(&["2", "a", "c", "k", "s"])
    )
}
fn cid_text(d: &mut Dice) -> String {
    format!("bafyrei{}", d.base32(LOWER, 52))
}
fn digest(d: &mut Dice) -> [u8; 32] {
    std::array::from_fn(|_| d.next() as u8)
}
fn strong_ref(d: &mut Dice, collection: &str) -> V {
    let uri = format!("at://{}/{collection}/{}", did(d), tid(d));
    V::Map(vec![("cid", V::Text(cid_text(d))), ("uri", V::Text(uri))])
}
fn words(d: &mut Dice, n: u64) -> String {
    (0..n).map(|_| d.one(WORDS)).collect::<Vec<_>>().join(" ")
}
fn blob(d: &mut Dice, mime: &str) -> V {
    V::Map(vec![
        ("$type", text("blob")),
        ("ref", V::Link(digest(d), 0x55)),
        ("mimeType", text(mime)),
        ("size", V::Int(20_000 + d.below(950_000))),
    ])
}
fn ratio(d: &mut Dice) -> V {
    V::Map(vec![("width", V::Int(600 + d.below(1400))), ("height", V::Int(600 + d.below(1400)))])
}
fn images(d: &mut Dice) -> V {
    let list = (0..1 + d.below(3)).map(|_| {
        let n = d.below(6);
        V::Map(vec![
            ("alt", V::Text(words(d, n))),
            ("image", blob(d, "image/jpeg")),
            ("aspectRatio", ratio(d)),
        ])
    });
    V::Map(vec![("$type", text("app.bsky.embed.images")), ("images", V::Array(list.collect()))])
}
fn external(d: &mut Dice) -> V {
    let mut fields = vec![
        ("uri", V::Text(format!("https://www.{}.com/{}", d.base32(LOWER, 7), d.base32(LOWER, 12)))),
        ("title", V::Text(words(d, 7))),
        ("description", V::Text(words(d, 14))),
    ];
    if d.below(2) == 0 {
        fields.push(("thumb", blob(d, "image/jpeg")));
    }
    V::Map(vec![("$type", text("app.bsky.embed.external")), ("external", V::Map(fields))])
}
fn embed(d: &mut Dice) -> V {
    match d.below(6) {
        0..=1 => images(d),
        2..=3 => external(d),
        4 => V::Map(vec![
            ("$type", text("app.bsky.embed.record")),
            ("record", strong_ref(d, "app.bsky.feed.post")),
        ]),
        _ => V::Map(vec![
            ("$type", text("app.bsky.embed.recordWithMedia")),
            ("media", images(d)),
            (
                "record",
                V::Map(vec![
                    ("$type", text("app.bsky.embed.record")),
                    ("record", strong_ref(d, "app.bsky.feed.post")),
                ]),
            ),
        ]),
    }
}
fn facet(d: &mut Dice) -> V {
    let feature = match d.below(3) {
        0 => V::Map(vec![("$type", text("app.bsky.richtext.facet#mention")), ("did", V::Text(did(d)))]),
        1 => V::Map(vec![
            ("$type", text("app.bsky.richtext.facet#link")),
            ("uri", V::Text(format!("https://{}.com/{}", d.base32(LOWER, 8), d.base32(LOWER, 9)))),
        ]),
        _ => V::Map(vec![
            ("tag", V::Text(d.one(WORDS).to_owned())),
            ("$type", text("app.bsky.richtext.facet#tag")),
        ]),
    };
    let start = d.below(120);
    V::Map(vec![
        ("$type", text("app.bsky.richtext.facet")),
        ("index", V::Map(vec![("byteStart", V::Int(start)), ("byteEnd", V::Int(start + 5 + d.below(30)))])),
        ("features", V::Array(vec![feature])),
    ])
}
fn post(d: &mut Dice) -> V {
    let length = 2 + d.below(30);
    let mut fields = vec![
        ("text", V::Text(words(d, length))),
        ("$type", text("app.bsky.feed.post")),
        ("createdAt", time(d)),
    ];
    if d.below(10) < 8 {
        fields.push(("langs", V::Array(vec![text(d.one(LANGS))])));
    }
    if d.below(2) == 0 {
        let reply = vec![
            ("root", strong_ref(d, "app.bsky.feed.post")),
            ("parent", strong_ref(d, "app.bsky.feed.post")),
        ];
        fields.push(("reply", V::Map(reply)));
    }
    if d.below(3) == 0 {
        fields.push(("embed", embed(d)));
    }
    if d.below(5) == 0 {
        fields.push(("facets", V::Array((0..1 + d.below(2)).map(|_| facet(d)).collect())));
    }
    V::Map(fields)
}
fn simple(d: &mut Dice, kind: &'static str) -> V {
    let subject = match kind {
        "app.bsky.graph.follow" | "app.bsky.graph.block" => V::Text(did(d)),
        _ => strong_ref(d, "app.bsky.feed.post"),
    };
    let mut fields = vec![("$type", text(kind)), ("subject", subject), ("createdAt", time(d))];
    if kind.starts_with("app.bsky.feed") && d.below(5) == 0 {
        fields.push(("via", strong_ref(d, "app.bsky.feed.repost")));
    }
    V::Map(fields)
}
fn rare(d: &mut Dice) -> V {
    match d.below(6) {
        0 => V::Map(vec![
            ("$type", text("app.bsky.actor.profile")),
            ("avatar", blob(d, "image/jpeg")),
            ("banner", blob(d, "image/png")),
            ("createdAt", time(d)),
            ("description", V::Text(words(d, 20))),
            ("displayName", V::Text(words(d, 2))),
            ("pinnedPost", strong_ref(d, "app.bsky.feed.post")),
        ]),
        1 => V::Map(vec![
            ("$type", text("app.bsky.graph.listitem")),
            ("list", V::Text(format!("at://{}/app.bsky.graph.list/{}", did(d), tid(d)))),
            ("subject", V::Text(did(d))),
            ("createdAt", time(d)),
        ]),
        2 => V::Map(vec![
            ("$type", text("app.bsky.feed.threadgate")),
            ("post", V::Text(format!("at://{}/app.bsky.feed.post/{}", did(d), tid(d)))),
            ("allow", V::Array(vec![V::Map(vec![("$type", text("app.bsky.feed.threadgate#mentionRule"))])])),
            ("createdAt", time(d)),
            ("hiddenReplies", V::Array(vec![])),
        ]),
        3 => V::Map(vec![
            ("$type", text("app.bsky.graph.list")),
            ("name", V::Text(words(d, 3))),
            ("purpose", text("app.bsky.graph.defs#modlist")),
            ("description", V::Text(words(d, 12))),
            ("createdAt", time(d)),
        ]),
        4 => V::Map(vec![
            ("$type", text("app.bsky.feed.generator")),
            ("did", V::Text("did:web:feeds.example.com".into())),
            ("displayName", V::Text(words(d, 2))),
            ("acceptsInteractions", V::Bool(true)),
            ("createdAt", time(d)),
        ]),
        _ => V::Map(vec![
            ("$type", text("app.bsky.graph.listblock")),
            ("subject", V::Text(format!("at://{}/app.bsky.graph.list/{}", did(d), tid(d)))),
            ("createdAt", time(d)),
        ]),
    }
}

fn main() {
    let out = std::env::args().nth(1).expect("usage: dictionary OUT");
    let mut dice = Dice(0x7032_7064_7330_0001);
    let samples: Vec<Vec<u8>> = (0..20_000)
        .map(|_| {
            let value = match dice.below(100) {
                0..=34 => simple(&mut dice, "app.bsky.feed.like"),
                35..=69 => post(&mut dice),
                70..=81 => simple(&mut dice, "app.bsky.graph.follow"),
                82..=89 => simple(&mut dice, "app.bsky.feed.repost"),
                90..=93 => simple(&mut dice, "app.bsky.graph.block"),
                _ => rare(&mut dice),
            };
            let mut bytes = Vec::new();
            write(value, &mut bytes);
            bytes
        })
        .collect();
    let dictionary = zstd::dict::from_samples(&samples, 16 << 10).expect("training");
    std::fs::write(&out, &dictionary).expect("writing");
    println!("{} samples, {} bytes to {out}", samples.len(), dictionary.len());
}
