//! That each rule is said in each language.

use std::collections::BTreeSet;

use p2pds_store::StoreError;
use p2pds_syntax::Did;

use super::*;
use crate::words::{Locale, Words};

/// One of each rule of a host. A rule that is missing here is missed by the match of `next`, which does not build without.
fn rules() -> Vec<Reason> {
    let mut all = vec![Reason::PasswordMissing];
    while let Some(next) = next(&all[all.len() - 1]) {
        all.push(next);
    }
    all
}

fn next(last: &Reason) -> Option<Reason> {
    let text = || "alice.example.com".to_owned();
    Some(match last {
        Reason::PasswordMissing => Reason::PasswordShort { least: 8 },
        Reason::PasswordShort { .. } => Reason::PasswordLong { most: 256 },
        Reason::PasswordLong { .. } => Reason::PasswordWrong,
        Reason::PasswordWrong => Reason::PasswordTries,
        Reason::PasswordTries => Reason::CodeWrong,
        Reason::CodeWrong => Reason::CodeExpired,
        Reason::CodeExpired => Reason::CodeNeeded,
        Reason::CodeNeeded => Reason::CodeTries,
        Reason::CodeTries => Reason::AppCodeWrong,
        Reason::AppCodeWrong => Reason::PageExpired,
        Reason::PageExpired => Reason::EmailMissing,
        Reason::EmailMissing => Reason::EmailUnfit,
        Reason::EmailUnfit => Reason::EmailTaken,
        Reason::EmailTaken => Reason::EmailNone,
        Reason::EmailNone => Reason::EmailOther,
        Reason::EmailOther => Reason::EmailUnconfirmed,
        Reason::EmailUnconfirmed => Reason::InviteMissing,
        Reason::InviteMissing => Reason::InviteUnfit,
        Reason::InviteUnfit => Reason::HandleUnfit,
        Reason::HandleUnfit => Reason::HandleEnding { ending: "local".to_owned() },
        Reason::HandleEnding { .. } => Reason::HandleDots,
        Reason::HandleDots => Reason::HandleShort { least: 3 },
        Reason::HandleShort { .. } => Reason::HandleLong { most: 18 },
        Reason::HandleLong { .. } => Reason::HandleReserved,
        Reason::HandleReserved => Reason::HandleTaken,
        Reason::HandleTaken => Reason::HandleDomain { domains: ".example.com".to_owned() },
        Reason::HandleDomain { .. } => Reason::HandleElsewhere { handle: text() },
        Reason::HandleElsewhere { .. } => Reason::HandleDocument { handle: text() },
        Reason::HandleDocument { .. } => Reason::RecoveryKeyUnfit,
        Reason::RecoveryKeyUnfit => Reason::PasskeyUnknown,
        Reason::PasskeyUnknown => Reason::PasskeyRefused,
        Reason::PasskeyRefused => Reason::PasskeyCopied,
        Reason::PasskeyCopied => Reason::PasskeyThere,
        Reason::PasskeyThere => Reason::PasskeyName { most: 60 },
        Reason::PasskeyName { .. } => Reason::PasskeyMany { most: 20 },
        Reason::PasskeyMany { .. } => Reason::PasskeyGone,
        Reason::PasskeyGone => Reason::BackupForNothing,
        Reason::BackupForNothing => Reason::AppName,
        Reason::AppName => Reason::AppNameTaken,
        Reason::AppNameTaken => Reason::AppMany { most: 200 },
        Reason::AppMany { .. } => Reason::Takendown,
        Reason::Takendown => Reason::NotHere,
        Reason::NotHere => Reason::IdentityElsewhere,
        Reason::IdentityElsewhere => Reason::IdentityLocked,
        Reason::IdentityLocked => Reason::ChangedMeanwhile,
        Reason::ChangedMeanwhile => Reason::Outside,
        Reason::Outside => Reason::TooMuch,
        Reason::TooMuch => Reason::DiskFull,
        Reason::DiskFull => Reason::NotNow,
        Reason::NotNow => return None,
    })
}

