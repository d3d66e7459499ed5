//! From buckets to a CAR file.

use std::ops::Deref;

use p2pds_ipld::Cid;
use p2pds_syntax::ErrorKind;

use super::writer::{CarWriter, Need, WriteError};
use crate::bucket::{Spine, hashed_nodes};
use crate::mst::{BuildError, EMPTY_NODE, empty_root};

/// One stored record of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<K, B> {
    /// Where it stands.
    pub key: K,
    /// Its CID.
    pub cid: Cid,
    /// Its bytes, if they are there.
    pub body: Option<B>,
}

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A block is not the right one.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The rows of a bucket do not belong together.
    #[error("the records of a bucket cannot be put in order: {0}")]
    Build(#[from] BuildError),
    /// The spine computes another root than the head names.
    #[error("the stored tree has root {spine}, the head names {head}; what is stored was damaged")]
    Root {
        /// Root of the spine.
        spine: Cid,
        /// `data` of the head.
        head: Cid,
    },
    /// A node is in neither the spine nor the bucket at hand.
    #[error(
        "the tree node {0} cannot be computed from the bucket that should have it; the stored records were damaged"
    )]
    Node(Cid),
    /// A bucket has more or fewer records than the tree.
    #[error("bucket {bucket} has {left} records that the tree does not have")]
    Left {
        /// Number of the bucket.
        bucket: usize,
        /// Rows that were not needed.
        left: usize,
    },
}

impl ExportError {
    /// Always `Corrupt`: the stored rows are not what they were.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Corrupt
    }
}

/// Exports a repository bucket by bucket; memory is that of the spine (borrowed or
/// shared: `&Spine`, `Arc<Spine>`) and one bucket.
///
/// ```text
/// let mut export = Export::new(&spine, head, ..., &mut out)?;
/// while let Some(bucket) = export.bucket() {
///     send(out); out.clear();
///     export.rows(&load(bucket), &mut out)?;
/// }
/// send(out);
/// ```
#[derive(Debug)]
pub struct Export<S> {
    spine: S,
    writer: CarWriter,
    /// The bucket whose rows come next.
    bucket: usize,
}

impl<S: Deref<Target = Spine>> Export<S> {
    /// Writes header, commit and the first nodes.
    ///
    /// # Errors
    /// When the spine has another root than the commit's `data`.
    pub fn new(
        spine: S,
        commit: &Cid,
        bytes: &[u8],
        data: Cid,
        out: &mut Vec<u8>,
    ) -> Result<Self, ExportError> {
        if spine.root() != data {
            return Err(ExportError::Root { spine: spine.root(), head: data });
        }
        Ok(Self { spine, writer: CarWriter::new(commit, bytes, data, out), bucket: 0 })
    }

    /// Index of the bucket whose rows come next; `None` when the file is complete.
    #[must_use]
    pub fn bucket(&self) -> Option<usize> {
        (self.bucket < self.spine.buckets().len()).then_some(self.bucket)
    }

    /// Writes the records of the bucket that comes next, in key order, and the nodes around them.
    ///
    /// # Errors
    /// When the rows are not those that the tree has.
    pub fn rows<K: AsRef<[u8]>, B: AsRef<[u8]>>(
        &mut self,
        rows: &[Row<K, B>],
        out: &mut Vec<u8>,
    ) -> Result<(), ExportError> {
        let index = self.bucket;
        let Some(bucket) = self.spine.buckets().get(index) else { return Ok(()) };
        let keys: Vec<(&[u8], Cid)> = rows.iter().map(|row| (row.key.as_ref(), row.cid)).collect();
        let nodes = hashed_nodes(&bucket.lo, &keys)?;
        let mut rows = rows.iter();
        loop {
            match self.writer.need() {
                Need::Nothing => break,
                Need::Node(cid) => match nodes.get(&cid).or_else(|| self.spine.node(&cid)) {
                    // Built here, and by the spine when it was loaded.
                    Some(bytes) => self.writer.built_node(bytes, out)?,
                    None if cid == empty_root() => self.writer.node(&EMPTY_NODE, out)?,
                    None if rows.len() == 0 => break,
                    None => return Err(ExportError::Node(cid)),
                },
                Need::Record(_) => match rows.next() {
                    Some(row) => {
                        self.writer.record(row.key.as_ref(), row.body.as_ref().map(AsRef::as_ref), out)?
                    }
                    None => break,
                },
            }
        }
        if rows.len() > 0 {
            return Err(ExportError::Left { bucket: index, left: rows.len() });
        }
        self.bucket = index.saturating_add(1);
        match (self.bucket(), self.writer.need()) {
            (None, Need::Node(cid) | Need::Record(cid)) => Err(ExportError::Node(cid)),
            _ => Ok(()),
        }
    }

    /// Records written so far.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.writer.records()
    }
}
