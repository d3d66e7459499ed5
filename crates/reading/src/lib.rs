//! The only door to stored bytes
