//! What the measuring programs share: clock, memory counter, tables, and the same work by other libraries.

pub mod measure;
pub mod others;
pub mod report;
