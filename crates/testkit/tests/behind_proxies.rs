//! A host as its operator runs it: without any development setting, on a public address, behind real proxies with the files
//! of `deploy/proxy/hosting`, under a certificate, beside a real relay that it asks to follow it. Then with each mistake that
//! operators make, which `p2pds doctor` names together with the line that mends it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use p2pds_testkit::apart::apart;
use p2pds_testkit::indigo::Relay;
use p2pds_testkit::need;
use p2pds_testkit::oracle::{Network, Options, dying_with_parent, node};
use p2pds_testkit::program::{Program, Running};
use p2pds_testkit::secure::Authority;
use p2pds_testkit::smtp::MailServer;
use serde_json::{Value, json};

/// Where the host is, for everybody.
const HERE: Ipv4Addr = Ipv4Addr::new(5, 5, 5, 5);
/// Where the directory and the relay are.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(6, 6, 6, 6);
const HOST: &str = "pds.example.com";
const ALICE: &str = "alice.pds.example.com";
const PASSWORD: &str = "hunter22-behind";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(240);

fn deploy(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/proxy/hosting").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A running proxy.
struct Proxy(Child);

impl Proxy {
    fn start(mut command: Command, at: Ipv4Addr, port: u16) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        until("the proxy listens", || {
            assert!(child.try_wait().unwrap().is_none(), "the proxy ended: {command:?}");
            TcpStream::connect((at, port)).ok()
        });
        Self(child)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What proxies are made with.
struct Place {
    dir: tempfile::TempDir,
    authority: Authority,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path()).unwrap();
        Self { dir, authority }
    }

    /// Caddy with a file: certificates come from the authority, and it listens at one address.
    fn caddy(&self, name: &str, at: Ipv4Addr, text: &str) -> Proxy {
        let home = self.dir.path().join(name);
        std::fs::create_dir_all(&home).unwrap();
        let (root, key) = (self.authority.root(), self.authority.key());
        let global = format!(
            "{{\n\tadmin off\n\tdefault_bind {at}\n\tlocal_certs\n\tskip_install_trust\n\tpki {{\n\t\tca local {{\n\
             \t\t\troot {{\n\t\t\t\tcert {}\n\t\t\t\tkey {}\n\t\t\t}}\n\t\t}}\n\t}}\n",
            root.display(),
            key.display()
        );
        let text = match text.split_once("\n{\n") {
            Some((comment, rest)) => format!("{comment}\n{global}{rest}"),
            None => format!("{global}}}\n{text}"),
        };
        let config = home.join("Caddyfile");
        std::fs::write(&config, text).unwrap();
        let mut command = dying_with_parent(Path::new("caddy"));
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&config);
        command.env("HOME", &home).env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
        command.stderr(std::fs::File::create(home.join("log")).unwrap());
        Proxy::start(command, at, 443)
    }

    /// A mail server behind TLS.
    fn mail(&self, behind: &str) -> Proxy {
        let (certificate, key) = self.authority.issue("mail", &["mail.example.net"]).unwrap();
        let script = self.dir.path().join("tls.cjs");
        std::fs::write(&script, include_str!("proxies/tls.cjs")).unwrap();
        let mut command = dying_with_parent(&node(&need::oracle().unwrap()));
        command.arg(script).args([&certificate, &key]).arg(ELSEWHERE.to_string());
        command.arg(behind.rsplit(':').next().unwrap());
        Proxy::start(command, ELSEWHERE, 465)
    }

    /// nginx with a file that belongs into its `http` block.
    fn nginx(&self, text: &str, (certificate, key): &(PathBuf, PathBuf)) -> Proxy {
        let home = self.dir.path().join("nginx");
        std::fs::create_dir_all(&home).unwrap();
        let live = "/etc/letsencrypt/live/pds.example.com";
        let server = text
            .replace("listen 443 ssl", &format!("listen {HERE}:443 ssl"))
            .replace(&format!("{live}/fullchain.pem"), certificate.to_str().unwrap())
            .replace(&format!("{live}/privkey.pem"), key.to_str().unwrap());
        let at = home.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
            .collect();
        let text = format!(
            "daemon off;\nmaster_process off;\nworker_processes 1;\npid {at}/pid;\nerror_log {at}/error.log;\n\
             events {{}}\nhttp {{\naccess_log off;\n{temporary}{server}}}\n"
        );
        let config = home.join("nginx.conf");
        std::fs::write(&config, text).unwrap();
        let program = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
        let mut command = dying_with_parent(Path::new(program));
        command.arg("-c").arg(&config).stderr(Stdio::null());
        Proxy::start(command, HERE, 443)
    }
}

