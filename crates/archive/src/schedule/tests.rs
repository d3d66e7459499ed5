//! The scheduler, by value, by property, and in simulated days.

use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const T0: i64 = 1_790_000_000 * SECOND;

fn subject(name: &str, host: &str, need: Need) -> Subject {
    let host = (!host.is_empty()).then(|| host.to_owned());
    Subject { name: name.to_owned(), host, priority: 0, need, setback: None, asked: false }
}

fn wide() -> Rule {
    Rule { parallel: 1_000, per_host: 1_000, spacing: Duration::ZERO, ..Rule::default() }
}

#[test]
fn priority_first_then_the_longest_due() {
    let mut subjects: Vec<Subject> = [(3, 0), (1, 0), (2, 5), (0, -1)]
        .into_iter()
        .map(|(hours, priority)| Subject {
            priority,
            ..subject(&format!("{hours} h late"), "", Need::at(T0 - hours * HOUR, "x"))
        })
        .collect();
    subjects.push(subject("later", "", Need::at(T0 + HOUR, "x")));
    let plan = plan(&wide(), &subjects, &Busy::default(), T0);
    let order: Vec<usize> = plan.start.iter().map(|turn| turn.index).collect();
    assert_eq!(order, [2, 0, 1, 3]);
    assert_eq!(plan.next, Some(T0 + HOUR));
}

#[test]
fn back_off_grows_by_level_and_ends_with_a_success() {
    let pause = |level, failures| {
        let setback = Setback { failures, level, at: T0, until: None };
        (setback.next("did:plc:a") - T0) / SECOND
    };
    for (level, first, longest) in
        [(Level::Ours, 60, 900), (Level::Host, 300, 86_400), (Level::Refused, 3_600, 86_400)]
    {
        assert!((first * 3 / 4..=first).contains(&pause(level, 1)), "{level:?}");
        assert!((first * 6 / 4..=first * 2).contains(&pause(level, 2)), "{level:?}");
        assert!((longest * 3 / 4..=longest).contains(&pause(level, 40)), "{level:?}");
    }
    let setback = Setback { failures: 5, level: Level::Host, at: T0, until: Some(T0 + 48 * HOUR) };
    assert_eq!(setback.next("x"), T0 + 48 * HOUR, "the host said how long");
    let failed = Subject { setback: Some(setback), ..subject("x", "", Need::every(Some(T0 - HOUR))) };
    assert_eq!(failed.due(&Rule::default()), (T0 + 48 * HOUR, Why::Again(5)));
    let healed = Subject { need: Need::every(Some(T0 + SECOND)), ..failed.clone() };
    assert_eq!(healed.due(&Rule::default()).1, Why::Interval, "somebody synced it by hand since");
    let asked = Subject { asked: true, ..failed };
    assert_eq!(asked.due(&Rule::default()), (i64::MIN, Why::Asked));
}

#[test]
fn hosts_are_told_apart_by_name_and_port() {
    for (url, host) in [
        ("https://PDS.example.com/", "pds.example.com"),
        ("http://127.0.0.1:2583/xrpc", "127.0.0.1:2583"),
        ("pds.example.com", "pds.example.com"),
    ] {
        assert_eq!(host_of(url), host);
    }
}

/// A worker over simulated time: each run takes `takes`; gives (time, index) of every start.
fn simulate(rule: &Rule, subjects: &mut [Subject], until: i64, takes: i64) -> Vec<(i64, usize)> {
    let (mut now, mut busy, mut starts) = (T0, Busy::default(), Vec::new());
    let mut ends: Vec<(i64, usize)> = Vec::new();
    while now < until {
        ends.sort_unstable();
        while let Some(&(at, index)) = ends.first().filter(|(at, _)| *at <= now) {
            ends.remove(0);
            busy.end(&subjects[index].name);
            subjects[index].need = Need::every(Some(at));
        }
        busy.forget(rule, now);
        let plan = plan(rule, subjects, &busy, now);
        for turn in &plan.start {
            busy.begin(&subjects[turn.index], now);
            starts.push((now, turn.index));
            ends.push((now + takes, turn.index));
        }
        let next = ends.iter().map(|(at, _)| *at).chain(plan.next).min();
        now = next.unwrap_or(until).max(now + 1);
    }
    starts
}

