//! The lights of fixture states, as a table.

use super::*;
use crate::samples::{drill, line};
use crate::words::Locale;

const NOW: i64 = crate::samples::NOW;

#[test]
fn each_state_has_its_sentence_and_its_button() {
    let fine = line("alice.test");
    let nothing = AccountLine { verified: "nothing".into(), last_sync_at: None, ..fine.clone() };
    let coming = AccountLine { doing: Some("fetching".into()), ..nothing.clone() };
    let damaged = AccountLine { last_verify_ok: Some(false), ..fine.clone() };
    let stale = AccountLine { last_sync_at: Some(NOW - 3 * DAY), ..fine.clone() };
    let media = AccountLine { blobs_missing: 7, ..fine.clone() };
    let gone = AccountLine { status: "deleted".into(), last_sync_at: Some(NOW - 30 * DAY), ..fine.clone() };
    let file = AccountLine { origin: "file".into(), last_sync_at: None, ..fine.clone() };
    let (good, bad) = (drill(true, NOW - DAY), drill(false, NOW - DAY));
    let old = drill(true, NOW - 40 * DAY);
    let owner = Some(KeyState::PerhapsOwner);
    type Case<'a> = (&'a AccountLine, Option<&'a DrillReport>, Option<KeyState>, bool, [&'a str; 3]);
    let table: [Case<'_>; 11] = [
        (&fine, Some(&good), owner, true, ["light-data-good", "light-identity-good", "light-copies-two"]),
        (&fine, Some(&good), owner, false, ["light-data-good", "light-identity-perhaps", "light-copies-two"]),
        (
            &fine,
            None,
            Some(KeyState::HostOnly),
            false,
            ["light-data-undrilled", "light-identity-host", "light-copies-two"],
        ),
        (
            &fine,
            Some(&old),
            None,
            false,
            ["light-data-drill-old", "light-identity-unknown", "light-copies-two"],
        ),
        (
            &fine,
            Some(&bad),
            owner,
            true,
            ["light-data-drill-failed", "light-identity-good", "light-copies-two"],
        ),
        (&nothing, None, None, false, ["light-data-nothing", "light-identity-unknown", "light-copies-none"]),
        (&coming, None, None, false, ["light-data-coming", "light-identity-unknown", "light-copies-none"]),
        (
            &damaged,
            Some(&good),
            owner,
            true,
            ["light-data-damaged", "light-identity-good", "light-copies-two"],
        ),
        (&stale, Some(&good), owner, true, ["light-data-stale", "light-identity-good", "light-copies-two"]),
        (
            &media,
            Some(&good),
            Some(KeyState::Frozen),
            false,
            ["light-data-media", "light-identity-frozen", "light-copies-two"],
        ),
        (
            &gone,
            Some(&good),
            Some(KeyState::Tombstoned),
            false,
            ["light-data-good", "light-identity-tombstone", "light-copies-last"],
        ),
    ];
    for (line, drill, keys, own_key, expected) in table {
        let facts = Facts {
            line,
            drill,
            keys,
            own_key,
            alarm: None,
            taken: None,
            hosted: false,
            mine: true,
            now: NOW,
        };
        assert_eq!(facts.lights().map(|light| light.key), expected);
    }
    let facts = Facts {
        line: &file,
        drill: Some(&good),
        keys: None,
        own_key: false,
        alarm: None,
        taken: None,
        hosted: false,
        mine: true,
        now: NOW,
    };
    assert_eq!(facts.lights()[0].key, "light-data-good");
}

