//! What every command needs: the configuration, and a door to the node or to the data directory.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};

use crate::cli::exit::{Exit, Stopped};
use crate::cli::{Global, output};
use crate::config::{Config, Loaded, Resolved};
use crate::metrics::sample::Sampler;
use crate::node::engine::Engine;
use crate::node::lock::{Lock, LockError, Role};
use crate::node::supervise::Stopper;
use crate::operator::answer::Answer;
use crate::operator::client::{self, Client};
use crate::operator::{Command, Event, Failure, handler, server, socket};
use crate::progress;

/// How long a command waits for another short command, or for a node that is starting.
const PATIENCE: Duration = Duration::from_secs(5);

/// Flags and configuration of this run.
#[derive(Debug)]
pub struct Context {
    /// Global flags.
    pub global: Global,
    /// The configuration with origins.
    pub loaded: Loaded,
}

/// Whether a command may begin an archive or needs one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Makes the data directory if there is none.
    Create,
    /// Ends with status 10 if there is nothing yet.
    Existing,
}

enum Door {
    /// Through the operator socket of the process that holds the lock.
    Other(Client),
    /// In this process, which holds the lock.
    Here(Here),
}

/// The work done in this process. While it lasts, other commands reach it through the operator
/// socket, so that a long one does not keep them out.
struct Here {
    engine: Arc<Engine>,
    stopper: Stopper,
    others: BoxFuture<'static, anyhow::Result<()>>,
    _lock: Lock,
}

impl Here {
    async fn open(config: &Config, lock: Lock) -> anyhow::Result<Self> {
        let engine = Arc::new(Engine::open(config).await?);
        let stopper = Stopper::default();
        // Without a socket the command works all the same; the others wait for it.
        let others = match socket::bind(&engine.dir) {
            Ok(bound) => {
                let sampler = Arc::new(Sampler::new(Arc::clone(&engine.store), engine.dir.clone()));
                server::serve(bound, Arc::clone(&engine), sampler, None, stopper.handle()).boxed()
            }
            Err(error) => {
                tracing::debug!(event = "operator.alone", "other commands have to wait: {error:#}");
                futures::future::ready(Ok(())).boxed()
            }
        };
        Ok(Self { engine, stopper, others, _lock: lock })
    }

    /// Waits for `work`, answering others meanwhile; then for what others have asked by then, if
    /// the work was not interrupted.
    async fn during<T>(mut self, work: impl Future<Output = Result<T, Stopped>>) -> Result<T, Stopped> {
        let mut work = std::pin::pin!(work);
        let mut serving = true;
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                _ = &mut self.others, if serving => serving = false,
            }
        };
        self.stopper.stop();
        let interrupted = matches!(&result, Err(stopped) if stopped.exit == Exit::Interrupted);
        if serving && !interrupted {
            tokio::select! {
                _ = &mut self.others => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        drop(self.others);
        if let Err(error) = self.engine.close().await {
            tracing::warn!(
                event = "store.close",
                "the store did not close in order, it repairs itself at the next start: {error:#}"
            );
        }
        result
    }
}

