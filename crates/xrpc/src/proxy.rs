//! Requests that this host passes on in an account's name: to the service that the caller names, or to the default one.
//!
//! The service learns who asks from a token that the account's key signs for it and for the one method. Answers come back
//! as they are, within limits; [`after_write`] completes those of the AppView with what the account has just written.

pub mod after_write;
pub(crate) mod handle;
mod pass;
mod read;
pub mod target;

use std::time::Duration;

pub(crate) use pass::{Passed, Passing};
pub use target::Service;

/// Settings of what is passed on.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// The AppView.
    pub app_view: Option<Service>,
    /// Pattern for the AppView's images: `%s` for preset, DID and CID.
    pub cdn: Option<String>,
    /// The moderation service.
    pub moderation: Option<Service>,
    /// The service that takes reports.
    pub reports: Option<Service>,
    /// Largest answer, bytes after decompression.
    pub max_response: u64,
    /// Largest body that is passed on, bytes.
    pub max_request: usize,
    /// From the request until the head of the answer.
    pub header_timeout: Duration,
    /// The longest that an answer's body may take.
    pub body_timeout: Duration,
    /// Further tries when the connection fails, for reads.
    pub retries: u8,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            app_view: None,
            cdn: None,
            moderation: None,
            reports: None,
            max_response: 10 << 20,
            max_request: 10 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            retries: 0,
        }
    }
}

impl ProxyConfig {
    /// The service that a method goes to when the caller names none.
    #[must_use]
    pub fn default_for(&self, nsid: &str) -> Option<(&Service, &'static str)> {
        let of = target::Default::of(nsid);
        let service = match of {
            target::Default::AppView => &self.app_view,
            target::Default::Moderation => &self.moderation,
            target::Default::Reports => &self.reports,
        };
        Some((service.as_ref()?, of.service()))
    }
}
