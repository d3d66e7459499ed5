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
use std::time::{Duration, Instant};

use p2pds_testkit::madeup::{Content, MadeUp, State};
use p2pds_testkit::need;
use p2pds_testkit::oracle::car_blocks;
use p2pds_testkit::program::{Program, Served};
use p2pds_testkit::source::Source;

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

/// A socket from another address of this machine.
fn from(address: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket =
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((address, 0))).unwrap();
    rustix::net::connect(&socket, &to).unwrap();
    TcpStream::from(socket)
}

#[test]
fn half_open_connections_keep_nobody_out() {
    let scene = scene(60, 50);
    let node = serve(&scene);
    let to: SocketAddr = node.url.trim_start_matches("http://").parse().unwrap();
    // Heads that never end, from many addresses: more than there are places in all.
    let count = u32::try_from(need::count("P2PDS_HALF_OPEN", 2_600)).unwrap();
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if files.maximum.is_some_and(|most| most < u64::from(count) + 200) {
        return need::skip("too few files may be open", false);
    }
    let raised = rustix::process::Rlimit { current: files.maximum, ..files };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let mut open = Vec::new();
    for n in 0..count {
        let [_, _, high, low] = (n / 60 + 2).to_be_bytes();
        let mut stream = from(Ipv4Addr::new(127, 9, high, low), to);
        let _ =
            stream.write_all(b"GET /xrpc/com.atproto.sync.listRepos HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
        open.push(stream);
    }
    for _ in 0..5 {
        let begun = Instant::now();
        assert_eq!(node.get("/xrpc/_health").unwrap().status, 200);
        println!("a normal request beside {count} half-open ones: {:?}", begun.elapsed());
    }
    // One address with more than its share is turned away, and only it.
    let mine: Vec<TcpStream> = (0..80).map(|_| from(Ipv4Addr::new(127, 8, 8, 8), to)).collect();
    // All of them were accepted before this one is.
    assert_eq!(node.get("/livez").unwrap().status, 200);
    let turned_away = mine
        .iter()
        .filter(|stream| {
            let mut stream: &TcpStream = stream;
            stream.set_nonblocking(true).unwrap();
            !matches!(stream.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
        })
        .count();
    assert!((16..80).contains(&turned_away), "{turned_away} of 80 were turned away");
    assert_eq!(node.get("/livez").unwrap().status, 200);
    // Who says nothing for long enough is cut off.
    let mut last = open.pop().unwrap();
    last.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut rest = Vec::new();
    let _ = last.read_to_end(&mut rest);
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&rest));
    drop((open, mine));
    node.end().unwrap();
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
