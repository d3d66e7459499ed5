//! Who lives in the demo, and what they have done before it begins.

use bytes::Bytes;
use p2pds_crypto::{Curve, PrivateKey, Signer as _};
use p2pds_host::accounts::{By, NewAccount};
use p2pds_host::write::{Swap, Write, WriteOptions};
use p2pds_ipld::json::record_from_json;
use p2pds_syntax::{Did, Nsid, Rkey, Tid};
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::error::DemoError;
use crate::picture::picture;
use crate::place::Place;
use crate::sayings::{EDITS, PICTURES, POSTS, REPLIES};
use crate::words::{datetime, now_micros};

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;
/// How long ago the first post is.
const PAST: i64 = 40 * 24 * HOUR;
/// Posts of each person before the demo begins.
const POSTS_EACH: u64 = 24;

/// Somebody of the demo, as they are printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Handle.
    pub handle: String,
    /// DID.
    pub did: Did,
    /// Password at the account's host.
    pub password: String,
    /// The account's host.
    pub host: String,
    /// The file with the account's own rotation key, if it has one.
    pub rotation_key: Option<std::path::PathBuf>,
}

/// A person as the demo makes them.
pub(crate) struct Person {
    pub(crate) name: &'static str,
    display: &'static str,
    about: &'static str,
    /// Which host, by its place in the list.
    pub(crate) place: usize,
    /// Whether they hold a rotation key of their own.
    pub(crate) own_key: bool,
}

/// Everybody.
pub(crate) const PEOPLE: &[Person] = &[
    Person {
        name: "alice",
        display: "Alice",
        about: "Gardens, trains, and what lies between.",
        place: 0,
        own_key: false,
    },
    Person {
        name: "bruno",
        display: "Bruno",
        about: "Bakes. Sings in the second row.",
        place: 0,
        own_key: false,
    },
    Person { name: "chiara", display: "Chiara", about: "Maps and bicycles.", place: 0, own_key: false },
    Person {
        name: "deniz",
        display: "Deniz",
        about: "Repairs things until they work.",
        place: 1,
        own_key: false,
    },
    Person { name: "erin", display: "Erin", about: "Holds her own rotation key.", place: 1, own_key: true },
];

/// A post that stands somewhere.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) uri: String,
    pub(crate) cid: String,
    rkey: Rkey,
    text: String,
    created: String,
}

/// Somebody who lives in the demo.
pub(crate) struct Resident {
    pub(crate) sample: Sample,
    /// Place of the host in the list.
    pub(crate) place: usize,
    /// Posts that stand now.
    pub(crate) posts: Vec<Post>,
}

/// Makes an account. A person with a key of their own gets it as `key`.
pub(crate) async fn sign_up(
    person: &Person,
    place: &Place,
    key: Option<&PrivateKey>,
) -> Result<Resident, DemoError> {
    let (handle, password) =
        (format!("{}.{}.test", person.name, place.name), format!("{}-demo-password", person.name));
    let asked = NewAccount {
        handle: handle.clone(),
        email: Some(format!("{}@{}.test", person.name, place.name)),
        password: Some(password.clone()),
        invite_code: None,
        recovery_key: key.map(|key| key.public_key().to_did_key()),
        did: None,
        requester: None,
        by: By::Owner,
    };
    let did = place.host.create_account(asked).await?.account.did;
    let sample = Sample { handle, did, password, host: place.url.clone(), rotation_key: None };
    Ok(Resident { sample, place: person.place, posts: Vec::new() })
}

/// The key that a person holds: 64 hexadecimal digits, and the key itself.
pub(crate) fn own_key(chance: &mut Chance) -> (PrivateKey, String) {
    let mut entropy = [0; 32];
    for (part, byte) in entropy.iter_mut().zip(std::iter::repeat_with(|| chance.next().to_le_bytes())) {
        *part = byte[0];
    }
    let key = PrivateKey::from_entropy(Curve::K256, entropy);
    let text = data_encoding::HEXLOWER.encode(&*key.to_secret_bytes());
    (key, text)
}