struct Scene {
    place: Place,
    network: Network,
    relay: Option<Relay>,
    program: Program,
    node: Option<Running>,
    mail: MailServer,
    _elsewhere: [Proxy; 2],
}

impl Scene {
    fn new() -> Option<Self> {
        let network = Network::start(&Options { pdses: 0, ..Options::default() }).unwrap()?;
        for (name, at) in [
            (HOST, HERE),
            (ALICE, HERE),
            ("p2pds-doctor.pds.example.com", HERE),
            ("plc.example.net", ELSEWHERE),
            ("relay.example.net", ELSEWHERE),
        ] {
            network.names.set_addresses(name, &[at.into()]);
        }
        let (place, mail) = (Place::new(), MailServer::start().unwrap());
        let relay = Relay::public(place.dir.path(), &network.plc, &place.authority.root()).unwrap();
        let behind = |url: &str| url.replace("http://", "");
        let relay_at = relay.as_ref().map_or("127.0.0.1:1".to_owned(), |relay| behind(&relay.url));
        let sites = format!(
            "plc.example.net {{\n\treverse_proxy {}\n}}\nrelay.example.net {{\n\treverse_proxy {relay_at}\n}}\n",
            behind(&network.plc)
        );
        let elsewhere = place.caddy("elsewhere", ELSEWHERE, &sites);
        let post = place.mail(&mail.url);
        let crawlers = if relay.is_some() { "https://relay.example.net" } else { "none" };
        let settings = [
            ("PDS_HOSTNAME", HOST.to_owned()),
            ("PDS_JWT_SECRET", "5f".repeat(32)),
            ("PDS_ADMIN_PASSWORD", "admin-behind".to_owned()),
            ("PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX", "5f".repeat(32)),
            ("PDS_DID_PLC_URL", "https://plc.example.net".to_owned()),
            ("PDS_CRAWLERS", crawlers.to_owned()),
            ("PDS_INVITE_REQUIRED", "false".to_owned()),
            ("PDS_EMAIL_SMTP_URL", "smtps://mail.example.net".to_owned()),
            ("PDS_EMAIL_FROM_ADDRESS", "pds@example.com".to_owned()),
            ("P2PDS_NAMESERVERS", network.names.addr().to_string()),
            ("P2PDS_CA_FILE", place.authority.root().display().to_string()),
        ];
        let program = Program::new(&place.dir.path().join("data"))
            .unwrap()
            .with_env(settings.map(|(name, value)| (name.to_owned(), value)));
        Some(Self { place, network, relay, program, node: None, mail, _elsewhere: [elsewhere, post] })
    }

    /// Starts the node on the port that the files name.
    fn begin(&mut self) {
        let mut node = self.program.spawn(&["serve"]).unwrap();
        until("the node listens", || {
            assert!(node.alive().unwrap(), "the node ended");
            TcpStream::connect((Ipv4Addr::LOCALHOST, 3000)).ok()
        });
        self.node = Some(node);
    }

    /// What the doctor says, check by check.
    fn doctor(&self) -> BTreeMap<String, Value> {
        let said = self.program.run(&["doctor", "--json"]).unwrap();
        let checks = said.json().unwrap();
        let by_name = checks.as_array().unwrap().iter().map(|check| {
            let name = check["name"].as_str().unwrap().to_owned();
            (name, check.clone())
        });
        by_name.collect()
    }

