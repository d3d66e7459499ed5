//! `goat`, the command line client of the protocol's authors (Go), as it comes. It looks names up with the system's name
//! server and identities at `https://plc.directory`, and can be told nothing else: so it runs in a mount namespace whose
//! `/etc/resolv.conf` names a server of ours, which says that `plc.directory` is a loopback address, where the private
//! network's directory answers over TLS.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http;
use crate::need;
use crate::oracle::{Network, dying_with_parent};
use crate::secure::certified;

/// Where goat looks identities up.
const DIRECTORY: &str = "plc.directory";
/// How long one command may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(20);

/// The program with a home of its own: one session, one working directory.
#[derive(Debug)]
pub struct Goat {
    program: PathBuf,
    dir: tempfile::TempDir,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Goat {
    /// Prepares one whose directory is at `plc` (`http://localhost:PORT`), and whose names are those of the network;
    /// `None` (said on standard output) where that is not possible.
    ///
    /// # Errors
    /// Its files cannot be written.
    pub fn new(network: &Network, plc: &str) -> Result<Option<Self>> {
        let Some(program) = program() else {
            need::skip("goat is not installed: `cargo xtask test` builds it where Go is", false);
            return Ok(None);
        };
        if !need::root() || !need::have("unshare", "--version") {
            need::skip("goat needs root for ports 53 and 443 of a loopback address, and unshare", false);
            return Ok(None);
        }
        let dir = tempfile::tempdir()?;
        let (ip, web, names) = ports()?;
        network.names.set_addresses(DIRECTORY, &[ip.into()]);
        std::fs::write(dir.path().join("resolv.conf"), format!("nameserver {ip}\n"))?;
        std::fs::create_dir(dir.path().join("work"))?;
        let config = Arc::new(certificates(&dir.path().join("ca.pem"))?);
        let stop = Arc::new(AtomicBool::new(false));
        let (ends, plc) = (Arc::clone(&stop), plc.to_owned());
        let asked = network.names.addr();
        let threads = vec![
            std::thread::spawn({
                let ends = Arc::clone(&ends);
                move || pass_questions(&names, asked, &ends)
            }),
            std::thread::spawn(move || serve(&web, &config, &plc, &ends)),
        ];
        Ok(Some(Self { program, dir, stop, threads }))
    }

    /// Its working directory.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// Writes a file there, and says its name.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn file<'a>(&self, name: &'a str, content: impl AsRef<[u8]>) -> &'a str {
        std::fs::write(self.dir().join(name), content).expect("the file is written");
        name
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = dying_with_parent(Path::new("unshare"));
        command
            .args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\""])
            .arg(self.dir.path().join("resolv.conf"))
            .arg(&self.program)
            .args(args)
            .current_dir(self.dir())
            .env("SSL_CERT_FILE", self.dir.path().join("ca.pem"))
            .env("XDG_STATE_HOME", self.dir.path())
            .env("HOME", self.dir.path())
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ATP_")) {
            command.env_remove(name);
        }
        command
    }

    /// What a command that must succeed prints.
    ///
    /// # Errors
    /// It fails, with what it says; or takes a minute.
    pub fn ok(&self, args: &[&str]) -> Result<String> {
        let (fine, stdout, stderr) = self.run(args)?;
        ensure!(fine, "goat {}: {stderr}{stdout}", args.join(" "));
        Ok(stdout)
    }

    /// What a command that must fail says.
    ///
    /// # Errors
    /// It succeeds, or takes a minute.
    pub fn fails(&self, args: &[&str]) -> Result<String> {
        let (fine, stdout, stderr) = self.run(args)?;
        ensure!(!fine, "goat {} did not fail: {stdout}", args.join(" "));
        Ok(stderr)
    }

    fn run(&self, args: &[&str]) -> Result<(bool, String, String)> {
        let place = |name: &str| self.dir.path().join(name);
        let (out, err) = (File::create(place("stdout"))?, File::create(place("stderr"))?);
        let mut child = self.command(args).stdout(out).stderr(err).spawn().context("start goat")?;
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                bail!("goat {} does not end: {}", args.join(" "), std::fs::read_to_string(place("stderr"))?);
            }
            std::thread::sleep(TICK);
        };
        let read = |name| std::fs::read_to_string(place(name));
        Ok((status.success(), read("stdout")?, read("stderr")?))
    }

    /// The lines of a command that goes on for ever, until one says that it was the last; and what it said on standard
    /// error.
    ///
    /// # Errors
    /// It ends by itself.
    pub fn lines(&self, args: &[&str], mut last: impl FnMut(&str) -> bool) -> Result<(Vec<String>, String)> {
        let said = self.dir.path().join("stderr");
        let mut command = self.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(File::create(&said)?).spawn()?;
        let stdout = child.stdout.take().context("no pipe")?;
        let mut lines = Vec::new();
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            let ends = last(&line);
            lines.push(line);
            if ends {
                end(&mut child);
                return Ok((lines, std::fs::read_to_string(&said)?));
            }
        }
        end(&mut child);
        bail!("goat {} ended: {}", args.join(" "), std::fs::read_to_string(&said)?)
    }
}

