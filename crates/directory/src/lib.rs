//! Identity cache, handle resolution and the PLC mirror
