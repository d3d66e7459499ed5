//! Why services did not do what a form asked for, as the pages say it: a sentence for each rule that a person meets. What
//! has none is said in the service's own English.

use p2pds_archive::ArchiveError;
use p2pds_host::{HostError, Reason};
use p2pds_syntax::ErrorKind;

use crate::shown::text;
use crate::words::{Figure, Sentence};

/// Longest name in a sentence, bytes.
const LONGEST: usize = 300;

fn named(sentence: Sentence, name: &'static str, value: &str) -> Sentence {
    sentence.with(name, Figure::Text(text(value, LONGEST)))
}

/// What the host of accounts here refuses.
pub(crate) fn by_host(error: &HostError) -> Option<Sentence> {
    let minutes = error.retry_after.map_or(1, |seconds| seconds.div_ceil(60).max(1));
    error.reason.as_ref().map(|reason| of(reason, minutes))
}

/// The sentence of a rule; every rule has one.
fn of(reason: &Reason, minutes: u64) -> Sentence {
    let later = |key| Sentence::of(key).with("minutes", Figure::Count(minutes));
    let count = |key, name, count: &u64| Sentence::of(key).with(name, Figure::Count(*count));
    match reason {
        Reason::PasswordMissing => Sentence::of("refused-password-missing"),
        Reason::PasswordShort { least } => count("refused-password-short", "least", least),
        Reason::PasswordLong { most } => count("refused-password-long", "most", most),
        Reason::PasswordWrong => Sentence::of("refused-password-wrong"),
        Reason::PasswordTries => later("refused-password-tries"),
        Reason::CodeWrong => Sentence::of("refused-code-wrong"),
        Reason::CodeExpired => Sentence::of("refused-code-expired"),
        Reason::CodeNeeded => Sentence::of("refused-code-needed"),
        Reason::CodeTries => later("refused-code-tries"),
        Reason::AppCodeWrong => Sentence::of("refused-app-code-wrong"),
        Reason::PageExpired => Sentence::of("refused-page-expired"),
        Reason::EmailMissing => Sentence::of("refused-email-missing"),
        Reason::EmailUnfit => Sentence::of("refused-email-unfit"),
        Reason::EmailTaken => Sentence::of("refused-email-taken"),
        Reason::EmailNone => Sentence::of("refused-email-none"),
        Reason::EmailOther => Sentence::of("refused-email-other"),
        Reason::EmailUnconfirmed => Sentence::of("refused-email-unconfirmed"),
        Reason::InviteMissing => Sentence::of("refused-invite-missing"),
        Reason::InviteUnfit => Sentence::of("refused-invite-unfit"),
        Reason::HandleUnfit => Sentence::of("refused-handle-unfit"),
        Reason::HandleEnding { ending } => named(Sentence::of("refused-handle-ending"), "ending", ending),
        Reason::HandleDots => Sentence::of("refused-handle-dots"),
        Reason::HandleShort { least } => count("refused-handle-short", "least", least),
        Reason::HandleLong { most } => count("refused-handle-long", "most", most),
        Reason::HandleReserved => Sentence::of("refused-handle-reserved"),
        Reason::HandleTaken => Sentence::of("refused-handle-taken"),
        Reason::HandleDomain { domains } => named(Sentence::of("refused-handle-domain"), "domains", domains),
        Reason::HandleElsewhere { handle } => {
            named(Sentence::in_short("refused-handle-elsewhere"), "handle", handle)
        }
        Reason::HandleDocument { handle } => named(Sentence::of("refused-handle-document"), "handle", handle),
        Reason::RecoveryKeyUnfit => Sentence::of("refused-recovery-key"),
        Reason::PasskeyUnknown => Sentence::of("refused-passkey-unknown"),
        Reason::PasskeyRefused => Sentence::in_short("refused-passkey"),
        Reason::PasskeyCopied => Sentence::of("refused-passkey-copied"),
        Reason::PasskeyThere => Sentence::of("refused-passkey-there"),
        Reason::PasskeyName { most } => count("refused-passkey-name", "most", most),
        Reason::PasskeyMany { most } => count("refused-passkey-many", "most", most),
        Reason::PasskeyGone => Sentence::of("refused-passkey-gone"),
        Reason::BackupForNothing => Sentence::of("refused-backup-for-nothing"),
        Reason::AppName => Sentence::of("refused-app-name"),
        Reason::AppNameTaken => Sentence::of("refused-app-name-taken"),
        Reason::AppMany { most } => count("refused-app-many", "most", most),
        Reason::Takendown => Sentence::of("refused-takendown"),
        Reason::NotHere => Sentence::of("refused-not-here"),
        Reason::IdentityElsewhere => Sentence::in_short("refused-identity-elsewhere"),
        Reason::IdentityLocked => Sentence::of("refused-identity-locked"),
        Reason::ChangedMeanwhile => Sentence::of("refused-changed-meanwhile"),
        Reason::Outside => Sentence::in_short("refused-outside"),
        Reason::TooMuch => later("refused-too-much"),
        Reason::DiskFull => Sentence::of("refused-disk-full"),
        Reason::NotNow => Sentence::of("refused-not-now"),
    }
}

