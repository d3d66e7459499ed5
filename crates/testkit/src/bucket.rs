//! A real S3 server on loopback, over a directory: the Versity gateway.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::need;
use crate::oracle::dying_with_parent;
use crate::ports::free_port;

/// A running server with one empty bucket.
#[derive(Debug)]
pub struct S3Server {
    child: Child,
    address: SocketAddr,
    dir: TempDir,
}

impl S3Server {
    /// The bucket's name.
    pub const BUCKET: &'static str = "blobs";
    /// The access key.
    pub const ACCESS_KEY: &'static str = "test-access";
    /// Its secret.
    pub const SECRET: &'static str = "test-secret-of-the-bucket";

    /// The settings by which a node keeps its blobs in its bucket.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        [
            ("PDS_BLOBSTORE_S3_BUCKET", Self::BUCKET),
            ("PDS_BLOBSTORE_S3_ENDPOINT", &self.url()),
            ("PDS_BLOBSTORE_S3_FORCE_PATH_STYLE", "true"),
            ("PDS_BLOBSTORE_S3_ACCESS_KEY_ID", Self::ACCESS_KEY),
            ("PDS_BLOBSTORE_S3_SECRET_ACCESS_KEY", Self::SECRET),
            ("PDS_BLOBSTORE_S3_UPLOAD_TIMEOUT_MS", "2000"),
            ("PDS_BLOBSTORE_S3_REQUEST_TIMEOUT_MS", "2000"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into()
    }

    /// Starts it; `None` (said on standard output) when it is not installed.
    ///
    /// # Errors
    /// It does not start.
    pub fn start() -> Result<Option<Self>> {
        let Some(program) = program() else {
            need::skip("no S3 server: `go install github.com/versity/versitygw/cmd/versitygw@v1.8.0`", false);
            return Ok(None);
        };
        let dir = TempDir::new()?;
        for name in ["root/blobs", "meta"] {
            std::fs::create_dir_all(dir.path().join(name))?;
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let child = dying_with_parent(&program)
            .args(["--port", &address.to_string(), "--virtual-domain", "localhost", "--quiet"])
            .args(["posix", "--sidecar"])
            .arg(dir.path().join("meta"))
            .arg(dir.path().join("root"))
            .env("ROOT_ACCESS_KEY_ID", Self::ACCESS_KEY)
            .env("ROOT_SECRET_ACCESS_KEY", Self::SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting the S3 server")?;
        let server = Self { child, address, dir };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(begun.elapsed() < Duration::from_secs(120), "the S3 server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(server))
    }

    /// Its URL, for buckets in the path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its URL, for buckets in the host name.
    #[must_use]
    pub fn host_url(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// Where the bucket's objects lie as files.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.dir.path().join("root").join(Self::BUCKET)
    }

    /// Ends it, as a service that is gone.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The server's program: `P2PDS_S3_SERVER`, the search path, or where `cargo xtask test` puts Go's tools.
fn program() -> Option<PathBuf> {
    const NAME: &str = "versitygw";
    if let Some(named) = std::env::var_os("P2PDS_S3_SERVER") {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tools = std::env::var_os("P2PDS_GO_TOOLS").map(PathBuf::from);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/go-tools");
    let places = std::env::split_paths(&path).chain(tools).chain([built]);
    places.map(|dir| dir.join(NAME)).find(|program| program.is_file())
}