impl Drop for Goat {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// The program: `P2PDS_GOAT`, or where `cargo xtask test` puts Go's tools.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("P2PDS_GOAT").map(PathBuf::from);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/go-tools/goat");
    named.into_iter().chain([built]).find(|program| program.is_file())
}

/// A loopback address of one's own with its ports for the web and for names.
fn ports() -> Result<(Ipv4Addr, TcpListener, UdpSocket)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut last = None;
    for _ in 0..20 {
        let number = std::process::id().wrapping_mul(61).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let [_, a, b, c] = number.to_be_bytes();
        let ip = Ipv4Addr::new(127, a | 64, b, c.clamp(1, 254));
        match (TcpListener::bind((ip, 443)), UdpSocket::bind((ip, 53))) {
            (Ok(web), Ok(names)) => {
                web.set_nonblocking(true)?;
                names.set_read_timeout(Some(TICK))?;
                return Ok((ip, web, names));
            }
            (Err(error), _) | (_, Err(error)) => last = Some(error),
        }
    }
    Err(last.context("no try")?.into())
}

/// An authority that lives for one test, written to `path`, and what the directory shows of it.
fn certificates(path: &Path) -> Result<ServerConfig> {
    let (authority, config) = certified(DIRECTORY)?;
    let text = data_encoding::BASE64_MIME.encode(&authority);
    std::fs::write(path, format!("-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"))?;
    Ok(config)
}

/// Hands questions for names to the network's own server.
fn pass_questions(socket: &UdpSocket, to: SocketAddr, stop: &AtomicBool) {
    let mut bytes = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
        let Ok(own) = UdpSocket::bind("127.0.0.1:0") else { continue };
        let _ = own.set_read_timeout(Some(Duration::from_secs(20)));
        let asked = own.send_to(&bytes[..length], to);
        if let (Ok(_), Ok(length)) = (asked, own.recv(&mut bytes)) {
            let _ = socket.send_to(&bytes[..length], from);
        }
    }
}

fn serve(listener: &TcpListener, config: &Arc<ServerConfig>, plc: &str, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(TICK);
            continue;
        };
        let (config, plc) = (Arc::clone(config), plc.to_owned());
        std::thread::spawn(move || {
            let _ = pass(stream, config, &plc);
        });
    }
}

/// One request, handed to the directory, and its answer.
fn pass(stream: TcpStream, config: Arc<ServerConfig>, plc: &str) -> Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(config)?, stream));
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        ensure!(stream.read_line(&mut line)? > 0, "no request");
        if line == "\r\n" {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let mut words = head[0].split(' ');
    let (method, path) = (words.next().context("no method")?, words.next().context("no path")?);
    let field = |name: &str| {
        let found = head[1..].iter().filter_map(|line| line.split_once(": "));
        found.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let mut body = vec![0; field("content-length").unwrap_or("0").parse()?];
    stream.read_exact(&mut body)?;
    let mime = [("Content-Type", field("content-type").unwrap_or("application/json"))];
    let body = (method != "GET").then_some(body.as_slice());
    let reply = http::request(method, &format!("{plc}{path}"), &mime, body)?;
    let answer = format!(
        "HTTP/1.1 {} Answered\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        reply.status,
        reply.header("content-type").unwrap_or("application/json"),
        reply.body.len()
    );
    let stream = stream.get_mut();
    stream.write_all(&[answer.as_bytes(), &reply.body].concat())?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}
