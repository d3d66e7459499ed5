//! From a handle to a DID: DNS first, HTTPS second. Whether the DID claims the
//! handle is checked by the caller.

use p2pds_identity::handle::{did_from_txt, did_from_well_known, dns_name, well_known_url};
use p2pds_net::{Client, GetOptions, NetError};
use p2pds_syntax::{Did, ErrorKind, Handle};

use crate::config::DirectoryConfig;
use crate::error::DirectoryError;

/// A DID has at most 2,048 characters; the rest is white space and line ends.
const MAX_WELL_KNOWN: u64 = 4096;

/// Asks both ways. What DNS says counts; HTTPS is asked when DNS says nothing.
pub(crate) async fn resolve(
    client: &Client,
    config: &DirectoryConfig,
    handle: &Handle,
) -> Result<Did, DirectoryError> {
    if !handle.is_resolvable() {
        return Err(DirectoryError::ReservedDomain { handle: handle.clone() });
    }
    let dns_failure = match client.txt(&dns_name(handle)).await {
        Ok(records) => match did_from_txt(handle, &records)? {
            Some(did) => return Ok(did),
            None => None,
        },
        Err(e) => Some(e),
    };
    match (well_known(client, config, handle).await, dns_failure) {
        (Ok(did), _) => Ok(did),
        // DNS might have known it; this is no verdict.
        (Err(_), Some(source)) => {
            Err(DirectoryError::Net { what: format!("the DNS record of {handle}"), source })
        }
        (Err(e), None) => Err(e),
    }
}

async fn well_known(
    client: &Client,
    config: &DirectoryConfig,
    handle: &Handle,
) -> Result<Did, DirectoryError> {
    let url = match config.development_http_port {
        None => well_known_url(handle),
        Some(port) => format!("http://{handle}:{port}/.well-known/atproto-did"),
    };
    let options = GetOptions { max_bytes: MAX_WELL_KNOWN, ..GetOptions::metadata().accept("text/plain") };
    let not_found = |https: String| DirectoryError::HandleNotFound { handle: handle.clone(), https };
    let body = match fetch(client, &url, &options).await {
        Ok(body) => body,
        Err(e) if says_no(&e) => return Err(not_found(format!("over HTTPS {e}"))),
        Err(source) => {
            return Err(DirectoryError::Net {
                what: format!("the proof of {handle} (DNS has none, so its website was asked)"),
                source,
            });
        }
    };
    // Many hosts answer every path with a page of their own; that is no proof and no contradiction.
    did_from_well_known(handle, &body).map_err(|_| not_found("the answer over HTTPS is not a DID".to_owned()))
}

async fn fetch(client: &Client, url: &str, options: &GetOptions) -> Result<String, NetError> {
    let body = client.get(url, options).await?.success()?.bytes(options.max_bytes).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Whether the host was reached and has nothing, or does not exist, or may never be reached.
fn says_no(error: &NetError) -> bool {
    match error {
        NetError::NoSuchHost { .. }
        | NetError::Refused { .. }
        | NetError::BadUrl { .. }
        | NetError::TooLarge { .. }
        | NetError::Redirect { .. } => true,
        NetError::Status { .. } => !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Limited),
        _ => false,
    }
}
