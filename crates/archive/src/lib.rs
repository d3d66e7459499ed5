//! Workers that fetch, verify and keep accounts
