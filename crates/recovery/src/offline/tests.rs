//! Pages of hostile records, read back by a parser of HTML.

use p2pds_ipld::Cid;
use p2pds_store::CollectionCount;
use scraper::{Html, Selector};

use super::*;
use when::When;

const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;\u{202e}\u{0}</main>]]>-->";

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn blob(cid: Cid) -> Value {
    Value::map([
        ("$type", text("blob")),
        ("ref", Value::Link(cid)),
        ("mimeType", text("image/svg+xml\"><script>")),
        ("size", Value::Int(1)),
    ])
}

/// A post in which every text is hostile.
fn hostile(picture: Cid, video: Cid, gone: Cid) -> Value {
    let image = |cid| {
        Value::map([
            ("image", blob(cid)),
            ("alt", text(EVIL)),
            ("aspectRatio", Value::map([("width", Value::Int(i64::MAX)), ("height", Value::Int(-1))])),
        ])
    };
    let link = |from: i64, to: i64, uri: &str| {
        Value::map([
            ("index", Value::map([("byteStart", Value::Int(from)), ("byteEnd", Value::Int(to))])),
            (
                "features",
                Value::Array(vec![Value::map([
                    ("$type", text("app.bsky.richtext.facet#link")),
                    ("uri", text(uri)),
                ])]),
            ),
        ])
    };
    Value::map([
        ("$type", text("app.bsky.feed.post")),
        ("text", text(EVIL)),
        ("createdAt", text(EVIL)),
        ("langs", Value::Array(vec![text("en\" onload=alert(1)")])),
        ("tags", Value::Array(vec![text(EVIL)])),
        (
            "facets",
            Value::Array(vec![
                link(0, 8, "javascript:alert(1)"),
                link(9, 14, "https://evil.example/\"onclick=\"x"),
            ]),
        ),
        ("reply", Value::map([("parent", Value::map([("uri", text(EVIL))]))])),
        ("labels", Value::map([("values", Value::Array(vec![Value::map([("val", text(EVIL))])]))])),
        (
            "embed",
            Value::map([
                ("$type", text("app.bsky.embed.recordWithMedia")),
                ("record", Value::map([("record", Value::map([("uri", text(EVIL))]))])),
                (
                    "media",
                    Value::map([
                        ("images", Value::Array(vec![image(picture), image(gone), image(video)])),
                        ("video", blob(video)),
                        (
                            "external",
                            Value::map([
                                ("uri", text("javascript:alert(1)")),
                                ("title", text(EVIL)),
                                ("description", text(EVIL)),
                                ("thumb", blob(picture)),
                            ]),
                        ),
                    ]),
                ),
            ]),
        ),
    ])
}

fn site() -> (Site, Value) {
    let (picture, video, gone) = (Cid::of_raw(b"p"), Cid::of_raw(b"v"), Cid::of_raw(b"g"));
    let mut site = Site {
        did: "did:web:evil.example".into(),
        handle: Some(EVIL.into()),
        name: EVIL.into(),
        rev: "3jzfcijpj2z2a".into(),
        tool: "p2pds".into(),
        collections: vec![
            CollectionCount { collection: POSTS.into(), records: 2 },
            CollectionCount { collection: "com.example.evil".into(), records: 1 },
        ],
        dirs: [(POSTS.to_owned(), POSTS.to_owned()), ("com.example.evil".to_owned(), "%63om".to_owned())]
            .into(),
        ..Site::default()
    };
    site.numbers = [(POSTS.to_owned(), 1), ("com.example.evil".to_owned(), 2)].into();
    site.media.insert(picture, Blob::Held("png"));
    site.media.insert(video, Blob::Held("mp4"));
    site.media.insert(gone, Blob::Missing(EVIL.into()));
    let value = hostile(picture, video, gone);
    for rkey in ["3jzfcijpj2z2a", "did:web:x"] {
        site.timeline.push(rkey, When::of(&value, rkey));
    }
    site.timeline.arrange();
    (site, value)
}

fn select(selector: &str) -> Selector {
    Selector::parse(selector).unwrap()
}

/// What no page may have, whatever the records say; gives the parsed page.
fn harmless(page: &str) -> Html {
    let html = Html::parse_document(page);
    assert!(page.contains(&maud::html! { (layout::POLICY) }.into_string()), "every page has the policy");
    assert!(!page.contains('\u{202e}') && !page.contains('\0'));
    for script in html.select(&select("script")) {
        assert_eq!(script.value().attr("src"), Some("../pages/search.js"));
        assert_eq!(script.inner_html(), "");
    }
    for element in html.select(&select("*")) {
        let element = element.value();
        assert!(
            !matches!(
                element.name(),
                "style" | "iframe" | "object" | "embed" | "base" | "svg" | "math" | "template"
            ),
            "{element:?}"
        );
        for (name, value) in element.attrs() {
            assert!(!name.starts_with("on") && name != "style" && name != "srcset", "{element:?}");
            match (element.name(), name) {
                (_, "src") | ("link", "href") => {
                    assert!(
                        value.starts_with("../")
                            || value.starts_with("blobs/")
                            || value.starts_with("pages/"),
                        "{value}"
                    );
                }
                ("a", "href") => {
                    let outside = value.starts_with("https://");
                    assert!(outside || !value.contains(':') || value.contains('#'), "{value}");
                    assert_eq!(
                        outside,
                        element.attr("rel").is_some_and(|rel| rel.contains("noreferrer")),
                        "{value}"
                    );
                }
                _ => {}
            }
        }
    }
    for picture in html.select(&select("img")) {
        assert!(picture.value().attr("alt").is_some());
    }
    assert_eq!(html.select(&select("main")).count(), 1);
    assert_eq!(html.select(&select("h1")).count(), 1);
    assert!(html.select(&select("html[lang]")).count() == 1 && html.select(&select("title")).count() == 1);
    let ids: Vec<&str> = html.select(&select("[id]")).filter_map(|e| e.value().attr("id")).collect();
    assert_eq!(
        ids.iter().collect::<std::collections::HashSet<_>>().len(),
        ids.len(),
        "ids are unique: {ids:?}"
    );
    html
}

