//! Browsers of those whose accounts are hosted here: what is remembered of strangers, and from when on.

use std::sync::atomic::Ordering;

use p2pds_host::accounts::By;
use p2pds_host::accounts::factors::totp;
use p2pds_oauth::{Form, OAuth};

use crate::Node;
use crate::hosting::{self, did};
use crate::shared::{Answer, Browser};

const PASSWORD: &str = "correct horse battery";
const CLIENT: &str = "http://localhost";

struct House {
    hosting: hosting::Node,
    oauth: OAuth,
    node: Node,
}

impl House {
    async fn new() -> Self {
        let hosting = hosting::Node::new();
        hosting.account(&did(1)).await;
        hosting.host.admin_set_password(&By::Operator, &did(1), PASSWORD).await.unwrap();
        let node = Node::start_with("http://127.0.0.1:1", Some(&hosting)).await;
        Self { oauth: hosting.host.authorization_server().unwrap(), hosting, node }
    }

    /// Browsers that the store remembers.
    fn remembered(&self) -> u32 {
        let file = self.hosting.dir.path().join(p2pds_store_sqlite::FILE_NAME);
        let conn = rusqlite::Connection::open(file).unwrap();
        conn.query_row("SELECT count(*) FROM oauth_device", [], |row| row.get(0)).unwrap()
    }

