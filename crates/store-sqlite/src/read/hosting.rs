//! What is kept of hosted accounts. One file per part.

pub(crate) mod login;
