//! The repository engine: MST, commits, proofs, CAR import and export