/// What adding an account, and the other forms of archived accounts, can meet.
fn troubles() -> Vec<ArchiveError> {
    let did = || Did::parse("did:plc:z72i7hdynmk6r22z27h6tvur").unwrap();
    let text = || "alice.example.com".to_owned();
    let timeout = || p2pds_net::NetError::Timeout { host: text(), phase: "answer" };
    let identity = |kind| ArchiveError::Identity { name: text(), cause: "why".to_owned(), kind };
    vec![
        ArchiveError::BadName("a b".to_owned()),
        identity(ErrorKind::NotFound),
        identity(ErrorKind::Unavailable),
        ArchiveError::NoHost { did: did(), why: "" },
        ArchiveError::HostedHere(did()),
        ArchiveError::NotArchived(text()),
        ArchiveError::Host { doing: "fetching".to_owned(), source: timeout() },
        ArchiveError::Rejected { from: text(), did: text(), what: "it is cut".to_owned() },
        ArchiveError::NoRoom { path: "/x".into(), what: text(), need: 5_000_000_000, free: 1, keep: 2 },
        ArchiveError::Quota { did: did(), full: p2pds_archive::Full::Disk { free: 1, keep: 2 } },
        ArchiveError::Busy(did()),
        ArchiveError::Stopping,
        ArchiveError::NoReason,
        ArchiveError::AnnouncedTooLong,
        ArchiveError::Serving { did: did(), why: "it is private".to_owned() },
        ArchiveError::BadMoment("yesterday".to_owned()),
        ArchiveError::NeverSeen { did: did(), asked: "1999-01-01".to_owned(), known: String::new() },
        ArchiveError::NoRecord(text()),
        ArchiveError::Store(StoreError::DiskFull { path: "/x".to_owned() }),
        ArchiveError::Bug("why".to_owned()),
    ]
}

#[test]
fn every_rule_is_said_in_every_language() {
    let rules = rules();
    assert!(rules.len() > 45, "{}", rules.len());
    let mut sentences: Vec<Sentence> = rules.iter().map(|rule| of(rule, 2)).collect();
    let kinds = sentences.iter().map(Sentence::key).collect::<BTreeSet<_>>();
    assert_eq!(kinds.len(), rules.len(), "each has a sentence of its own");
    sentences.extend(troubles().iter().map(|error| by_archive(error).unwrap_or_else(|| panic!("{error}"))));
    let (english, german) = (Words::new(Locale::En, 0), Words::new(Locale::De, 0));
    for sentence in sentences {
        let key = sentence.key();
        assert!(english.has(key) && german.has(key), "{key}");
        // A figure that a sentence wants and does not get is a mistake that saying it finds.
        let (one, other) = (sentence.say(&english), sentence.say(&german));
        assert!(one != other && !one.contains('⟦') && !other.contains('⟦'), "{key}: {one} / {other}");
    }
}

#[test]
fn figures_and_names_stand_in_them() {
    let german = Words::new(Locale::De, 0);
    let error = HostError::limited(119, "too many").because(Reason::PasswordTries);
    assert!(by_host(&error).unwrap().say(&german).contains("2 Minuten"));
    let error = HostError::limited(7, "too many").because(Reason::PasswordTries);
    assert!(by_host(&error).unwrap().say(&german).contains("eine Minute"));
    let room = ArchiveError::NoRoom {
        path: "/x".into(),
        what: String::new(),
        need: 5_200_000_000,
        free: 0,
        keep: 0,
    };
    assert!(by_archive(&room).unwrap().say(&german).contains("5,2 GB"));
    assert_eq!(by_host(&HostError::invalid("something else")), None);
    // What somebody typed is bounded, and reverses nothing.
    let long = ArchiveError::BadName(format!("\u{202e}{}", "x".repeat(9_000)));
    let said = by_archive(&long).unwrap().say(&german);
    assert!(said.len() < 500 && !said.contains('\u{202e}'), "{said}");
}