    /// Everything that has to do with the world outside is as it should be.
    fn is_well(&self, proxy: &str) {
        let look = || {
            let checks = self.doctor();
            // The port is taken by the node itself.
            let wrong = checks.values().filter(|check| check["verdict"] != "ok" && check["name"] != "port");
            let wrong: Vec<_> = wrong.cloned().collect();
            (checks, wrong)
        };
        let deadline = Instant::now() + PATIENCE;
        let checks = loop {
            let (checks, wrong) = look();
            if wrong.is_empty() {
                break checks;
            }
            assert!(Instant::now() < deadline, "{proxy}: {wrong:#?}");
            std::thread::sleep(Duration::from_millis(200));
        };
        for name in [
            "public-dns",
            "handle-dns",
            "public-url",
            "client-address",
            "websocket",
            "uploads",
            "handles",
            "identities",
            "mail",
        ] {
            assert!(checks.contains_key(name), "{proxy}: no check {name}: {checks:#?}");
        }
    }

    /// What the doctor finds with a mistake in the proxy: the check, and the words that mend it.
    fn finds(&self, mistake: &str, check: &str, fix: &str) {
        // A connection that broke while it was written to tells nothing.
        let found = until(&format!("{mistake}: {check} is looked at"), || {
            let mut checks = self.doctor();
            let found =
                checks.remove(check).unwrap_or_else(|| panic!("{mistake}: no {check} in {checks:#?}"));
            (found["verdict"] != "skipped").then_some(found)
        });
        let verdict = if check == "client-address" { "warning" } else { "failed" };
        assert_eq!(found["verdict"], verdict, "{mistake}: {found:#}");
        assert!(found["fix"].as_str().unwrap().contains(fix), "{mistake}: {found:#}");
    }

