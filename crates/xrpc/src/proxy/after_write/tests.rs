//! Answers of an AppView, completed.

use serde_json::{Value, json};

use super::{Images, Local, Munge, Quoted, Written, quoted_view};

const ME: &str = "did:plc:z72i7hdynmk6r22z27h6tvur";

fn uri(rkey: &str) -> String {
    format!("at://{ME}/app.bsky.feed.post/{rkey}")
}

fn written(rkey: &str, at: &str, record: Value) -> Written {
    Written { uri: uri(rkey), cid: format!("cid-{rkey}"), at: at.to_owned(), record }
}

fn local(posts: Vec<Written>) -> Local {
    Local { did: ME.into(), handle: "alice.example.com".into(), profile: None, profile_now: None, posts }
}

fn with<T>(local: &Local, work: impl FnOnce(Munge<'_>) -> T) -> T {
    let quoted = Quoted::from([("at://quoted".to_owned(), json!({ "$type": "view" }))]);
    let images = Images::Cdn("https://cdn.example/%s/%s/%s@jpeg".to_owned());
    work(Munge { local, images: &images, quoted: &quoted })
}

fn item(did: &str, rkey: &str, at: &str) -> Value {
    json!({ "post": { "uri": format!("at://{did}/app.bsky.feed.post/{rkey}"), "author": { "did": did },
            "indexedAt": at, "record": {} } })
}

fn uris(answer: &Value) -> Vec<&str> {
    answer["feed"].as_array().unwrap().iter().map(|item| item["post"]["uri"].as_str().unwrap()).collect()
}

fn post(text: &str) -> Value {
    json!({ "$type": "app.bsky.feed.post", "text": text })
}

#[test]
fn posts_stand_where_their_time_puts_them() {
    let mine = local(vec![
        written("old", "2026-01-01T00:00:00.000Z", post("older than the page")),
        written("mid", "2026-01-03T00:00:00.000Z", post("between")),
        written("new", "2026-01-09T00:00:00.000Z", post("newest")),
    ]);
    let page = json!({ "cursor": "c", "feed": [
        item("did:web:b", "5", "2026-01-05T00:00:00.000Z"), item("did:web:b", "2", "2026-01-02T00:00:00.000Z"),
    ] });
    let done = with(&mine, |munge| munge.timeline(page.clone()));
    assert_eq!(
        uris(&done),
        [
            uri("new").as_str(),
            "at://did:web:b/app.bsky.feed.post/5",
            uri("mid").as_str(),
            "at://did:web:b/app.bsky.feed.post/2"
        ]
    );
    assert_eq!(
        (done["cursor"].as_str(), done["feed"][0]["post"]["author"]["handle"].as_str()),
        (Some("c"), Some("alice.example.com"))
    );
    // What the AppView has in the meantime is not shown twice.
    let again = with(&mine, |munge| munge.timeline(done.clone()));
    assert_eq!(again, done);
    let empty = with(&mine, |munge| munge.timeline(json!({ "feed": [] })));
    assert_eq!(uris(&empty), [uri("new"), uri("mid"), uri("old")]);
}

#[test]
fn only_the_own_feed_gets_posts() {
    let mine = local(vec![written("new", "2026-01-09T00:00:00.000Z", post("newest"))]);
    let others = json!({ "feed": [item("did:web:b", "5", "2026-01-05T00:00:00.000Z")] });
    assert_eq!(with(&mine, |munge| munge.author_feed(others.clone())), others);
    let own = json!({ "feed": [item(ME, "5", "2026-01-05T00:00:00.000Z")] });
    assert_eq!(uris(&with(&mine, |munge| munge.author_feed(own))).len(), 2);
    let mut reposted = item("did:web:b", "5", "2026-01-05T00:00:00.000Z");
    reposted["reason"] = json!({ "$type": "app.bsky.feed.defs#reasonRepost", "by": { "did": ME } });
    assert_eq!(uris(&with(&mine, |munge| munge.author_feed(json!({ "feed": [reposted] })))).len(), 2);
}

#[test]
fn a_new_profile_replaces_the_old_one() {
    let mut mine = local(Vec::new());
    mine.profile = Some(Written {
        uri: format!("at://{ME}/app.bsky.actor.profile/self"),
        cid: "c".into(),
        at: "2026-01-01T00:00:00.000Z".into(),
        record: json!({ "displayName": "New", "avatar": { "$type": "blob", "ref": { "$link": "bafkreia" } } }),
    });
    let old =
        json!({ "did": ME, "displayName": "Old", "description": "Old", "banner": "x", "followersCount": 7 });
    let view = with(&mine, |munge| munge.profile(old.clone()));
    let avatar = format!("https://cdn.example/avatar/{ME}/bafkreia@jpeg");
    assert_eq!(view, json!({ "did": ME, "displayName": "New", "followersCount": 7, "avatar": avatar }));
    let other = json!({ "did": "did:web:b", "displayName": "B" });
    assert_eq!(with(&mine, |munge| munge.profile(other.clone())), other);
    let all = with(&mine, |munge| munge.profiles(json!({ "profiles": [old, other] })));
    assert_eq!((&all["profiles"][0], &all["profiles"][1]["displayName"]), (&view, &json!("B")));
    let liked = with(&mine, |munge| {
        munge.likes(json!({ "feed": [item(ME, "5", "x"), item("did:web:b", "6", "y")] }))
    });
    assert_eq!(liked["feed"][0]["post"]["author"]["displayName"], "New");
    assert_eq!(liked["feed"][1]["post"]["author"].get("displayName"), None);
}

fn reply(rkey: &str, root: &str, parent: &str) -> Written {
    let record = json!({ "text": rkey, "reply": { "root": { "uri": root }, "parent": { "uri": parent } } });
    written(rkey, "2026-01-09T00:00:00.000Z", record)
}

#[test]
fn replies_hang_below_what_they_answer() {
    let root = "at://did:web:b/app.bsky.feed.post/root";
    let middle = "at://did:web:b/app.bsky.feed.post/middle";
    let mine = local(vec![
        reply("first", root, root),
        reply("second", root, middle),
        reply("third", root, &uri("second")),
        reply("elsewhere", "at://x", "at://x"),
    ]);
    let thread = json!({ "thread": { "$type": super::THREAD, "post": { "uri": root, "record": {} }, "replies": [
        { "$type": super::THREAD, "post": { "uri": middle, "record": { "reply": { "root": { "uri": root } } } } },
        { "$type": "app.bsky.feed.defs#blockedPost", "uri": "at://blocked" },
    ] } });
    let done = with(&mine, |munge| munge.thread(thread.clone()));
    let replies = done["thread"]["replies"].as_array().unwrap();
    assert_eq!(replies[0]["post"]["uri"], uri("first"));
    assert_eq!(replies[1]["replies"][0]["post"]["uri"], uri("second"));
    assert_eq!(replies[1]["replies"][0]["replies"][0]["post"]["uri"], uri("third"));
    assert_eq!(replies.len(), 3);
    assert_eq!(with(&mine, |munge| munge.thread(done.clone())), done, "nothing is hung twice");
    let gone = json!({ "thread": { "$type": "app.bsky.feed.defs#notFoundPost", "uri": root } });
    assert_eq!(with(&mine, |munge| munge.thread(gone.clone())), gone);
    let (own, parent) = with(&mine, |munge| munge.thread_of(&uri("second"))).unwrap();
    assert_eq!(
        (own["post"]["uri"].as_str(), parent.as_deref()),
        (Some(uri("second").as_str()), Some(middle))
    );
    assert_eq!(own["replies"][0]["post"]["uri"], uri("third"));
    assert!(with(&mine, |munge| munge.thread_of(&uri("nobody"))).is_none());
}

#[test]
fn embeds_are_shown() {
    let image = json!({ "alt": "a cat", "aspectRatio": { "width": 2, "height": 1 },
                        "image": { "$type": "blob", "ref": { "$link": "bafkreia" } } });
    let images = json!({ "$type": "app.bsky.embed.images", "images": [image] });
    let quote = json!({ "$type": "app.bsky.embed.record", "record": { "uri": "at://quoted" } });
    let lost = json!({ "$type": "app.bsky.embed.record", "record": { "uri": "at://lost" } });
    let both = json!({ "$type": "app.bsky.embed.recordWithMedia", "media": images, "record": quote });
    let posts =
        [images, quote, lost, both, json!({ "$type": "com.example.unknown" })].into_iter().enumerate();
    let mine = local(
        posts
            .map(|(n, embed)| {
                written(
                    &format!("p{n}"),
                    &format!("2026-01-0{}T00:00:00.000Z", 9 - n),
                    json!({ "embed": embed }),
                )
            })
            .rev()
            .collect(),
    );
    assert_eq!(mine.quotes(), ["at://quoted", "at://lost", "at://quoted"]);
    let feed = with(&mine, |munge| munge.timeline(json!({ "feed": [] })));
    let embed = |n: usize| &feed["feed"][n]["post"]["embed"];
    let thumb = format!("https://cdn.example/feed_thumbnail/{ME}/bafkreia@jpeg");
    assert_eq!(
        (embed(0)["images"][0]["thumb"].as_str(), embed(0)["images"][0]["alt"].as_str()),
        (Some(thumb.as_str()), Some("a cat"))
    );
    assert_eq!(embed(1)["record"]["$type"], "view");
    assert_eq!(
        (embed(2)["record"]["notFound"].as_bool(), embed(2)["record"]["uri"].as_str()),
        (Some(true), Some("at://lost"))
    );
    assert_eq!(
        (embed(3)["record"]["record"]["$type"].as_str(), embed(3)["media"]["images"][0]["alt"].as_str()),
        (Some("view"), Some("a cat"))
    );
    assert!(embed(4).is_null());
}

#[test]
fn quoted_records() {
    let answer = json!({ "posts": [{ "uri": "u", "cid": "c", "author": {}, "record": { "text": "t" }, "indexedAt": "i" }] });
    let view = quoted_view("at://did:web:b/app.bsky.feed.post/1", &answer).unwrap();
    assert_eq!(
        (view["value"]["text"].as_str(), view["$type"].as_str()),
        (Some("t"), Some("app.bsky.embed.record#viewRecord"))
    );
    assert!(quoted_view("at://did:web:b/app.bsky.feed.post/1", &json!({ "posts": [] })).is_none());
    let list =
        quoted_view("at://did:web:b/app.bsky.graph.list/1", &json!({ "list": { "name": "n" } })).unwrap();
    assert_eq!(
        (list["$type"].as_str(), list["name"].as_str()),
        (Some("app.bsky.graph.defs#listView"), Some("n"))
    );
}

#[test]
fn nonsense_is_left_as_it_came() {
    let mut mine = local(vec![written("new", "2026-01-09T00:00:00.000Z", post("newest"))]);
    mine.profile = Some(written("p", "2026-01-09T00:00:00.000Z", json!(7)));
    for answer in [
        json!(null),
        json!([]),
        json!({ "feed": 7, "thread": [], "profiles": {} }),
        json!({ "feed": [1, null] }),
    ] {
        with(&mine, |munge| {
            let _ = munge.timeline(answer.clone());
            let _ = (
                munge.author_feed(answer.clone()),
                munge.likes(answer.clone()),
                munge.profiles(answer.clone()),
            );
            assert_eq!(munge.thread(answer.clone()), answer);
        });
    }
    assert!(mine.oldest().is_some() && !mine.is_empty());
}
