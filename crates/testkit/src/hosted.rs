//! `p2pds serve` as a PDS: hosting on, on a port that stays the same over restarts, beside a PLC directory.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::oracle::{Account, Network, post};
use crate::program::{Outcome, Program, Running};

/// Password of the accounts made here, and of the administrator.
pub const PASSWORD: &str = "hunter22-hosted";
/// The administrator's password.
pub const ADMIN: &str = "admin-pass-of-the-tests";

/// A node that hosts accounts. It is ended when it is dropped, and with the thread that started it.
#[derive(Debug)]
pub struct Hosted {
    /// `http://localhost:PORT`.
    pub url: String,
    /// The program on its data directory; commands reach the running node.
    pub program: Program,
    node: Option<Running>,
}

impl Hosted {
    /// Starts one on `data`, with the environment that the reference PDS gets too; `settings` are further ones.
    ///
    /// # Errors
    /// It ends, or is not ready within two minutes.
    pub fn start(network: &Network, data: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let port = crate::ports::free_port()?;
        let mut hosted = Self::prepare(network, data, port, settings)?;
        hosted.begin()?;
        Ok(hosted)
    }

    /// The same on a port of one's own, and not started yet.
    ///
    /// # Errors
    /// The program was not built.
    pub fn prepare(network: &Network, data: &Path, port: u16, settings: &[(&str, &str)]) -> Result<Self> {
        let secret = "5f".repeat(32);
        let fixed = [
            ("PDS_DEV_MODE", "true".to_owned()),
            ("PDS_HOSTNAME", "localhost".to_owned()),
            ("PDS_PORT", port.to_string()),
            ("PDS_SERVICE_HANDLE_DOMAINS", ".test".to_owned()),
            ("PDS_INVITE_REQUIRED", "false".to_owned()),
            ("PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX", secret.clone()),
            ("PDS_JWT_SECRET", secret),
            ("PDS_ADMIN_PASSWORD", ADMIN.to_owned()),
            ("PDS_RATE_LIMITS_ENABLED", "false".to_owned()),
        ];
        let further = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let program = Program::new(data)?
            .with_env(network.environment())
            .with_env(fixed.into_iter().map(|(name, value)| (name.to_owned(), value)))
            .with_env(further);
        Ok(Self { url: format!("http://localhost:{port}"), program, node: None })
    }

    /// Starts it (again) and waits until it answers.
    ///
    /// # Errors
    /// It ends, or is not ready within two minutes.
    pub fn begin(&mut self) -> Result<()> {
        let mut node = self.program.spawn(&["serve"])?;
        let deadline = Instant::now() + Duration::from_secs(120);
        let health = format!("{}/xrpc/_health", self.url);
        while crate::http::request("GET", &health, &[], None).map_or(true, |reply| reply.status != 200) {
            if !node.alive()? {
                bail!("the node ended: {}", node.kill()?);
            }
            ensure!(Instant::now() < deadline, "the node does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.node = Some(node);
        Ok(())
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> Result<Outcome> {
        self.node.take().context("it does not run")?.kill()
    }

    /// SIGTERM, and wait for its end.
    ///
    /// # Errors
    /// It does not run, or does not end within two minutes.
    pub fn stop(&mut self) -> Result<Outcome> {
        self.node.take().context("it does not run")?.terminate(Duration::from_secs(120))
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.node.as_ref().map(Running::pid)
    }

    /// Signs up an account `NAME.test`, and enters its handle with the network's name server.
    ///
    /// # Errors
    /// The node refuses.
    pub fn sign_up(&self, network: &Network, name: &str) -> Result<Account> {
        let body = json!({ "handle": format!("{name}.test"), "email": format!("{name}@mail.test"), "password": PASSWORD });
        let made = post(&self.url, "com.atproto.server.createAccount", None, &body)?;
        let account = Account::from_session(&self.url, &made)?;
        network.names.set_txt(&format!("_atproto.{}", account.handle), &[&format!("did={}", account.did)]);
        Ok(account)
    }

    /// Signs in again; access tokens are short-lived.
    ///
    /// # Errors
    /// The node refuses.
    pub fn sign_in(&self, identifier: &str) -> Result<Account> {
        let body = json!({ "identifier": identifier, "password": PASSWORD });
        Account::from_session(&self.url, &post(&self.url, "com.atproto.server.createSession", None, &body)?)
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            let _ = node.kill();
        }
    }
}
