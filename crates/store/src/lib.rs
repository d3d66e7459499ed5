//! The stored model, units of work, the port and its conformance suite