/// What a person did before: a profile with a picture of themselves, and posts, some with pictures.
pub(crate) async fn settle(
    person: &Person,
    resident: &mut Resident,
    place: &Place,
    chance: &mut Chance,
) -> Result<(), DemoError> {
    let avatar = upload(place, &resident.sample.did, picture(chance, 128, 128)).await?;
    let now = now_micros();
    let profile = json!({
        "$type": "app.bsky.actor.profile", "displayName": person.display, "description": person.about,
        "avatar": avatar, "createdAt": datetime(now.saturating_sub(PAST)),
    });
    let mut writes = vec![put("app.bsky.actor.profile", "self", &profile)?];
    let mut posts = Vec::new();
    for number in 0..POSTS_EACH {
        let share = PAST.checked_div(i64::try_from(POSTS_EACH).unwrap_or(1)).unwrap_or(0);
        let jitter = i64::try_from(chance.below(share.unsigned_abs())).unwrap_or(0);
        let begin =
            now.saturating_sub(PAST).saturating_add(share.saturating_mul(i64::try_from(number).unwrap_or(0)));
        let at = begin.saturating_add(jitter);
        let with_picture = number % 6 == 3;
        let record = match with_picture {
            true => post_with_picture(place, &resident.sample.did, chance, at).await?,
            false => post(chance.one(POSTS).copied().unwrap_or_default(), at, None),
        };
        let rkey = tid_at(at, chance);
        writes.push(put("app.bsky.feed.post", rkey.as_str(), &record)?);
        posts.push((rkey, record));
    }
    let written = write(place, &resident.sample.did, writes).await?;
    // The first result is the profile's.
    for ((rkey, record), cid) in posts.into_iter().zip(written.into_iter().skip(1)) {
        resident.posts.push(standing(&resident.sample.did, rkey, cid, &record));
    }
    Ok(())
}

/// Follows, likes and answers, once everybody is there; and one post that is edited, one that is deleted.
pub(crate) async fn mingle(
    residents: &mut [Resident],
    places: &[Place],
    chance: &mut Chance,
) -> Result<(), DemoError> {
    let everybody: Vec<(Did, Vec<Post>)> =
        residents.iter().map(|resident| (resident.sample.did.clone(), resident.posts.clone())).collect();
    for resident in residents.iter_mut() {
        let Some(place) = places.get(resident.place) else { continue };
        let now = now_micros();
        let mut writes = Vec::new();
        for (did, posts) in everybody.iter().filter(|(did, _)| *did != resident.sample.did) {
            writes.push(create("app.bsky.graph.follow", &follow(did, now.saturating_sub(PAST / 2)))?);
            for _ in 0..6 {
                if let Some(liked) = chance.one(posts) {
                    writes.push(create("app.bsky.feed.like", &like(liked, now.saturating_sub(PAST / 4)))?);
                }
            }
            if let Some(answered) = chance.one(posts) {
                let text = chance.one(REPLIES).copied().unwrap_or_default();
                writes.push(create(
                    "app.bsky.feed.post",
                    &post(text, now.saturating_sub(HOUR), Some(answered)),
                )?);
            }
        }
        write(place, &resident.sample.did, writes).await?;
        edit(resident, place, chance).await?;
        delete(resident, place, chance).await?;
    }
    Ok(())
}

/// Says something: a post, now and then with a picture.
pub(crate) async fn say(
    resident: &mut Resident,
    place: &Place,
    chance: &mut Chance,
) -> Result<(), DemoError> {
    let (did, at) = (resident.sample.did.clone(), now_micros());
    let record = match chance.percent(20) {
        true => post_with_picture(place, &did, chance, at).await?,
        false => post(chance.one(POSTS).copied().unwrap_or_default(), at, None),
    };
    let rkey = tid_at(at, chance);
    let written = write(place, &did, vec![put("app.bsky.feed.post", rkey.as_str(), &record)?]).await?;
    if let Some(cid) = written.into_iter().next() {
        resident.posts.push(standing(&did, rkey, cid, &record));
    }
    Ok(())
}

/// Answers or likes a post of somebody.
pub(crate) async fn react(
    resident: &Resident,
    place: &Place,
    to: &Post,
    chance: &mut Chance,
) -> Result<(), DemoError> {
    let at = now_micros();
    let one = match chance.percent(40) {
        true => {
            let text = chance.one(REPLIES).copied().unwrap_or_default();
            create("app.bsky.feed.post", &post(text, at, Some(to)))?
        }
        false => create("app.bsky.feed.like", &like(to, at))?,
    };
    write(place, &resident.sample.did, vec![one]).await.map(|_| ())
}

/// Changes one of the posts.
pub(crate) async fn edit(
    resident: &mut Resident,
    place: &Place,
    chance: &mut Chance,
) -> Result<(), DemoError> {
    let Some(found) = chance.one(&resident.posts).cloned() else { return Ok(()) };
    let text = format!("{}{}", found.text, chance.one(EDITS).copied().unwrap_or_default());
    if text.len() > 280 {
        return Ok(());
    }
    let record = json!({ "$type": "app.bsky.feed.post", "text": text, "createdAt": found.created });
    let one = put("app.bsky.feed.post", found.rkey.as_str(), &record)?;
    let written = write(place, &resident.sample.did, vec![one]).await?;
    if let (Some(cid), Some(post)) =
        (written.into_iter().next(), resident.posts.iter_mut().find(|post| post.rkey == found.rkey))
    {
        (post.cid, post.text) = (cid, text);
    }
    Ok(())
}

