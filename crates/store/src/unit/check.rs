//! What is wrong with a unit by itself, whatever is stored.

use super::{BATCH_UNITS, CHUNK_BYTES, CHUNK_ROWS, Unit};
use crate::{Role, StoreError, StoreResult};

impl Unit {
    /// Checks the unit by itself: sizes, order, uniqueness.
    ///
    /// # Errors
    /// [`StoreError::InvalidUnit`] with what is wrong.
    pub fn check(&self) -> StoreResult<()> {
        let invalid = |what: String| Err(StoreError::InvalidUnit(what));
        match self {
            Self::StageRecords { rows, .. } => {
                if rows.len() > CHUNK_ROWS {
                    return invalid(format!("{} rows, at most {CHUNK_ROWS}", rows.len()));
                }
                check_bytes(rows.iter().map(|r| r.body.as_ref()))?;
                for (a, b) in rows.iter().zip(rows.iter().skip(1)) {
                    if a.key >= b.key {
                        return invalid(format!("{} does not come before {}", a.key, b.key));
                    }
                }
                Ok(())
            }
            Self::StageBuckets { rows, .. } if rows.len() > CHUNK_ROWS => {
                invalid(format!("{} buckets, at most {CHUNK_ROWS}", rows.len()))
            }
            Self::ApplyCommit { changes, .. } => {
                if changes.len() > CHUNK_ROWS {
                    return invalid(format!("{} changes, at most {CHUNK_ROWS}", changes.len()));
                }
                check_bytes(changes.iter().map(|c| c.new.as_ref().and_then(|v| v.body.as_ref())))?;
                let mut keys: Vec<_> = changes.iter().map(|c| &c.key).collect();
                keys.sort();
                for (a, b) in keys.iter().zip(keys.iter().skip(1)) {
                    if a == b {
                        return invalid(format!("{a} is changed twice"));
                    }
                }
                Ok(())
            }
            Self::PutSamples { rows, .. } if rows.len() > CHUNK_ROWS => {
                invalid(format!("{} samples, at most {CHUNK_ROWS}", rows.len()))
            }
            Self::Flip { role, .. } if !matches!(role, Role::Archived | Role::Hosted) => {
                invalid(format!("a flip into role {role:?}"))
            }
            Self::OpenRepo { role, .. } | Self::SetRole { role, .. }
                if !matches!(role, Role::Archived | Role::Hosted) =>
            {
                invalid(format!("a live repo of role {role:?}"))
            }
            Self::Batch { did, units } => {
                if units.len() > BATCH_UNITS {
                    return invalid(format!("a batch of {} units, at most {BATCH_UNITS}", units.len()));
                }
                for unit in units {
                    if matches!(unit, Self::Batch { .. }) {
                        return invalid("a batch within a batch".into());
                    }
                    if unit.did().is_some_and(|other| other != did) {
                        return invalid(format!("a batch of {did} with a unit of another account"));
                    }
                    unit.check()?;
                }
                Ok(())
            }
            Self::Hosting(unit) => unit.check(),
            Self::RepairRecord { cid, body, key, .. } if !cid.matches(body) => {
                invalid(format!("the bytes for {key} do not hash to {cid}"))
            }
            _ => Ok(()),
        }
    }
}

fn check_bytes<'a>(bodies: impl Iterator<Item = Option<&'a Vec<u8>>>) -> StoreResult<()> {
    let (mut rows, mut bytes) = (0_usize, 0_usize);
    for body in bodies.flatten() {
        rows = rows.saturating_add(1);
        bytes = bytes.saturating_add(body.len());
    }
    if rows > 1 && bytes > CHUNK_BYTES {
        return Err(StoreError::InvalidUnit(format!("{bytes} bytes of records, at most {CHUNK_BYTES}")));
    }
    Ok(())
}