    /// A request that was pushed, as a browser brings it.
    async fn pushed(&self) -> String {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let pairs = [
            ("client_id", CLIENT),
            ("response_type", "code"),
            ("redirect_uri", "http://127.0.0.1/"),
            ("scope", "atproto"),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
            ("dpop_jkt", challenge),
        ];
        let asked = Form::urlencoded(encoded(&pairs).as_bytes()).unwrap();
        self.oauth.par(&asked, &[]).await.unwrap().request_uri
    }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn at(uri: &str) -> String {
    format!("/oauth/authorize?{}", encoded(&[("client_id", CLIENT), ("request_uri", uri)]))
}

fn is_remembered(browser: &Browser) -> bool {
    browser.cookies.keys().any(|name| name.contains("device"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_only_asks_is_not_remembered() {
    let house = House::new().await;
    for uri in ["urn:ietf:params:oauth:request_uri:req-unknown", "nothing"] {
        let mut browser = house.node.browser();
        assert_eq!(browser.get(&at(uri)).await.status, 400);
        assert!(!is_remembered(&browser));
    }
    let mut browser = house.node.browser();
    let csrf = browser.get("/account").await.csrf();
    let wrong = [("identifier", "did:web:user1.example"), ("password", "not that one")];
    let refused = browser.post("/account", &csrf, &wrong).await;
    assert!(refused.status < 500 && refused.location().is_empty(), "{}", refused.status);
    assert_eq!((house.remembered(), is_remembered(&browser)), (0, false));
    // Another browser's request is no reason either.
    let pushed = house.pushed().await;
    let mut first = house.node.browser();
    assert_eq!(first.get(&at(&pushed)).await.status, 200);
    assert_eq!(browser.get(&at(&pushed)).await.status, 400);
    assert_eq!((house.remembered(), is_remembered(&browser)), (1, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_is_remembered() {
    let house = House::new().await;
    let mut browser = house.node.browser();
    let csrf = browser.get("/account").await.csrf();
    let right = [("identifier", "did:web:user1.example"), ("password", PASSWORD)];
    let went = browser.post("/account", &csrf, &right).await;
    assert_eq!((went.status, house.remembered()), (303, 1), "{}", went.text());
    let own = went.location().to_owned();
    assert_eq!(browser.get(&own).await.status, 200);
    // And for a request: the first page sends the cookie, a wrong password keeps it, the right one changes it.
    let mut browser = house.node.browser();
    let uri = house.pushed().await;
    let page = browser.get(&at(&uri)).await;
    assert!(page.status == 200 && is_remembered(&browser), "{}", page.text());
    let before = browser.cookies.clone();
    let sign_in = async |browser: &mut Browser, csrf: &str, password: &str| -> Answer {
        let fields = [
            ("client_id", CLIENT),
            ("request_uri", &uri),
            ("step", "sign-in"),
            ("identifier", "did:web:user1.example"),
            ("password", password),
        ];
        browser.post("/oauth/authorize", csrf, &fields).await
    };
    assert_eq!(sign_in(&mut browser, &page.csrf(), "not that one").await.status, 200);
    assert_eq!(browser.cookies, before);
    let went = sign_in(&mut browser, &page.csrf(), PASSWORD).await;
    assert_eq!(went.status, 303, "{}", went.text());
    assert_ne!(browser.cookies, before);
    let asked = browser.get(went.location()).await;
    assert!(asked.status == 200 && asked.text().contains("value=\"accept\""), "{}", asked.text());
    assert_eq!(house.remembered(), 2);
}

/// Pushing a request costs nothing, so new browsers are counted by where they are.
#[tokio::test(flavor = "multi_thread")]
async fn so_many_new_browsers_from_one_address() {
    let house = House::new().await;
    let mut known = house.node.browser();
    known.get(&at(&house.pushed().await)).await;
    for _ in 1..60 {
        let opened = house.node.browser().get(&at(&house.pushed().await)).await;
        assert_eq!(opened.status, 200, "{}", opened.text());
    }
    let one_more = house.node.browser().get(&at(&house.pushed().await)).await;
    assert_eq!((one_more.status, house.remembered()), (429, 60));
    assert_eq!(known.get(&at(&house.pushed().await)).await.status, 200, "who is known may go on");
}

/// Pixels of a module, as a camera might see it.
const PIXELS: usize = 4;

/// What a camera reads off a page: the picture is drawn from its own outline, and decoded by a program that had no part in it.
fn scanned(page: &str) -> String {
    let svg = page.split("<svg class=\"qr\"").nth(1).expect("a code").split("</svg>").next().unwrap();
    let of = |name: &str| svg.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap();
    let side: usize = of("viewBox").strip_prefix("0 0 ").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(svg.contains(&format!("<rect width=\"{side}\" height=\"{side}\" fill=\"#fff\">")), "{svg}");
    assert!(svg.contains("<path fill=\"#000\""), "{svg}");
    let mut dark = vec![false; side * side];
    for oblong in of("d").split('M').filter(|oblong| !oblong.is_empty()) {
        let (place, rest) = oblong.split_once('h').unwrap();
        let (x, y) = place.split_once(' ').unwrap();
        let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
        let run: usize = rest.split('v').next().unwrap().parse().unwrap();
        assert_eq!(rest, format!("{run}v1h-{run}z"));
        dark[y * side + x..y * side + x + run].fill(true);
    }
    let shade = |x: usize, y: usize| if dark[(y / PIXELS) * side + x / PIXELS] { 0 } else { 255 };
    let (width, height) = (side * PIXELS, side * PIXELS);
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(width, height, shade);
    let codes = picture.detect_grids();
    assert_eq!(codes.len(), 1, "one code is found");
    codes[0].decode().unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authenticator_app_is_set_up_by_its_camera() {
    let house = House::new().await;
    let mut browser = house.node.browser();
    let csrf = browser.get("/account").await.csrf();
    let right = [("identifier", "did:web:user1.example"), ("password", PASSWORD)];
    let own = browser.post("/account", &csrf, &right).await.location().to_owned();
    let begun = browser.press(&own, &own, &[("do", "totp-begin")]).await;
    let page = begun.text();
    assert_eq!(begun.status, 200, "{page}");
    let uri = page.split("href=\"otpauth:").nth(1).unwrap().split('"').next().unwrap();
    let uri = format!("otpauth:{}", uri.replace("&amp;", "&"));
    assert_eq!(scanned(&page), uri);
    let label = page.split("<svg class=\"qr\"").nth(1).unwrap().split('>').next().unwrap();
    assert!(label.contains("role=\"img\"") && label.contains("aria-label=\"QR code"), "{label}");
    let secret = page.split("code-words").nth(1).unwrap().split("</code>").next().unwrap();
    let secret = secret.rsplit('>').next().unwrap();
    assert!(uri.contains(&format!("?secret={secret}&")), "{uri} {secret}");
    // And the code that an app computes from what its camera saw sets it up.
    let key = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let now = house.hosting.clock.load(Ordering::SeqCst);
    let code = totp::code(&key, totp::step(now));
    let code = String::from_utf8(code.to_vec()).unwrap();
    let of = |name: &str| {
        let value =
            page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap().split('"').next().unwrap();
        value.replace("&amp;", "&")
    };
    let (state, uri) = (of("state"), of("uri"));
    let fields =
        [("do", "totp-finish"), ("state", &state), ("uri", &uri), ("code", &code), ("password", PASSWORD)];
    let done = browser.post(&own, &begun.csrf(), &fields).await;
    assert!(done.status == 200 && done.text().contains("class=\"codes\""), "{}", done.text());
}
