//! `com.atproto.repo`: records, blobs, and bringing a repo along.

use axum::routing::{get, post};

use super::entry::{
    Body, Credentials, FULL, Method, Most, Permission, RECORDS, STANDARD, procedure, public, query,
};
use crate::com_atproto::repo;
use crate::meter::{Rule, UPLOAD};

const UPLOADS: &[&Rule] = &[&UPLOAD];
/// Sessions of accounts in use.
const WRITER: Credentials = Credentials::Session(STANDARD.active());

pub(super) const METHODS: &[Method] = &[
    procedure("com.atproto.repo.applyWrites", WRITER, || post(repo::apply_writes::handle))
        .body(Body::Json(RECORDS))
        .needs(Permission::Repo),
    procedure("com.atproto.repo.createRecord", WRITER, || post(repo::create_record::handle))
        .body(Body::Json(RECORDS))
        .needs(Permission::Repo),
    procedure("com.atproto.repo.deleteRecord", WRITER, || post(repo::delete_record::handle))
        .needs(Permission::Repo),
    public("com.atproto.repo.describeRepo", Credentials::Public, || get(repo::describe_repo::handle)),
    public("com.atproto.repo.getRecord", Credentials::Public, || get(repo::get_record::handle)),
    // Accounts that are being moved here are not in use yet.
    procedure("com.atproto.repo.importRepo", Credentials::Session(FULL), || post(repo::import_repo::handle))
        .body(Body::Bytes(Most::Import))
        .needs(Permission::AccountRepo),
    query("com.atproto.repo.listMissingBlobs", Credentials::Session(STANDARD), || {
        get(repo::list_missing_blobs::handle)
    })
    .needs(Permission::Any),
    public("com.atproto.repo.listRecords", Credentials::Public, || get(repo::list_records::handle)),
    procedure("com.atproto.repo.putRecord", WRITER, || post(repo::put_record::handle))
        .body(Body::Json(RECORDS))
        .needs(Permission::Repo),
    procedure("com.atproto.repo.uploadBlob", Credentials::SessionOrService(STANDARD), || {
        post(repo::upload_blob::handle)
    })
    .body(Body::Bytes(Most::Blob))
    .rules(UPLOADS)
    .needs(Permission::Blob),
];
