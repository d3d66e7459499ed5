//! The one place where the rotation key signs something that continues a log.

use p2pds_identity::plc::{Data, Log, Operation, Unsigned};
use p2pds_syntax::{Datetime, ErrorKind};

use super::of_plc;
use crate::error::{HostError, HostResult};
use crate::keys::Keys;
use crate::reason::Reason;

/// Signs the operation that gives the log this content, and checks it against every rule before it leaves.
pub(super) fn next(keys: &Keys, log: &Log, data: Data, now: i64) -> HostResult<Operation> {
    let signer = keys.plc_rotation();
    if !log.can_sign(&signer.public_key()) {
        return Err(HostError::invalid(format!(
            "the rotation key of this host ({}) is not among those of {}: the identity can be changed by the holder of \
             one of its rotation keys alone, or by the host that has one",
            signer.public_key(),
            log.did()
        ))
        .because(Reason::IdentityLocked));
    }
    let operation = Unsigned::update(log.head(), data).sign(&*signer).map_err(of_plc)?;
    check_next(log, &operation, now)?;
    Ok(operation)
}

/// Whether the directory would take this operation as the next one at this time.
pub(super) fn check_next(log: &Log, operation: &Operation, now: i64) -> HostResult<()> {
    let last = log.entries().last().map_or(0, |entry| entry.created_at.unix_micros());
    let at = Datetime::from_unix_micros(now.max(last.saturating_add(1_000)))
        .ok_or_else(|| HostError::new(ErrorKind::Bug, "InternalServerError", "the clock is out of range"))?;
    log.append(operation.clone(), at).map(drop).map_err(of_plc)
}
