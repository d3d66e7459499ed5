//! The endpoints of the authorization server that applications call: its documents, pushed requests, tokens, revocation.
//! What people see of it are pages, which are another crate's.
//!
//! Answers and refusals are as RFC 6749 5 has them, not as lexicon methods have them. Any web page may call: nothing here
//! looks at cookies, and every answer is for whoever knows the secrets in the request.

mod answer;
mod documents;
mod endpoints;

pub(crate) use documents::{authorization_server, jwks, protected_resource};
pub(crate) use endpoints::{par, revoke, token};