/// Takes one of the posts back.
pub(crate) async fn delete(
    resident: &mut Resident,
    place: &Place,
    chance: &mut Chance,
) -> Result<(), DemoError> {
    let Some(found) = chance.one(&resident.posts).cloned() else { return Ok(()) };
    let (collection, rkey) = (nsid("app.bsky.feed.post")?, found.rkey.clone());
    let one = Write::Delete { collection, rkey, swap: Swap::Any, missing_ok: true };
    write(place, &resident.sample.did, vec![one]).await?;
    resident.posts.retain(|post| post.rkey != found.rkey);
    Ok(())
}

fn standing(did: &Did, rkey: Rkey, cid: String, record: &Value) -> Post {
    let text_of = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let uri = format!("at://{did}/app.bsky.feed.post/{rkey}");
    Post { uri, cid, rkey, text: text_of("text"), created: text_of("createdAt") }
}

fn post(text: &str, at: i64, answers: Option<&Post>) -> Value {
    let mut record =
        json!({ "$type": "app.bsky.feed.post", "text": text, "langs": ["en"], "createdAt": datetime(at) });
    if let (Some(to), Some(fields)) = (answers, record.as_object_mut()) {
        let to = json!({ "uri": to.uri, "cid": to.cid });
        fields.insert("reply".to_owned(), json!({ "root": to, "parent": to }));
    }
    record
}

async fn post_with_picture(
    place: &Place,
    did: &Did,
    chance: &mut Chance,
    at: i64,
) -> Result<Value, DemoError> {
    let (text, alt) = chance.one(PICTURES).copied().unwrap_or_default();
    let image = upload(place, did, picture(chance, 480, 320)).await?;
    let mut record = post(text, at, None);
    if let Some(fields) = record.as_object_mut() {
        let image = json!({ "image": image, "alt": alt, "aspectRatio": { "width": 480, "height": 320 } });
        let embed = json!({ "$type": "app.bsky.embed.images", "images": [image] });
        fields.insert("embed".to_owned(), embed);
    }
    Ok(record)
}

fn follow(did: &Did, at: i64) -> Value {
    json!({ "$type": "app.bsky.graph.follow", "subject": did.as_str(), "createdAt": datetime(at) })
}

fn like(post: &Post, at: i64) -> Value {
    let subject = json!({ "uri": post.uri, "cid": post.cid });
    json!({ "$type": "app.bsky.feed.like", "subject": subject, "createdAt": datetime(at) })
}

/// A key from a time: what was said first stands first.
fn tid_at(at: i64, chance: &mut Chance) -> Rkey {
    let clock = u16::try_from(chance.below(1_024)).unwrap_or(0);
    let tid = Tid::from_micros(u64::try_from(at).unwrap_or(0), clock);
    Rkey::from(tid)
}

fn nsid(text: &str) -> Result<Nsid, DemoError> {
    Nsid::parse(text).map_err(DemoError::part("name a collection"))
}

fn record(json: &Value) -> Result<p2pds_ipld::cbor::Value, DemoError> {
    record_from_json(json).map_err(DemoError::part("make a record"))
}

fn create(collection: &str, json: &Value) -> Result<Write, DemoError> {
    Ok(Write::Create { collection: nsid(collection)?, rkey: None, record: record(json)? })
}

fn put(collection: &str, rkey: &str, json: &Value) -> Result<Write, DemoError> {
    let rkey = Rkey::parse(rkey).map_err(DemoError::part("name a record"))?;
    Ok(Write::Put { collection: nsid(collection)?, rkey, record: record(json)?, swap: Swap::Any })
}

/// Writes, and the CIDs of what stands then.
async fn write(place: &Place, did: &Did, writes: Vec<Write>) -> Result<Vec<String>, DemoError> {
    let written = place.host.write(did, writes, WriteOptions::default()).await?;
    Ok(written.results.into_iter().filter_map(|result| result.cid.map(|cid| cid.to_string())).collect())
}

async fn upload(place: &Place, did: &Did, bytes: Vec<u8>) -> Result<Value, DemoError> {
    let length = u64::try_from(bytes.len()).ok();
    let mut upload = place.host.begin_upload(did, "image/png", length).await?;
    upload.write(Bytes::from(bytes)).await?;
    let blob = upload.finish().await?;
    let link = json!({ "$link": blob.cid.to_string() });
    Ok(json!({ "$type": "blob", "ref": link, "mimeType": blob.mime, "size": blob.size }))
}
