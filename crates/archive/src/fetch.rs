//! A repo arriving: streamed into a spool file, bounded in bytes, checked for its framing on the way.

use std::io::Write as _;
use std::path::PathBuf;

use p2pds_ipld::car::{CarError, CarLimits, Decoder, SectionCid};
use p2pds_net::{NetError, Response};
use p2pds_syntax::Did;

use crate::archive::Inner;
use crate::error::{ArchiveError, ArchiveResult};
use crate::host::Host;
use crate::progress::{Phase, Progress, Unit as Counted};
use crate::reach::Reach;
use crate::spool::remove_if_there;
use crate::words::size;

/// Bytes gathered before they go to the file.
const BATCH: usize = 1 << 20;
/// The free room is looked at again after so many bytes.
const ROOM_STEP: u64 = 64 << 20;
/// Times the transfer is begun anew when it breaks off in the middle.
const TRIES: u32 = 3;

/// A repo that has arrived whole, as far as its framing tells.
pub(crate) struct Fetched {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// What became of one transfer.
enum Broke {
    /// The connection: worth trying again.
    Net(NetError),
    /// Anything else.
    Other(ArchiveError),
}

impl Inner {
    /// Fetches the whole repo of an account into its spool file. An interrupted transfer begins anew: hosts cannot go on
    /// in the middle.
    pub(crate) async fn fetch_repo(
        &self,
        host: &Host<'_>,
        progress: &Progress,
    ) -> ArchiveResult<Result<Fetched, NetError>> {
        let mut attempt = 1_u32;
        loop {
            match self.transfer_repo(host, progress).await {
                Ok(fetched) => return Ok(Ok(fetched)),
                Err(Broke::Net(error)) if error.is_transient() && attempt < TRIES => {
                    progress.warn(
                        Phase::Fetch,
                        format!("{error}; beginning again ({attempt} of {})", TRIES.saturating_sub(1)),
                    );
                    attempt = attempt.saturating_add(1);
                }
                Err(Broke::Net(error)) => {
                    remove_if_there(&self.spool().part(host.did))?;
                    return Ok(Err(error));
                }
                Err(Broke::Other(error)) => {
                    remove_if_there(&self.spool().part(host.did))?;
                    return Err(error);
                }
            }
        }
    }

    async fn transfer_repo(&self, host: &Host<'_>, progress: &Progress) -> Result<Fetched, Broke> {
        let usable = self.need_room("fetching the repo", 1).map_err(Broke::Other)?;
        let account = self.store().account(host.did).await.ok().flatten();
        let quota = account.as_ref().map_or(u64::MAX, |account| self.most_car_bytes(account));
        let limit = usable.min(self.config().max_repo_bytes).min(quota);
        let mut response = host.repo(None, limit, self.config()).await.map_err(Broke::Net)?;
        let total = response.announced_length();
        if let Some(total) = total {
            self.need_room("fetching the repo", total).map_err(Broke::Other)?;
        }
        let counter = progress.begin(
            Phase::Fetch,
            Counted::Bytes,
            total,
            format!("fetching the repo from {}", host.url),
        );
        let mut file = PartFile::create(self, host.did)?;
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(NetError::TooLarge { limit, .. }) => {
                    if let Some(account) = account.filter(|_| limit >= quota) {
                        return Err(Broke::Other(self.past_quota(&account, limit).await));
                    }
                    return Err(Broke::Other(self.too_large(host.did, host.url, limit)));
                }
                Err(error) => return Err(Broke::Net(error)),
            };
            counter.add(u64::try_from(chunk.len()).unwrap_or(0));
            file.take(self, host, &chunk).await?;
        }
        let (path, bytes) = file.complete(self, host, &response).await?;
        counter.finish(format!("{} received", size(bytes)));
        Ok(Fetched { path, bytes })
    }

    fn too_large(&self, did: &Did, host: &str, limit: u64) -> ArchiveError {
        let usable = self.room().map_or(0, |(_, usable)| usable);
        if limit < self.config().max_repo_bytes && limit >= usable {
            let (free, _) = self.room().unwrap_or_default();
            return ArchiveError::NoRoom {
                path: self.spool().data_dir().to_owned(),
                what: "the repo".to_owned(),
                need: limit.saturating_add(1),
                free,
                keep: self.config().keep_free,
            };
        }
        ArchiveError::Rejected {
            from: host.to_owned(),
            did: did.to_string(),
            what: format!("it sent more than {}, the most that is taken of this account", size(limit)),
        }
    }
}

