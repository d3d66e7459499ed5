//! A node that serves, over sockets: who holds connections open keeps nobody out, and the operator's word is in effect
//! at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use p2pds_testkit::hosted::Hosted;
use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::oracle::{Account, Network, Options, POST, car_blocks, post_record};
use p2pds_testkit::program::{Program, Served};
use p2pds_testkit::source::Source;
use p2pds_testkit::{http, need};

/// Thousands of connections, and times that are measured: one after the other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

struct Scene {
    source: Source,
    account: MadeUp,
    state: State,
    program: Program,
    _dir: tempfile::TempDir,
}

fn scene(seed: u64, posts: usize) -> Scene {
    let source = Source::start().unwrap();
    let account = MadeUp::new(seed, &source.url);
    let mut content = Content::posts("serving", posts);
    content.put_image("3kpic22222222", 1, 50_000);
    let state = account.sign(0, &content);
    source.serve(&account, &state);
    let dir = tempfile::tempdir().unwrap();
    let program = Program::new(&dir.path().join("data")).unwrap().with_env(source.environment());
    program.ok(&["archive", "add", &account.did]).unwrap();
    Scene { source, account, state, program, _dir: dir }
}

fn serve(scene: &Scene) -> Served {
    scene.program.ok(&["archive", "serve", &scene.account.did, "public", "--basis", "made up"]).unwrap();
    let node = scene.program.serve_at("127.0.0.1").unwrap();
    node.get_until(&format!("/.well-known/rasl/{}", scene.state.commit), 200).unwrap();
    node
}

/// The `n`th socket from another address of this machine. Its port is one that the system gives to nobody: thousands of
/// those that it would choose are in the way of servers that other tests start meanwhile.
fn from(address: Ipv4Addr, n: u16, to: SocketAddr) -> TcpStream {
    let socket =
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    // The connections of the test before may be remembered for a while.
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((address, 61_000 + n))).unwrap();
    rustix::net::connect(&socket, &to).unwrap();
    TcpStream::from(socket)
}

/// Whether nothing has come on it, and no end either.
fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    matches!(stream.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Heads that never end, from many addresses; `None` (said on standard output) where not enough files may be open.
fn half_open(count: u64, to: SocketAddr) -> Option<Vec<TcpStream>> {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if files.maximum.is_some_and(|most| most < 2 * count + 400) {
        need::skip("too few files may be open", false);
        return None;
    }
    let raised = rustix::process::Rlimit { current: files.maximum, ..files };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let one = |n: u64| {
        let [.., high, low] = (n / 60 + 2).to_be_bytes();
        let mut stream = from(Ipv4Addr::new(127, 9, high, low), (n % 60).try_into().unwrap(), to);
        let _ =
            stream.write_all(b"GET /xrpc/com.atproto.sync.listRepos HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
        stream
    };
    Some((0..count).map(one).collect())
}

#[test]
fn half_open_connections_keep_nobody_out() {
    let _alone = ONE_AT_A_TIME.lock();
    let scene = scene(60, 50);
    let node = serve(&scene);
    let to: SocketAddr = node.url.trim_start_matches("http://").parse().unwrap();
    // More than there are places in all.
    let count = need::count("P2PDS_HALF_OPEN", 2_600);
    let Some(mut open) = half_open(count, to) else { return };
    for _ in 0..5 {
        let begun = Instant::now();
        assert_eq!(node.get("/xrpc/_health").unwrap().status, 200);
        println!("a normal request beside {count} half-open ones: {:?}", begun.elapsed());
    }
    // One address with more than its share is turned away, and only it.
    let mine: Vec<TcpStream> = (0..80).map(|n| from(Ipv4Addr::new(127, 8, 8, 8), n, to)).collect();
    // All of them were accepted before this one is.
    assert_eq!(node.get("/livez").unwrap().status, 200);
    let turned_away = mine.iter().filter(|stream| !is_open(stream)).count();
    assert!((16..80).contains(&turned_away), "{turned_away} of 80 were turned away");
    assert_eq!(node.get("/livez").unwrap().status, 200);
    // Who says nothing for long enough is cut off.
    let mut last = open.pop().unwrap();
    last.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let mut rest = Vec::new();
    let _ = last.read_to_end(&mut rest);
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&rest));
    drop((open, mine));
    node.end().unwrap();
}

/// How long it takes: half of them, and the longest.
fn say(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    println!(
        "{what}: {} times, p50 {:?}, longest {:?}",
        took.len(),
        took[took.len() / 2],
        took[took.len() - 1]
    );
}

