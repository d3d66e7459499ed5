//! An https server on loopback: documents that a test sets, under a certificate of an authority that lives for one test.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest head of a request.
const LONGEST: usize = 16 * 1024;

/// A certificate authority in a directory: `ca.pem` and its key, `ca.key`.
#[derive(Debug)]
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one; the directory exists.
    ///
    /// # Errors
    /// Its files cannot be written.
    pub fn new(dir: &Path) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "An authority of tests");
        std::fs::write(dir.join("ca.pem"), params.self_signed(&key)?.pem())?;
        std::fs::write(dir.join("ca.key"), key.serialize_pem())?;
        Ok(Self { dir: dir.to_owned(), issuer: Issuer::new(params, key) })
    }

    /// Its certificate.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.dir.join("ca.key")
    }

    /// A certificate for these names and its key, as files called so with `.pem` and `.key`.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn issue(&self, file: &str, names: &[&str]) -> Result<(PathBuf, PathBuf)> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        // Not the authority's own, else it counts as signed by itself.
        params.distinguished_name.push(DnType::CommonName, file);
        let leaf = params.signed_by(&key, &self.issuer)?;
        let paths = (self.dir.join(format!("{file}.pem")), self.dir.join(format!("{file}.key")));
        std::fs::write(&paths.0, leaf.pem())?;
        std::fs::write(&paths.1, key.serialize_pem())?;
        Ok(paths)
    }
}

/// The server; it ends when dropped.
#[derive(Debug)]
pub struct SecureSite {
    /// `https://NAME:PORT`. That the name leads to this machine is up to the test's name server.
    pub url: String,
    /// The certificate of its authority, DER.
    pub root: Vec<u8>,
    addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    documents: Mutex<HashMap<String, Value>>,
    asked: Mutex<Vec<String>>,
    stop: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SecureSite {
    /// Starts one for a name, without documents.
    ///
    /// # Errors
    /// No port can be bound, no certificate made.
    pub fn start(name: &str) -> Result<Self> {
        let (root, config) = certified(name)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (served, config) = (Arc::clone(&shared), Arc::new(config));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if served.stop.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), served, config) = (stream, Arc::clone(&served), Arc::clone(&config)) else {
                    continue;
                };
                std::thread::spawn(move || answer(stream, config, &served));
            }
        });
        let url = format!("https://{name}:{}", addr.port());
        Ok(Self { url, root, addr, shared, thread: Some(thread) })
    }

    /// Serves a document from now on.
    pub fn put(&self, path: &str, document: &Value) {
        lock(&self.shared.documents).insert(path.to_owned(), document.clone());
    }

    /// How often a document was asked for.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        lock(&self.shared.asked).iter().filter(|known| *known == path).count()
    }
}

impl Drop for SecureSite {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the thread, so that it sees that.
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An authority that lives for one test, and what a server shows of it: the authority's certificate as DER, and the
/// settings of a server for one name.
pub(crate) fn certified(name: &str) -> Result<(Vec<u8>, ServerConfig)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key)?;
    let own = KeyPair::generate()?;
    let issuer = Issuer::from_params(&params, &key);
    let leaf = CertificateParams::new([name.to_owned()])?.signed_by(&own, &issuer)?;
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone(), authority.der().clone()], secret)?;
    Ok((authority.der().to_vec(), config))
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>, shared: &Shared) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, stream);
    let (mut head, mut byte) = (Vec::new(), [0_u8; 1]);
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < LONGEST && stream.read(&mut byte)? == 1, "no request");
        head.extend(byte);
    }
    let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
    let document = lock(&shared.documents).get(&path).cloned();
    lock(&shared.asked).push(path);
    let (status, body) = match document {
        Some(document) => (200, document.to_string()),
        None => (404, "{}".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status} Answered\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}
