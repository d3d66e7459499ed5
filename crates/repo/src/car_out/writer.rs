//! The machine that knows which block comes next.

use p2pds_ipld::Cid;
use p2pds_ipld::car::{write_header, write_section};
use p2pds_syntax::ErrorKind;

use crate::car_in::ReadError;
use crate::car_in::walk::{Walk, What};

/// The block that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A node of the tree.
    Node(Cid),
    /// The next record in key order.
    Record(Cid),
    /// Nothing: the file is complete.
    Nothing,
}

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The block is not the one that comes next.
    #[error("the export needs the {what} {need} and was given other bytes; what is stored was damaged")]
    WrongBlock {
        /// "node" or "record".
        what: &'static str,
        /// The CID that comes next.
        need: Cid,
    },
    /// The record stands at another key.
    #[error("the export needs the record at {need:?} and was given the one at {given:?}")]
    WrongKey {
        /// The key in the tree.
        need: String,
        /// The key of the record.
        given: String,
    },
    /// The tree itself is not valid.
    #[error("the tree that is to be exported is not valid: {0}")]
    Tree(ReadError),
}

impl WriteError {
    /// Always `Corrupt`: the caller's blocks are not what they were.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Corrupt
    }
}

/// Writes one repository. Every block is hashed before it is written: an export is either right or an error.
#[derive(Debug)]
pub struct CarWriter {
    walk: Walk,
}

impl CarWriter {
    /// Writes header and commit. `data` is the root that the commit names.
    #[must_use]
    pub fn new(commit: &Cid, bytes: &[u8], data: Cid, out: &mut Vec<u8>) -> Self {
        write_header(out, &[*commit]);
        write_section(out, commit, bytes);
        Self { walk: Walk::new(data) }
    }

    /// What comes next.
    #[must_use]
    pub fn need(&self) -> Need {
        match self.walk.next() {
            None => Need::Nothing,
            Some(next) => match next.what {
                What::Node { .. } => Need::Node(next.cid),
                What::Record { .. } => Need::Record(next.cid),
            },
        }
    }

    /// Writes the node that comes next.
    ///
    /// # Errors
    /// When these are not its bytes.
    pub fn node(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), WriteError> {
        match self.need() {
            Need::Node(cid) if cid.matches(bytes) => {
                self.walk.enter(bytes).map_err(WriteError::Tree)?;
                write_section(out, &cid, bytes);
                Ok(())
            }
            Need::Node(cid) => Err(WriteError::WrongBlock { what: "node", need: cid }),
            Need::Record(_) | Need::Nothing => Ok(()),
        }
    }

    /// The same, when the caller built these bytes from their keys and has their CID from that.
    pub(super) fn built_node(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), WriteError> {
        let Need::Node(cid) = self.need() else { return Ok(()) };
        self.walk.enter_built(bytes).map_err(WriteError::Tree)?;
        write_section(out, &cid, bytes);
        Ok(())
    }

    /// Writes the record that comes next. Without a body (it was missing when the repository was read) the tree
    /// goes on and the block is left out.
    ///
    /// # Errors
    /// When it stands at another key, or these are not its bytes.
    pub fn record(&mut self, key: &[u8], body: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let Need::Record(_) = self.need() else { return Ok(()) };
        let (need, cid) = self.walk.record().map_err(WriteError::Tree)?;
        if need != key {
            let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
            return Err(WriteError::WrongKey { need: text(need), given: text(key) });
        }
        if let Some(body) = body {
            if !cid.matches(body) {
                return Err(WriteError::WrongBlock { what: "record", need: cid });
            }
            write_section(out, &cid, body);
        }
        Ok(())
    }

    /// Records written so far.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.walk.records
    }
}
