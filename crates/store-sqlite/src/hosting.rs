//! The port's traits for hosting. One file per part.

mod accounts;
mod blobs;
mod copy;
mod events;
mod factors;
mod links;
mod listing;
mod login;
mod oauth;
mod owner;
mod reports;
mod reserved;
mod served;
mod spent;
