//! What is kept of hosted accounts. One file per part.

pub(crate) mod accounts;
pub(crate) mod factors;
pub(crate) mod links;
pub(crate) mod listing;
pub(crate) mod login;
pub(crate) mod oauth;
pub(crate) mod owner;
pub(crate) mod reports;
pub(crate) mod reserved;
pub(crate) mod spent;
