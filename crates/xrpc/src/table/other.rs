//! The smaller families of `com.atproto`: labels, lexicons, moderation, and what is temporary.

use axum::routing::{get, post};

use super::entry::{Credentials, Kind, Method, Permission, Reason, STANDARD, absent, passed_on, query};
use crate::com_atproto::{moderation, temp};
use crate::meter::REPORTS;

pub(super) const METHODS: &[Method] = &[
    passed_on("com.atproto.label.queryLabels", Kind::Query),
    absent("com.atproto.label.subscribeLabels", Kind::Subscription, Reason::OtherService),
    passed_on("com.atproto.lexicon.resolveLexicon", Kind::Query),
    // Who was taken down may complain. Answered here where no service takes reports.
    Method {
        rules: REPORTS,
        route: || post(moderation::create_report::handle),
        credentials: Credentials::Session(STANDARD.or_takendown()),
        ..passed_on("com.atproto.moderation.createReport", Kind::Procedure)
    },
    passed_on("com.atproto.temp.addReservedHandle", Kind::Procedure),
    passed_on("com.atproto.temp.checkHandleAvailability", Kind::Query),
    query("com.atproto.temp.checkSignupQueue", Credentials::Session(STANDARD.or_queued()), || {
        get(temp::check_signup_queue::handle)
    })
    .needs(Permission::Never),
    passed_on("com.atproto.temp.dereferenceScope", Kind::Query),
    passed_on("com.atproto.temp.fetchLabels", Kind::Query),
    passed_on("com.atproto.temp.requestPhoneVerification", Kind::Procedure),
    passed_on("com.atproto.temp.revokeAccountCredentials", Kind::Procedure),
];
