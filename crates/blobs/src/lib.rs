//! Blob files on disk, one directory per account