#[test]
fn whatever_is_not_good_can_be_mended_and_is_said_in_every_language() {
    let base = line("alice.test");
    let mut seen = 0;
    for verified in ["nothing", "verified", "unverified", "verbatim"] {
        for keys in [
            None,
            Some(KeyState::HostOnly),
            Some(KeyState::PerhapsOwner),
            Some(KeyState::Frozen),
            Some(KeyState::Tombstoned),
            Some(KeyState::NoLog),
        ] {
            for (hosted, alarm) in [(false, None), (true, None), (false, Some(NOW + 10 * HOUR))] {
                let line = AccountLine { verified: verified.into(), ..base.clone() };
                let taken = alarm.map(|_| NOW - DAY);
                let facts = Facts {
                    line: &line,
                    drill: None,
                    keys,
                    own_key: false,
                    alarm,
                    taken,
                    hosted,
                    mine: true,
                    now: NOW,
                };
                for light in facts.lights() {
                    assert!(light.tone == Tone::Good || light.mend.is_some(), "{light:?}");
                    for locale in [Locale::En, Locale::De] {
                        let words = Words::new(locale, NOW);
                        assert!(words.has(light.key), "{} in {}", light.key, locale.tag());
                        assert!(light.mend.iter().all(|mend| words.has(mend.words)), "{light:?}");
                        assert!(!light.sentence(&words).contains('⟦'));
                    }
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 4 * 6 * 3 * 3);
}

#[test]
fn a_copy_that_was_taken_out_is_a_place_for_a_while() {
    let fine = line("alice.test");
    let gone = AccountLine { status: "deleted".into(), ..fine.clone() };
    let nothing = AccountLine { verified: "nothing".into(), ..fine.clone() };
    let (fresh, old) = (Some(NOW - 3 * DAY), Some(NOW - 91 * DAY));
    for (line, hosted, taken, key, tone) in [
        (&fine, false, None, "light-copies-two", Tone::Warn),
        (&fine, false, fresh, "light-copies-taken", Tone::Good),
        (&fine, false, old, "light-copies-taken-old", Tone::Warn),
        (&gone, false, None, "light-copies-last", Tone::Bad),
        (&gone, false, fresh, "light-copies-last-taken", Tone::Warn),
        (&gone, false, old, "light-copies-last-taken", Tone::Warn),
        (&nothing, false, fresh, "light-copies-none", Tone::Bad),
        (&fine, true, None, "light-copies-hosted", Tone::Bad),
        (&fine, true, fresh, "light-copies-hosted-taken", Tone::Warn),
        (&fine, true, old, "light-copies-hosted", Tone::Bad),
    ] {
        let facts = Facts {
            line,
            drill: None,
            keys: None,
            own_key: false,
            alarm: None,
            taken,
            hosted,
            mine: true,
            now: NOW,
        };
        let [_, _, copies] = facts.lights();
        assert_eq!((copies.key, copies.tone), (key, tone), "{taken:?}");
        for locale in [Locale::En, Locale::De] {
            let words = Words::new(locale, NOW);
            let said = copies.sentence(&words);
            assert!(words.has(key) && !said.contains('⟦'), "{key}: {said}");
            let ago =
                taken.map(|at| words.ago(at)).filter(|_| key.ends_with("taken") || key.ends_with("old"));
            assert!(ago.is_none_or(|ago| said.contains(&ago)), "{key}: {said}");
        }
    }
}

#[test]
fn a_host_that_is_gone_is_said_and_an_account_that_lives_here_has_none() {
    let (fine, good) = (line("alice.test"), drill(true, NOW - DAY));
    let failed = AccountLine { last_error: Some("connection refused".into()), ..fine.clone() };
    let note = |heard: i64| {
        let note = serde_json::json!({ "state": "waiting", "from": "https://pds.example.com", "heard_at": heard, "words": "" });
        Some(serde_json::from_value(note).unwrap())
    };
    let silent = AccountLine { live: note(NOW - HOUR), ..fine.clone() };
    let short = AccountLine { live: note(NOW - HOUR / 60), ..fine.clone() };
    for (line, hosted, key, tone) in [
        (&fine, false, "light-data-good", Tone::Good),
        (&failed, false, "light-data-failed", Tone::Warn),
        (&silent, false, "light-data-silent", Tone::Warn),
        (&short, false, "light-data-good", Tone::Good),
        (&failed, true, "light-data-good", Tone::Good),
        (&silent, true, "light-data-good", Tone::Good),
    ] {
        let facts = Facts {
            line,
            drill: Some(&good),
            keys: None,
            own_key: false,
            alarm: None,
            taken: None,
            hosted,
            mine: true,
            now: NOW,
        };
        let [data, ..] = facts.lights();
        assert_eq!((data.key, data.tone), (key, tone));
        // When it was last heard is said once; of what lives here there is nobody to hear.
        let heard = line.live.as_ref().and_then(|live| live.heard_at).max(line.last_sync_at);
        assert_eq!(data.heard, heard.filter(|_| tone == Tone::Good && !hosted), "{key}");
        for locale in [Locale::En, Locale::De] {
            let words = Words::new(locale, NOW);
            assert!(words.has(key), "{key}");
            let ago = line.last_sync_at.map(|at| words.ago(at)).unwrap();
            assert!(tone == Tone::Good || data.sentence(&words).contains(&ago), "{key}");
        }
    }
}

#[test]
fn when_its_server_was_last_heard_is_said_at_the_light() {
    let note = |state: &str, heard: i64| {
        let note = serde_json::json!({ "state": state, "from": "https://x.example.com", "heard_at": heard, "words": "" });
        Some(serde_json::from_value(note).unwrap())
    };
    let with = |live| AccountLine { last_sync_at: Some(NOW - 5 * HOUR), live, ..line("alice.test") };
    let file = AccountLine { origin: "file".into(), ..with(None) };
    let gone = AccountLine { status: "deactivated".into(), ..with(None) };
    for (line, ago) in [
        (with(None), Some(5 * HOUR)),
        (with(note("polled", NOW - 4 * HOUR)), Some(4 * HOUR)),
        (with(note("live", NOW - HOUR / 20)), Some(HOUR / 20)),
        // A relay repeats what servers said that may be gone.
        (with(note("relay", NOW - HOUR / 20)), Some(5 * HOUR)),
        (file, None),
        (gone, None),
    ] {
        let facts = Facts {
            line: &line,
            drill: None,
            keys: None,
            own_key: false,
            alarm: None,
            taken: None,
            hosted: false,
            mine: true,
            now: NOW,
        };
        let [data, identity, copies] = facts.lights();
        assert_eq!(data.heard, ago.map(|ago| NOW - ago), "{:?}", line.live);
        assert_eq!((identity.heard, copies.heard), (None, None));
        let words = Words::new(Locale::En, NOW);
        let said = crate::pages::home::one_light(&words, "t", &data).into_string();
        assert_eq!(said.contains("last heard"), ago.is_some(), "{said}");
        assert!(ago.is_none_or(|ago| said.contains(&words.ago(NOW - ago))), "{said}");
    }
}

#[test]
fn what_only_the_owner_of_an_account_can_do_is_asked_of_nobody_else() {
    let fine = line("alice.test");
    for (keys, mine, own_key, key, tone) in [
        (KeyState::HostOnly, true, false, "light-identity-host", Tone::Bad),
        (KeyState::HostOnly, false, false, "light-identity-host-theirs", Tone::Unknown),
        (KeyState::PerhapsOwner, true, false, "light-identity-perhaps", Tone::Warn),
        (KeyState::PerhapsOwner, false, false, "light-identity-perhaps-theirs", Tone::Unknown),
        (KeyState::PerhapsOwner, false, true, "light-identity-good", Tone::Good),
    ] {
        let facts = Facts {
            line: &fine,
            drill: None,
            keys: Some(keys),
            own_key,
            alarm: None,
            taken: None,
            hosted: false,
            mine,
            now: NOW,
        };
        let [_, identity, _] = facts.lights();
        assert_eq!((identity.key, identity.tone, identity.mend.is_some()), (key, tone, tone > Tone::Unknown));
        for locale in [Locale::En, Locale::De] {
            let words = Words::new(locale, NOW);
            assert!(words.has(key) && words.has(&identity.standing()), "{key}");
        }
    }
}
