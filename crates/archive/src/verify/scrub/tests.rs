//! The pace, by value and in a simulated round.

use super::*;

const DAY: i64 = 86_400_000_000;

fn pace() -> Pace {
    Pace { percent: 5, within: Duration::from_secs(30 * 86_400) }
}

#[test]
fn five_percent_of_a_core_unless_it_is_late() {
    let step = Duration::from_millis(20);
    let small = Scrub { total_bytes: 1 << 30, done_bytes: 1 << 20, busy_us: 500_000, ..Scrub::default() };
    let paced = pace().after(&small, step, 0);
    assert_eq!(paced.pause, Duration::from_millis(380), "20 ms of 400 ms");
    assert!(!paced.too_late && paced.ends_at.is_some());

    // At 2 MB in half a second, what is left takes 10 % of the time that is left.
    let busy_left = 3 * DAY / 10;
    let late = Scrub {
        total_bytes: 2_000_000 + u64::try_from(busy_left * 4).unwrap(),
        done_bytes: 2_000_000,
        busy_us: 500_000,
        ..Scrub::default()
    };
    let paced = pace().after(&late, step, 27 * DAY);
    assert!((170..=190).contains(&paced.pause.as_millis()), "{paced:?}");
    assert!(!paced.too_late);
    let paced = pace().after(&late, step, 29 * DAY);
    assert_eq!(paced.pause, Duration::from_millis(80), "four times its share at most");
    assert!(paced.too_late, "and the operator is told");
    let paced = pace().after(&late, step, 40 * DAY);
    assert!(paced.too_late && paced.pause == Duration::from_millis(80));

    let new = Scrub { total_bytes: u64::MAX, ..Scrub::default() };
    let paced = pace().after(&new, step, 0);
    assert!(!paced.too_late && paced.ends_at.is_none(), "nothing is foretold from nothing");
    let whole = Pace { percent: 100, ..pace() };
    assert_eq!(whole.after(&small, step, 0).pause, Duration::ZERO);
}

/// A disk of 3 TB at 200 MB/s and core is read within 30 days at the default share, and 40 TB are not.
#[test]
fn a_round_keeps_its_time_when_it_can() {
    for (bytes, in_time) in
        [(3_000_000_000_000_u64, true), (60_000_000_000_000, true), (200_000_000_000_000, false)]
    {
        let (rate, step) = (200_u64, Duration::from_secs(600));
        let mut scrub = Scrub { total_bytes: bytes, ..Scrub::default() };
        let (mut now, mut told) = (0_i64, false);
        while scrub.done_bytes < bytes {
            let busy = u64::try_from(step.as_micros()).unwrap();
            scrub.busy_us += busy;
            scrub.done_bytes += busy * rate;
            let paced = pace().after(&scrub, step, now);
            told |= paced.too_late;
            now += i64::try_from((step + paced.pause).as_micros()).unwrap();
        }
        assert_eq!(now <= 30 * DAY, in_time, "{bytes} bytes took {} days", now / DAY);
        assert_eq!(told, !in_time, "{bytes}");
    }
}

#[test]
fn progress_never_says_done_before_it_is() {
    let scrub = Scrub { total_bytes: 10, done_bytes: 30, ..Scrub::default() };
    assert_eq!(scrub.permille(), 999);
    assert_eq!(Scrub { ended_at: Some(1), ..scrub }.permille(), 1_000);
    assert_eq!(Scrub::default().permille(), 0);
    let text = serde_json::to_string(&Scrub::default()).unwrap();
    assert_eq!(serde_json::from_str::<Scrub>(&text).unwrap(), Scrub::default());
}
