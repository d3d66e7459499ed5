//! Every lexicon method: where it is answered, with which credentials, bodies and limits (invariant 11).
//!
//! A request reaches no handler but through its entry here: the routes are made from this table, and `guard.rs` asks the
//! entry before the handler runs. To serve a method, write its line in the file of its family, with its
//! handler: `|| post(server::create_session::handle)`.

mod admin;
mod bsky;
mod entry;
mod identity;
mod other;
mod own;
mod repo;
mod routes;
mod server;
mod sync;

use std::sync::Arc;

use axum::response::IntoResponse as _;
use axum::routing::{MethodRouter, any};

use crate::door::Xrpc;
use crate::error::XrpcError;

pub use entry::{Body, Credentials, Kind, Method, Most, Permission, Reason, Served, Sessions};
pub use routes::{By, ROUTES, Route};

/// The table, by family.
pub const FAMILIES: &[&[Method]] = &[
    admin::METHODS,
    bsky::METHODS,
    identity::METHODS,
    other::METHODS,
    own::METHODS,
    repo::METHODS,
    server::METHODS,
    sync::METHODS,
];

/// A method that takes sessions and says not what an OAuth session must have been granted for it does not build.
const _: () = {
    let mut families = FAMILIES;
    while let [family, rest @ ..] = families {
        let mut left = *family;
        while let [method, others @ ..] = left {
            if method.credentials.take_sessions() && matches!(method.permission, Permission::None) {
                panic!("{}", method.nsid);
            }
            left = others;
        }
        families = rest;
    }
    assert!(!matches!(entry::passed_on("*", Kind::Any).permission, Permission::None));
};

/// What holds for a method that is in no line: it is passed on in the caller's name, as `atproto-proxy` says.
pub static UNLISTED: Method = entry::passed_on("*", Kind::Any);
/// What holds for what is no lexicon method: public data, by CID.
pub(crate) static BY_CID: Method = entry::public("by CID", Credentials::Public, not_found_route);

/// What holds for what is asked by the name of the host: public as well.
pub(crate) static BY_NAME: Method = entry::public("by name", Credentials::Public, not_found_route);

/// All methods.
pub fn methods() -> impl Iterator<Item = &'static Method> {
    FAMILIES.iter().copied().flatten()
}

/// The entry of a method. Names are compared without regard to case, as other hosts do, so that nobody walks around an
/// entry by writing it in capitals.
#[must_use]
pub fn method(nsid: &str) -> Option<&'static Method> {
    methods().find(|method| method.nsid.eq_ignore_ascii_case(nsid))
}

fn passed_on_route() -> MethodRouter<Arc<Xrpc>> {
    any(crate::proxy::handle::any)
}

fn absent_route() -> MethodRouter<Arc<Xrpc>> {
    any(async || XrpcError::not_implemented("this method is not served here").into_response())
}

fn not_found_route() -> MethodRouter<Arc<Xrpc>> {
    any(async || XrpcError::not_implemented("no such method is known here").into_response())
}