    /// A client's day through the proxy.
    fn client(&self, proxy: &str, create: bool) -> Value {
        let oracle = need::oracle().unwrap();
        let modules = self.place.dir.path().join("node_modules");
        if !modules.exists() {
            std::os::unix::fs::symlink(oracle.join("node_modules"), &modules).unwrap();
        }
        let script = self.place.dir.path().join("client.mjs");
        std::fs::write(&script, include_str!("proxies/client.mjs")).unwrap();
        let given = json!({
            "service": format!("https://{HOST}"), "handle": ALICE, "email": "alice@mail.test", "password": PASSWORD,
            "create": create, "proxy": proxy,
        });
        let output = Command::new(node(&oracle))
            .arg(&script)
            .arg(given.to_string())
            .env("NODE_EXTRA_CA_CERTS", self.place.authority.root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{proxy}: {}", String::from_utf8_lossy(&output.stderr));
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(seen["whole"], true, "{proxy}: {seen}");
        assert_eq!(seen["wellKnown"], seen["did"], "{proxy}: {seen}");
        assert!(seen["repo"].as_u64().unwrap() > 500, "{proxy}: {seen}");
        seen
    }

    /// The relay, which was asked by the host, has this account's newest commit.
    fn relay_has(&self, proxy: &str, did: &str) {
        let Some(relay) = &self.relay else { return };
        let ask = |url: &str| {
            let url = format!("{url}/xrpc/com.atproto.sync.getLatestCommit?did={did}");
            let answer = p2pds_testkit::http::request("GET", &url, &[], None).ok()?;
            (answer.status == 200).then(|| answer.json().ok()).flatten()
        };
        let own: Value = ask("http://127.0.0.1:3000").unwrap();
        let mut last = None;
        until(&format!("{proxy}: the relay has {own}"), || {
            last = ask(&relay.url);
            (last.as_ref() == Some(&own)).then_some(())
        });
    }
}

#[test]
fn a_public_host_behind_real_proxies() {
    for (program, flag) in [("caddy", "version"), ("nginx", "-v")] {
        if !need::have(program, flag) {
            need::skip(&format!("a host behind real proxies needs {program}"), false);
            return;
        }
    }
    let names = [
        (HERE, HOST),
        (HERE, ALICE),
        (ELSEWHERE, "plc.example.net"),
        (ELSEWHERE, "relay.example.net"),
        (ELSEWHERE, "mail.example.net"),
    ];
    if !apart("a_public_host_behind_real_proxies", &[HERE, ELSEWHERE], &names).unwrap() {
        return;
    }
    let Some(mut scene) = Scene::new() else { return };

    // Nobody answers yet: the doctor says so, and what to write into the proxy's file.
    scene.begin();
    // The mail server's certificate is by the same authority.
    scene.program.ok(&["mail", "test", "operator@example.org"]).unwrap();
    let letter = scene.mail.letters.recv_timeout(PATIENCE).unwrap();
    assert_eq!(letter.to, "operator@example.org");
    scene.finds("no proxy", "public-url", "reverse_proxy 127.0.0.1:3000");

    let file = deploy("Caddyfile");
    let caddy = scene.place.caddy("caddy", HERE, &file);
    let seen = scene.client("Caddy", true);
    let did = seen["did"].as_str().unwrap();
    scene.is_well("Caddy");
    // A relay has what happens after it came.
    scene.client("Caddy", false);
    scene.relay_has("Caddy", did);
    drop(caddy);
    mistakes_with_caddy(&scene, &file);

    let file = deploy("nginx.conf");
    let certificate = scene.place.authority.issue("host", &[HOST, "*.pds.example.com"]).unwrap();
    let nginx = scene.place.nginx(&file, &certificate);
    scene.client("nginx", false);
    scene.is_well("nginx");
    scene.relay_has("nginx", did);
    drop(nginx);
    mistakes_with_nginx(&scene, &file, &certificate);

    // A name that no record leads to.
    let _nginx = scene.place.nginx(&file, &certificate);
    scene.network.names.set_addresses("p2pds-doctor.pds.example.com", &[]);
    scene.finds("no record for handles", "handle-dns", "*.pds.example.com");
    let ended = scene.node.take().unwrap().terminate(PATIENCE).unwrap();
    assert!(ended.code == Some(0) && !ended.stderr.contains("panicked"), "{ended}");
}

fn mistakes_with_caddy(scene: &Scene, file: &str) {
    for (mistake, from, to, check, fix) in [
        (
            "another upstream",
            "reverse_proxy 127.0.0.1:3000 {",
            "reverse_proxy 127.0.0.1:3001 {",
            "public-url",
            "reverse_proxy 127.0.0.1:3000",
        ),
        (
            "the upstream's name is passed on",
            "flush_interval -1",
            "header_up Host {upstream_hostport}",
            "public-url",
            "header_up Host",
        ),
        (
            "nobody says who asks",
            "flush_interval -1",
            "header_up -X-Forwarded-For",
            "client-address",
            "header_up -X-Forwarded-For",
        ),
        (
            "bodies are limited",
            "\treverse_proxy",
            "\trequest_body {\n\t\tmax_size 1MB\n\t}\n\treverse_proxy",
            "uploads",
            "request_body max_size",
        ),
    ] {
        assert!(file.contains(from), "{mistake}");
        let _caddy = scene.place.caddy("caddy", HERE, &file.replace(from, to));
        scene.finds(mistake, check, fix);
    }
}

fn mistakes_with_nginx(scene: &Scene, file: &str, certificate: &(PathBuf, PathBuf)) {
    for (mistake, from, to, check, fix) in [
        (
            "another upstream",
            "server 127.0.0.1:3000",
            "server 127.0.0.1:3001",
            "public-url",
            "proxy_pass http://127.0.0.1:3000;",
        ),
        (
            "no name is passed on",
            "proxy_set_header Host $host;",
            "",
            "public-url",
            "proxy_set_header Host $host;",
        ),
        (
            "no WebSockets",
            "proxy_set_header Upgrade $http_upgrade;",
            "",
            "websocket",
            "proxy_set_header Upgrade $http_upgrade;",
        ),
        (
            "nobody says who asks",
            "proxy_set_header X-Forwarded-For $remote_addr;",
            "",
            "client-address",
            "proxy_set_header X-Forwarded-For $remote_addr;",
        ),
        ("bodies of 1 MB", "client_max_body_size 0;", "", "uploads", "client_max_body_size 0;"),
    ] {
        assert!(file.contains(from), "{mistake}");
        let _nginx = scene.place.nginx(&file.replace(from, to), certificate);
        scene.finds(mistake, check, fix);
    }
    let other = tempfile::tempdir().unwrap();
    let stranger = Authority::new(other.path()).unwrap();
    for (mistake, certificate) in [
        (
            "a certificate of another name",
            scene.place.authority.issue("other", &["www.example.com"]).unwrap(),
        ),
        ("a certificate that nobody vouches for", stranger.issue("host", &[HOST]).unwrap()),
    ] {
        let _nginx = scene.place.nginx(file, &certificate);
        scene.finds(mistake, "tls", "certbot --nginx -d pds.example.com");
    }
}
