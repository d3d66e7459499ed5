//! What an operator names: an account, a record, a blob.

use p2pds_host::Host;
use p2pds_host::accounts::Subject;
use p2pds_syntax::{AtIdentifier, AtUri, RecordPath};

use crate::operator::Failure;

fn usage(message: &str) -> Failure {
    Failure::new("invalid", message)
        .hint("name an account, an AT-URI of a record, or an account with --blob CID")
}

/// Reads it.
pub(super) async fn read(host: &Host, text: &str, blob: Option<&str>) -> Result<Subject, Failure> {
    if let Some(uri) = text.strip_prefix("at://").map(|_| text) {
        let uri = AtUri::parse(uri).map_err(|error| usage(&error.to_string()))?;
        let did = match uri.authority() {
            AtIdentifier::Did(did) => did.clone(),
            AtIdentifier::Handle(handle) => host.hosted_account(handle.as_str()).await?,
        };
        let (collection, rkey) =
            uri.collection().zip(uri.rkey()).ok_or_else(|| usage("this AT-URI names no record"))?;
        let path: RecordPath =
            format!("{collection}/{rkey}").parse().map_err(|_| usage("this AT-URI names no record"))?;
        return Ok(Subject::Record(did, path));
    }
    let did = host.hosted_account(text).await?;
    match blob {
        None => Ok(Subject::Account(did)),
        Some(cid) => Ok(Subject::Blob(did, cid.parse().map_err(|_| usage("this is no CID of a blob"))?)),
    }
}

/// It, in words.
pub(super) fn words(subject: &Subject) -> String {
    match subject {
        Subject::Account(did) => did.to_string(),
        Subject::Record(did, path) => format!("at://{did}/{path}"),
        Subject::Blob(did, cid) => format!("blob {cid} of {did}"),
    }
}