impl Context {
    /// The data directory, absolute.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.loaded.config.data_dir()
    }

    /// How to call this program again on this data directory, as short as it works.
    #[must_use]
    pub fn program(&self) -> String {
        let mut text = match std::env::current_exe() {
            Ok(exe) if !in_path(&exe) => std::env::current_dir()
                .ok()
                .and_then(|dir| Some(format!("./{}", exe.strip_prefix(dir).ok()?.display())))
                .unwrap_or_else(|| exe.display().to_string()),
            _ => "p2pds".to_owned(),
        };
        let from_flag = |r: &&Resolved| r.name == "node.data_dir" && r.origin.starts_with("flag");
        if let Some(dir) = self.loaded.resolved.iter().find(from_flag) {
            text.push_str(&format!(" --data-dir {}", dir.value));
        }
        text
    }

    /// Runs a command to its end, with its progress on standard error.
    ///
    /// # Errors
    /// The command's failure, or an interrupt.
    pub async fn run(&self, need: Need, command: Command) -> Result<Answer, Stopped> {
        loop {
            return match self.door(need).await? {
                Door::Other(client) => match client.run(&command).await {
                    Ok(events) => self.follow(events).await,
                    // It ended between two requests: the next door is another one.
                    Err(error) if client::unsent(&error) => continue,
                    Err(error) => Err(error.into()),
                },
                Door::Here(here) => {
                    if command.tidies() {
                        here.engine.resume().await?;
                    }
                    let events = handler::events(Arc::clone(&here.engine), command).map(Ok).boxed();
                    here.during(self.follow(events)).await
                }
            };
        }
    }

    /// Streams the CAR of an account to a function.
    ///
    /// # Errors
    /// The account is not there, the stream broke off, or the function failed.
    pub async fn car(
        &self,
        account: &str,
        to: impl FnMut(Bytes) -> std::io::Result<()>,
    ) -> Result<(), Stopped> {
        loop {
            return match self.door(Need::Existing).await? {
                Door::Other(client) => match client.car(account).await {
                    Ok(pieces) => pour(pieces, to).await,
                    Err(error) if client::unsent(&error) => continue,
                    Err(error) => Err(error.into()),
                },
                Door::Here(here) => {
                    let engine = Arc::clone(&here.engine);
                    here.during(async move { pour(handler::car(engine, account).await?, to).await }).await
                }
            };
        }
    }

    async fn follow(&self, mut events: BoxStream<'static, anyhow::Result<Event>>) -> Result<Answer, Stopped> {
        let mut display = progress::Display::new(&self.global);
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let result = loop {
            let event = tokio::select! {
                event = events.next() => event,
                _ = &mut interrupted => {
                    display.finish();
                    let message = "interrupted; nothing stored is lost";
                    let failure = Failure::new("interrupted", message)
                        .hint("the same command goes on where this one stopped");
                    break Err(Stopped { exit: Exit::Interrupted, failure: Some(failure) });
                }
            };
            match event {
                Some(Ok(Event::Progress(event))) => display.show(&event),
                Some(Ok(Event::Result { outcome })) => break Ok(*outcome),
                Some(Ok(Event::Error { failure })) => break Err(failure.into()),
                Some(Err(error)) => break Err(error.into()),
                None => break Err(Failure::new("bug", "the command ended without a result").into()),
            }
        };
        display.finish();
        result
    }

    async fn door(&self, need: Need) -> Result<Door, Stopped> {
        let dir = self.data_dir();
        if need == Need::Existing && !Engine::exists(&dir) {
            return Err(Failure::new(
                "not-initialised",
                format!("there is no archive in {} yet", dir.display()),
            )
            .hint("begin with `p2pds archive add HANDLE-OR-DID`, or name another directory with --data-dir")
            .into());
        }
        let until = tokio::time::Instant::now().checked_add(PATIENCE);
        loop {
            match Lock::acquire(&dir, Role::Command) {
                Ok(lock) => return Ok(Door::Here(Here::open(&self.loaded.config, lock).await?)),
                Err(error @ LockError::Io { .. }) => return Err(lock_failure(&error).into()),
                Err(error @ LockError::Held { .. }) => match Client::connect(&dir).await {
                    Ok(client) => return Ok(Door::Other(client)),
                    // It answers, and says no.
                    Err(refusal) if refusal.is::<Failure>() => return Err(refusal.into()),
                    // It is starting or stopping.
                    Err(silence) if until.is_none_or(|until| tokio::time::Instant::now() >= until) => {
                        tracing::debug!(event = "operator.silence", "{silence:#}");
                        return Err(lock_failure(&error).into());
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
            }
        }
    }

    /// Prints an answer: as JSON if asked, else in the words given.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn print(&self, answer: &Answer, words: impl FnOnce() -> String) -> Result<(), Stopped> {
        if self.global.json {
            output::json(&answer.json().context("a report is not JSON: a defect in p2pds")?)?;
        } else {
            output::line(&words())?;
        }
        Ok(())
    }
}

/// Whether typing `p2pds` runs this very file.
fn in_path(exe: &Path) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    let found = std::env::split_paths(&path).map(|dir| dir.join("p2pds")).find(|p| p.is_file());
    found.and_then(|p| p.canonicalize().ok()).as_deref() == Some(exe)
}

async fn pour(
    mut stream: BoxStream<'static, anyhow::Result<Bytes>>,
    mut to: impl FnMut(Bytes) -> std::io::Result<()>,
) -> Result<(), Stopped> {
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            chunk = stream.next() => match chunk {
                None => return Ok(()),
                Some(chunk) => to(chunk?)?,
            },
            _ = &mut interrupted => return Err(Stopped { exit: Exit::Interrupted, failure: None }),
        }
    }
}

/// A lock that was not given, with what to do about it.
#[must_use]
pub fn lock_failure(error: &LockError) -> Failure {
    let hint = match error {
        LockError::Held { holder: Some(holder), .. } if holder.role == Role::Node => {
            "use that node, or stop it first; commands such as `p2pds archive list` talk to it by themselves"
                .to_owned()
        }
        LockError::Held { .. } => "wait until it is done".to_owned(),
        LockError::Io { dir, .. } => {
            format!(
                "make {} writable for this user, or name another directory with --data-dir",
                dir.display()
            )
        }
    };
    Failure::new("conflict", error.to_string()).hint(hint)
}