/// What the users of a host do all day.
fn a_day(host: &Hosted, account: &Account, what: &str) {
    let took = |ask: &dyn Fn()| {
        let one = || {
            let begun = Instant::now();
            ask();
            begun.elapsed()
        };
        (0..20).map(|_| one()).collect()
    };
    let written = account.create(POST, &post_record("read again and again")).unwrap();
    let rkey = written.rkey().to_owned();
    say(
        &format!("createRecord {what}"),
        took(&|| drop(account.create(POST, &post_record("beside them")).unwrap())),
    );
    let query = [("repo", account.did.as_str()), ("collection", POST), ("rkey", rkey.as_str())];
    say(
        &format!("getRecord {what}"),
        took(&|| drop(account.query("com.atproto.repo.getRecord", &query).unwrap())),
    );
    let health = format!("{}/xrpc/_health", host.url);
    say(
        &format!("_health {what}"),
        took(&|| assert_eq!(http::request("GET", &health, &[], None).unwrap().status, 200)),
    );
}

#[test]
fn half_open_connections_do_not_hold_up_whoever_writes() {
    let _alone = ONE_AT_A_TIME.lock();
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut host = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let account = host.sign_up(&network, "alice-busy").unwrap();
    let port = host.url.rsplit(':').next().unwrap().parse().unwrap();
    a_day(&host, &account, "alone");
    let count = need::count("P2PDS_HALF_OPEN", 2_600);
    let Some(open) = half_open(count, SocketAddr::from((Ipv4Addr::LOCALHOST, port))) else { return };
    a_day(&host, &account, &format!("beside {count} half-open connections"));
    println!("{} of them are still open", open.iter().filter(|stream| is_open(stream)).count());
    drop(open);
    let ended = host.stop().unwrap();
    assert!(ended.code == Some(0) && !ended.stderr.contains("panicked"), "{ended}");
}

/// The connection is not closed under his hands.
#[test]
fn whoever_is_refused_while_he_sends_hears_why() {
    let Some(network) = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut host = Hosted::start(&network, &dir.path().join("data"), &[]).unwrap();
    let bytes = vec![7; 8 << 20];
    for method in ["uploadBlob", "importRepo", "createRecord"] {
        let url = format!("{}/xrpc/com.atproto.repo.{method}", host.url);
        let reply = http::request("POST", &url, &[("Content-Type", "video/mp4")], Some(&bytes)).unwrap();
        assert_eq!(reply.status, 401, "{method}: {}", String::from_utf8_lossy(&reply.body));
    }
    host.stop().unwrap();
}

#[test]
fn settings_take_effect_while_the_node_runs() {
    let scene = scene(61, 300);
    let node = serve(&scene);
    let did = &scene.account.did;
    let car = node.get(&format!("/xrpc/com.atproto.sync.getRepo?did={did}")).unwrap();
    assert_eq!(car_blocks(&car.body).unwrap(), (scene.state.commit.clone(), scene.state.blocks.clone()));
    let blob = scene.state.blobs.keys().next().unwrap();
    let path = format!("/.well-known/rasl/{blob}");
    assert_eq!(node.get(&path).unwrap().body, scene.state.blobs[blob]);

    scene.program.ok(&["archive", "block", blob, "--reason", "notice of 3 May"]).unwrap();
    assert_eq!(node.get(&path).unwrap().status, 410);
    let listed = scene.program.json(&["archive", "blocked"]).unwrap();
    assert_eq!((&listed[0]["cid"], &listed[0]["reason"]), (&blob.as_str().into(), &"notice of 3 May".into()));
    scene.program.ok(&["archive", "unblock", blob]).unwrap();
    assert_eq!(node.get(&path).unwrap().status, 200);

    // The owner declares that no public archive may show the account; the next revision brings it.
    let mut content = Content::posts("serving", 300);
    let declaration = serde_json::json!({
        "$type": "org.user-intents.declaration", "publicAccessArchive": {"allow": false}});
    content.put_at("org.user-intents.declaration", "self", &declaration);
    let next = scene.account.sign(1, &content);
    scene.source.serve(&scene.account, &next);
    scene.program.ok(&["archive", "sync", did]).unwrap();
    for path in
        [format!("/xrpc/com.atproto.sync.getRepo?did={did}"), format!("/.well-known/rasl/{}", next.commit)]
    {
        assert!(node.get(&path).unwrap().status >= 400, "{path}");
    }
    let shown = scene.program.json(&["archive", "show", did]).unwrap();
    assert_eq!(shown["serving"]["declared"], "refused");
    let refused =
        scene.program.run(&["archive", "serve", did, "public", "--basis", "I would like to"]).unwrap();
    assert!(refused.code == Some(1) && refused.stderr.contains("org.user-intents"), "{refused}");
    scene.program.ok(&["archive", "serve", did, "peers", "--basis", "a friend keeps a copy"]).unwrap();
    node.end().unwrap();
}