#[test]
fn hostile_posts_are_text() {
    let (site, value) = site();
    let posts: Vec<Post> =
        ["3jzfcijpj2z2a", "did:web:x"].map(|rkey| Post { rkey: rkey.into(), value: value.clone() }).into();
    let profile = Value::map([
        ("displayName", text(EVIL)),
        ("description", text(EVIL)),
        ("avatar", blob(Cid::of_raw(b"p"))),
    ]);
    let about = About {
        profile: Some(&profile),
        records: 3,
        blobs: 2,
        blob_bytes: 2,
        missing_blobs: 1,
        missing_records: 1,
        verified: false,
    };
    for path in [INDEX, "pages/posts/2.html"] {
        let number = if path == INDEX { 1 } else { 2 };
        let html = harmless(&posts_page(&site, path, number, &about, &posts, &Quoted::new()));
        let said: Vec<String> = html.select(&select("p.text")).map(|text| text.text().collect()).collect();
        assert_eq!(said.len(), 2);
        assert!(
            said[0].starts_with("<script>") && said[0].contains("\"'><img src=x onerror=alert(1)>&amp;"),
            "{}",
            said[0]
        );
        assert!(said[0].contains("[javascript:alert(1)]"), "where a link leads is said: {}", said[0]);
        assert_eq!(html.select(&select("article img")).count(), 4, "a picture and a thumb of each");
        assert_eq!(html.select(&select("article video")).count(), 4);
        assert_eq!(html.select(&select("article .missing")).count(), 2);
        assert_eq!(html.select(&select("article [lang]")).count(), 0);
    }
    for place in [
        front::months(&site),
        front::collections(&site, 1).1,
        front::search(&site, 3),
        front::restore(&site, EVIL),
    ] {
        harmless(&place);
    }
}

#[test]
fn hostile_records_are_cells() {
    let (site, value) = site();
    let deep = (0..30).fold(text(EVIL), |inner, _| Value::map([(EVIL, inner)]));
    let records = [
        ("a", Some(value)),
        ("b", Some(Value::map([("subject", text(EVIL))]))),
        (
            "c",
            Some(Value::map([(
                "subject",
                Value::map([("uri", text("at://did:web:evil.example/app.bsky.feed.post/did:web:x"))]),
            )])),
        ),
        (
            "d",
            Some(Value::map([
                ("url", text("javascript:alert(1)")),
                ("home", text("https://a.example/")),
                (EVIL, deep),
            ])),
        ),
        ("e", Some(text(EVIL))),
        ("f", None),
        ("g", Some(Value::map((0..5_000).map(|n| (format!("{n:05}"), text(EVIL)))))),
    ]
    .map(|(rkey, value)| Record { rkey: rkey.into(), value });
    let page = table_page(&site, "pages/c2/1.html", "com.example.evil", 1, &records, true);
    let html = harmless(&page.replace("../../", "../"));
    assert_eq!(html.select(&select("tbody tr")).count(), 7);
    let own = html.select(&select("#r-c td a")).next().unwrap().value().attr("href").unwrap().to_owned();
    assert_eq!(own, "../index.html#r-did:web:x", "an own post is linked to");
    assert!(page.contains("../../records/%2563om/a.json"), "the name of the directory is encoded once more");
    assert!(page.len() < 100_000, "{} bytes", page.len());
}

#[test]
fn ten_megabytes_of_text_are_not_a_page_of_ten_megabytes() {
    let (site, _) = site();
    let large = "ö<".repeat(5 << 20);
    let value = Value::map([
        ("text", text(&large)),
        (
            "embed",
            Value::map([(
                "external",
                Value::map([("title", text(&large)), ("uri", text(&large)), ("description", text(&large))]),
            )]),
        ),
    ]);
    let post = Post { rkey: "3jzfcijpj2z2a".into(), value: value.clone() };
    let page = post::post(Place::of(&site, INDEX), &post, &Quoted::new()).into_string();
    assert!(page.len() < 200_000, "{} bytes", page.len());
    assert!(page.contains("The text goes on"));
    let record = Record { rkey: "a".into(), value: Some(value) };
    assert!(record.words().len() < 10_000);
    assert!(table_page(&site, "pages/c2/1.html", "com.example.evil", 1, &[record], false).len() < 20_000);
}