#[test]
fn many_accounts_on_one_host_are_spread_over_the_hour() {
    let rule = Rule { parallel: 4, per_host: 2, ..Rule::default() };
    let mut subjects: Vec<Subject> =
        (0..300).map(|n| subject(&format!("did:plc:{n}"), "one.example", Need::every(None))).collect();
    let starts = simulate(&rule, &mut subjects, T0 + 24 * HOUR, SECOND / 10);
    for pair in starts.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 200_000, "two starts on one host are 200 ms apart");
    }
    for index in 0..300 {
        let mine: Vec<i64> = starts.iter().filter(|(_, i)| *i == index).map(|(at, _)| *at).collect();
        assert!(mine.len() >= 20, "account {index} ran {} times in a day", mine.len());
        for pair in mine.windows(2) {
            assert!(pair[1] - pair[0] <= HOUR * 115 / 100, "no account waits long past its interval");
        }
    }
    // All began at once; by the end the minutes of the last hour are alike.
    let mut minutes = [0_usize; 60];
    let last: Vec<i64> =
        starts.iter().map(|(at, _)| (at - T0) / SECOND).filter(|s| *s >= 23 * 3_600).collect();
    for second in &last {
        minutes[usize::try_from((second - 23 * 3_600) / 60).unwrap()] += 1;
    }
    assert!(minutes.iter().all(|&n| n <= last.len() / 15), "{minutes:?}");
}

proptest! {
    #[test]
    fn a_plan_keeps_every_limit(
        accounts in prop::collection::vec((0_u8..4, -2_i32..3, -4_i64..4, 0_u32..6, any::<bool>()), 0..60),
        parallel in 1_usize..8,
        per_host in 1_usize..4,
        began in prop::collection::vec((0_usize..60, -3_i64..3), 0..6),
    ) {
        let rule = Rule { parallel, per_host, spacing: Duration::from_secs(1), ..Rule::default() };
        let subjects: Vec<Subject> = accounts
            .iter()
            .enumerate()
            .map(|(n, &(host, priority, late, failures, asked))| Subject {
                priority,
                asked,
                setback: (failures > 0).then_some(Setback { failures, level: Level::Host, at: T0 - 3 * HOUR, until: None }),
                ..subject(&format!("a{n}"), ["", "x", "y", "z"][usize::from(host)], Need::every(Some(T0 - late * HOUR)))
            })
            .collect();
        let mut busy = Busy::default();
        for &(index, ago) in &began {
            if let Some(subject) = subjects.get(index) {
                busy.begin(subject, T0 - ago * SECOND);
            }
        }
        let made = plan(&rule, &subjects, &busy, T0);
        prop_assert_eq!(&made, &plan(&rule, &subjects, &busy, T0), "the same facts give the same plan");
        prop_assert!(made.start.is_empty() || made.start.len() + busy.len() <= parallel);
        let mut hosts: HashMap<&str, usize> = HashMap::new();
        for turn in &made.start {
            let subject = &subjects[turn.index];
            prop_assert!(subject.due(&rule).0 <= T0);
            prop_assert!(!busy.running.contains_key(&subject.name), "nothing runs twice");
            if let Some(host) = &subject.host {
                let n = hosts.entry(host).or_default();
                *n += 1;
                prop_assert!(*n <= 1, "spacing: one start a second and host");
                prop_assert!(busy.on(host) < per_host);
            }
        }
        // Nobody who is due and has room is passed over for one of lower priority.
        let due = subjects.iter().filter(|s| s.due(&rule).0 <= T0 && !busy.running.contains_key(&s.name)).count();
        prop_assert_eq!(made.start.len() + made.waiting, due);
        if let (Some(first), 0) = (made.start.first(), began.len()) {
            let best = subjects.iter().filter(|s| s.due(&rule).0 <= T0).map(|s| s.priority).max();
            prop_assert_eq!(Some(subjects[first.index].priority), best);
        }
        if let Some(next) = made.next {
            prop_assert!(next > T0, "waiting is never for the past");
        }
    }

    #[test]
    fn jitter_stays_within_its_share(name in "[a-z]{1,20}", last in 0_i64..(1 << 50)) {
        let rule = Rule::default();
        let (at, why) = subject(&name, "", Need::every(Some(last))).due(&rule);
        prop_assert_eq!(why, Why::Interval);
        prop_assert!((last + HOUR * 9 / 10..=last + HOUR * 11 / 10).contains(&at));
    }
}
