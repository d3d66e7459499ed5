//! The port's traits for hosting. One file per part.

mod events;
mod login;