/// The file that a repo arrives in.
struct PartFile {
    file: Option<std::fs::File>,
    batch: Vec<u8>,
    decoder: Decoder,
    reach: Reach,
    rooted: bool,
    bytes: u64,
    looked_at: u64,
}

impl PartFile {
    fn create(inner: &Inner, did: &Did) -> Result<Self, Broke> {
        let file = inner.spool().create_part(did).map_err(Broke::Other)?;
        let limits = CarLimits::DEFAULT.with_total(inner.config().max_repo_bytes);
        Ok(Self {
            file: Some(file),
            batch: Vec::new(),
            decoder: Decoder::new(limits),
            reach: Reach::default(),
            rooted: false,
            bytes: 0,
            looked_at: 0,
        })
    }

    async fn take(&mut self, inner: &Inner, host: &Host<'_>, chunk: &[u8]) -> Result<(), Broke> {
        self.bytes = self.bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(0));
        if let Some(useless) = self.frame(chunk).map_err(|error| Broke::Other(not_car(host, &error)))? {
            return Err(Broke::Other(endless(host, useless)));
        }
        self.batch.extend_from_slice(chunk);
        if self.bytes.saturating_sub(self.looked_at) >= ROOM_STEP {
            self.looked_at = self.bytes;
            inner.need_room("fetching the repo", ROOM_STEP).map_err(Broke::Other)?;
        }
        if self.batch.len() >= BATCH { self.flush(inner, host).await } else { Ok(()) }
    }

    /// What is no CAR file, or has too many blocks that nothing leads to, is given up before it fills the disk.
    fn frame(&mut self, chunk: &[u8]) -> Result<Option<u64>, CarError> {
        self.decoder.feed(chunk)?;
        let Some(header) = self.decoder.header()? else { return Ok(None) };
        if !self.rooted
            && let Some(root) = header.roots.first()
        {
            self.reach.root(root);
            self.rooted = true;
        }
        while let Some(section) = self.decoder.section()? {
            let cid = match &section.cid {
                SectionCid::Plain(cid) => Some(cid),
                SectionCid::Odd(_) => None,
            };
            if let Err(useless) = self.reach.block(cid, section.bytes) {
                return Ok(Some(useless));
            }
        }
        Ok(None)
    }

    async fn flush(&mut self, inner: &Inner, host: &Host<'_>) -> Result<(), Broke> {
        let path = inner.spool().part(host.did);
        let Some(mut file) = self.file.take() else { return Err(Broke::Other(ArchiveError::Stopping)) };
        let mut batch = std::mem::take(&mut self.batch);
        let (file, batch) = blocking(move || {
            file.write_all(&batch).map_err(ArchiveError::io("write", &path))?;
            batch.clear();
            Ok((file, batch))
        })
        .await
        .map_err(Broke::Other)?;
        (self.file, self.batch) = (Some(file), batch);
        Ok(())
    }

    async fn complete(
        mut self,
        inner: &Inner,
        host: &Host<'_>,
        response: &Response,
    ) -> Result<(PathBuf, u64), Broke> {
        // A body that was cut off is a broken transfer: the framing is the only thing that shows it on hosts that do
        // not announce a length.
        if let Err(error) = self.decoder.finish() {
            return Err(Broke::Net(NetError::Body {
                host: response.host().to_owned(),
                received: self.bytes,
                detail: error.to_string(),
            }));
        }
        self.flush(inner, host).await?;
        let (spool, did) = (inner.spool().clone(), host.did.clone());
        let Some(file) = self.file.take() else { return Err(Broke::Other(ArchiveError::Stopping)) };
        let path = blocking(move || spool.complete(&did, &file)).await.map_err(Broke::Other)?;
        Ok((path, self.bytes))
    }
}

fn endless(host: &Host<'_>, useless: u64) -> ArchiveError {
    let what = format!(
        "the repo was complete, and {} of blocks followed that nothing links to; the transfer was given up",
        size(useless)
    );
    ArchiveError::Rejected { from: host.url.to_owned(), did: host.did.to_string(), what }
}

fn not_car(host: &Host<'_>, error: &CarError) -> ArchiveError {
    ArchiveError::Rejected { from: host.url.to_owned(), did: host.did.to_string(), what: error.to_string() }
}

/// Runs file work on the blocking pool.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> ArchiveResult<T> + Send + 'static,
) -> ArchiveResult<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_cancelled() => Err(ArchiveError::Stopping),
        Err(error) => Err(ArchiveError::Bug(error.to_string())),
    }
}