/// What archiving refuses, as far as the forms of archived accounts lead to it.
pub(crate) fn by_archive(error: &ArchiveError) -> Option<Sentence> {
    let name = |key, value: &str| named(Sentence::of(key), "name", value);
    Some(match error {
        ArchiveError::BadName(given) => name("refused-name", given),
        ArchiveError::Identity { name: asked, kind, .. } => match kind {
            ErrorKind::Unavailable | ErrorKind::Limited => {
                named(Sentence::in_short("refused-account-unreachable"), "name", asked)
            }
            _ => named(Sentence::in_short("refused-account-unknown"), "name", asked),
        },
        ArchiveError::NoHost { .. } => Sentence::in_short("refused-account-no-host"),
        ArchiveError::HostedHere(_) => Sentence::of("refused-account-hosted"),
        ArchiveError::NotArchived(_) => Sentence::of("refused-account-not-archived"),
        ArchiveError::Host { source, .. } => match source.kind() {
            ErrorKind::Limited => Sentence::in_short("refused-account-host-limits"),
            ErrorKind::Denied | ErrorKind::NotFound => Sentence::in_short("refused-account-host-refuses"),
            _ => Sentence::in_short("refused-account-host-silent"),
        },
        ArchiveError::Rejected { .. } => Sentence::in_short("refused-account-rejected"),
        ArchiveError::NoRoom { need, free, keep, .. } => Sentence::of("refused-room")
            .with("need", Figure::Size(*need))
            .with("free", Figure::Size(*free))
            .with("keep", Figure::Size(*keep)),
        ArchiveError::Quota { .. } => Sentence::in_short("refused-quota"),
        ArchiveError::Busy(_) => Sentence::of("refused-account-busy"),
        ArchiveError::Stopping => Sentence::of("refused-stopping"),
        ArchiveError::NoReason => Sentence::of("refused-reason"),
        ArchiveError::AnnouncedTooLong => Sentence::of("refused-announced-too-long"),
        ArchiveError::Serving { .. } => Sentence::in_short("refused-serving"),
        ArchiveError::BadMoment(given) => named(Sentence::of("refused-moment"), "moment", given),
        ArchiveError::NeverSeen { .. } => Sentence::in_short("refused-never-seen"),
        ArchiveError::NotThen { .. } => Sentence::of("refused-not-then"),
        ArchiveError::NoRecord(_) => Sentence::of("refused-record-unknown"),
        ArchiveError::Store(p2pds_store::StoreError::DiskFull { .. }) => Sentence::of("refused-disk-full"),
        ArchiveError::Store(_) | ArchiveError::Blobs(_) | ArchiveError::Io { .. } => {
            Sentence::in_short("refused-not-now")
        }
        ArchiveError::Bug(_) => Sentence::in_short("refused-defect"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
