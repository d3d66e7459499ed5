//! The adapter's limits and settings, each with a default that suits a small machine.

/// How hard a commit pushes its bytes to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// One flush per group: what is confirmed survives a power cut.
    #[default]
    Full,
    /// No flush at commit: loses confirmed work on a power cut. For tests that must show that
    /// they can see such a loss, and for throw-away stores.
    #[doc(hidden)]
    Normal,
    /// No flush at all. For throw-away stores.
    #[doc(hidden)]
    Off,
}

/// Settings of a store. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Reader threads.
    pub readers: usize,
    /// Page cache of the writer.
    pub writer_cache: usize,
    /// Page cache of each reader.
    pub reader_cache: usize,
    /// Most units in one group commit.
    pub group_units: usize,
    /// How long a group may collect units, in milliseconds.
    pub group_ms: u64,
    /// Most units that may wait for one account.
    pub account_units: usize,
    /// Most units that may wait in all.
    pub total_units: usize,
    /// Size of the log at which it is folded into the database beside the writing.
    pub wal_fold: u64,
    /// Size of the log that is reported, and at which the writer helps to fold it.
    pub wal_soft: u64,
    /// Size of the log at which writing is refused.
    pub wal_hard: u64,
    /// Space kept in reserve so that deleting works on a full disk; at least twice `wal_fold`, so
    /// that the log can be folded away then.
    pub ballast: u64,
    /// Databases up to this size are rewritten at once when a purge left traces.
    pub vacuum_limit: u64,
    /// Most events that are kept in memory for subscribers.
    pub tail_events: usize,
    /// Most bytes of them.
    pub tail_bytes: usize,
    /// Page size of a new database.
    #[doc(hidden)]
    pub page_size: u32,
    /// How hard a commit pushes; anything but full is for tests.
    #[doc(hidden)]
    pub synchronous: Synchronous,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 2,
            writer_cache: 16 << 20,
            reader_cache: 8 << 20,
            group_units: 256,
            group_ms: 10,
            account_units: 64,
            total_units: 4_096,
            wal_fold: 16 << 20,
            wal_soft: 256 << 20,
            wal_hard: 1 << 30,
            ballast: 32 << 20,
            vacuum_limit: 2 << 30,
            tail_events: 8_192,
            tail_bytes: 16 << 20,
            page_size: 4_096,
            synchronous: Synchronous::Full,
        }
    }
}
