//! Whether a relay follows, from what it says and what is seen here. Pure.

use super::RelayNotes;

/// What a relay answers about this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What it has: its word for this host, and the last event that it has read.
    Known {
        /// `active` and its like.
        status: Option<String>,
        /// The last event.
        seq: Option<i64>,
    },
    /// It has never heard of this host.
    Unknown,
    /// It does not answer such questions.
    Silent,
    /// It did not answer now.
    Failed(String),
}

/// Whether it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Follows {
    /// Yes.
    Yes,
    /// Nobody can tell yet.
    Unclear(String),
    /// No, and why.
    No(String),
}

/// Judges an answer. `newest` is the newest event now, `reads` whether somebody reads the stream up to its end, `lately`
/// whether the relay was asked so short a time ago that it need not have begun.
#[must_use]
pub(super) fn judge(notes: &RelayNotes, answer: &Answer, newest: i64, reads: bool, lately: bool) -> Follows {
    let not_yet = |why: String| match lately {
        true => {
            Follows::Unclear(format!("it was asked to follow a moment ago, and may not have begun: {why}"))
        }
        false => Follows::No(why),
    };
    match answer {
        Answer::Known { status, seq } => {
            let word = status.as_deref().unwrap_or("active");
            if matches!(word, "throttled" | "banned") {
                return Follows::No(format!(
                    "it says that this host is {word}: ask its operator, and look at how much this host sends"
                ));
            }
            match seq {
                Some(seq) if *seq > newest => Follows::No(format!(
                    "it has read up to event {seq}, and the newest one here is {newest}: this host was restored or made \
                     anew under the same name; let its numbers jump ahead (see restore)"
                )),
                Some(seq) if *seq >= notes.due_seq => Follows::Yes,
                None if reads => Follows::Yes,
                // Who came after the newest event has read none, and says so by a number below the first.
                Some(..0)
                    if reads
                        && matches!(word, "active" | "idle")
                        && notes.came_seq.is_some_and(|came| notes.due_seq <= came) =>
                {
                    Follows::Yes
                }
                Some(..0) => not_yet(format!("it has read nothing; the newest event is {newest}")),
                Some(seq) => not_yet(format!("it has read up to event {seq}; the newest one is {newest}")),
                None => Follows::Unclear("it does not say how far it has read".to_owned()),
            }
        }
        Answer::Unknown if notes.asked_at.is_none() => Follows::Unclear("it was not asked yet".to_owned()),
        Answer::Unknown => not_yet(
            "it does not know this host: it must be reachable from outside under its name, by HTTPS and WebSocket".to_owned(),
        ),
        Answer::Silent if reads => Follows::Yes,
        Answer::Silent => not_yet("nobody reads the stream up to its end".to_owned()),
        Answer::Failed(_) if reads => Follows::Yes,
        Answer::Failed(why) => Follows::Unclear(format!("it does not answer: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_follows_when_it_has_read_what_it_should_have() {
        let asked = RelayNotes { asked_at: Some(1), due_seq: 50, ..RelayNotes::default() };
        let known = |status: &str, seq| Answer::Known { status: Some(status.to_owned()), seq };
        let no = |follows| matches!(follows, Follows::No(_));
        let judge = |notes: &RelayNotes, answer: &Answer, newest, reads| {
            super::judge(notes, answer, newest, reads, false)
        };
        assert_eq!(judge(&asked, &known("active", Some(50)), 60, false), Follows::Yes);
        assert_eq!(judge(&asked, &known("idle", Some(60)), 60, false), Follows::Yes);
        assert!(no(judge(&asked, &known("active", Some(49)), 60, true)), "it stands still");
        assert!(no(judge(&asked, &known("banned", Some(60)), 60, true)));
        assert!(no(judge(&asked, &known("throttled", Some(60)), 60, true)));
        assert!(no(judge(&asked, &known("active", Some(61)), 60, true)), "numbers went back");
        assert_eq!(judge(&asked, &known("active", None), 60, true), Follows::Yes);
        assert!(no(judge(&asked, &Answer::Unknown, 60, false)));
        assert!(no(judge(&asked, &Answer::Silent, 60, false)));
        assert_eq!(judge(&asked, &Answer::Silent, 60, true), Follows::Yes);
        assert!(matches!(judge(&asked, &Answer::Failed("x".into()), 60, false), Follows::Unclear(_)));
        let new = RelayNotes::default();
        assert!(matches!(judge(&new, &Answer::Unknown, 60, false), Follows::Unclear(_)));
        assert_eq!(judge(&new, &known("active", Some(0)), 60, false), Follows::Yes, "it has just begun");
        // What a relay says between having been asked and its first connection.
        assert!(no(judge(&new, &known("active", Some(-1)), 60, false)));
        let came = |came_seq| RelayNotes { came_seq, ..asked.clone() };
        let nothing = known("active", Some(-1));
        assert_eq!(
            judge(&came(Some(50)), &nothing, 60, true),
            Follows::Yes,
            "nothing happened since it came"
        );
        assert!(
            no(judge(&came(Some(49)), &nothing, 60, true)),
            "somebody else reads; this one has missed something"
        );
        assert!(no(judge(&came(Some(50)), &nothing, 60, false)));
        assert!(no(judge(&came(Some(50)), &known("offline", Some(-1)), 60, true)), "it says so itself");
        for answer in [known("active", Some(-1)), Answer::Unknown, Answer::Silent] {
            let follows = super::judge(&asked, &answer, 60, false, true);
            assert!(matches!(follows, Follows::Unclear(_)), "{answer:?}: {follows:?}");
        }
        for answer in [known("banned", Some(60)), known("active", Some(61))] {
            assert!(no(super::judge(&asked, &answer, 60, false, true)), "no time mends that: {answer:?}");
        }
    }
}
