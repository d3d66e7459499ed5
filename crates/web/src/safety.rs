//! Three lights for each account: *data*, *identity*, *copies*. A pure function of what is known; each light is one
//! sentence and at most one thing to do.

use p2pds_archive::{AccountLine, KeyState};
use p2pds_recovery::DrillReport;

use crate::parts::{Tone, account_path};
use crate::words::{Arg, Words};

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// A copy that was not compared with its source for so long is old.
const STALE: i64 = 2 * DAY;
/// Nothing was heard for so long of a copy whose stream is down: that is said.
const SILENT: i64 = HOUR / 12;
/// A drill proves for so long.
const PROVED_FOR: i64 = 35 * DAY;
/// A copy that was taken out counts for so long.
const TAKEN_FOR: i64 = 90 * DAY;

/// Sentences that say what is known of the account's server, or that nothing is known yet.
const ABOUT_SERVERS: [&str; 5] =
    ["light-data-coming", "light-data-failed", "light-data-nothing", "light-data-silent", "light-data-stale"];

/// What a light is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Whether the data is here, fresh, and proved to restore.
    Data,
    /// Whether the owner can move the identity without his host.
    Identity,
    /// In how many places the data is.
    Copies,
}

impl Of {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Identity => "identity",
            Self::Copies => "copies",
        }
    }
}

/// What mends a light.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mend {
    /// The key of what stands on the button.
    pub words: &'static str,
    /// Where it leads.
    pub path: String,
    /// Pressing it does something at once; otherwise it leads to a page.
    pub acts: bool,
}

/// A light.
#[derive(Debug, Clone, PartialEq)]
pub struct Light {
    /// What it is about.
    pub of: Of,
    /// How it stands.
    pub tone: Tone,
    /// The key of its sentence.
    pub key: &'static str,
    /// A time in the sentence, microseconds since 1970.
    pub at: Option<i64>,
    /// A number in the sentence.
    pub count: Option<u64>,
    /// When the account's server was last heard, where the sentence does not say it.
    pub heard: Option<i64>,
    /// What mends it.
    pub mend: Option<Mend>,
}

impl Light {
    /// The key of the word for how it stands.
    #[must_use]
    pub fn standing(&self) -> String {
        if self.key.ends_with("-theirs") {
            "tone-theirs".to_owned()
        } else {
            format!("tone-{}", self.tone.class())
        }
    }

    /// Its sentence.
    #[must_use]
    pub fn sentence(&self, w: &Words) -> String {
        let mut args: Vec<(&str, Arg<'_>)> = Vec::new();
        if let Some(at) = self.at {
            args.push(("ago", Arg::from(w.ago(at))));
            args.push(("until", Arg::from(w.ago(at))));
        }
        if let Some(count) = self.count {
            args.push(("count", Arg::from(count)));
        }
        w.f(self.key, &args)
    }
}

/// What is known of an account.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Its line of the list.
    pub line: &'a AccountLine,
    /// The last drill.
    pub drill: Option<&'a DrillReport>,
    /// Who can move the identity.
    pub keys: Option<KeyState>,
    /// The owner said that a rotation key above the host's is his own.
    pub own_key: bool,
    /// An identity operation that nobody expected, and until when it can be undone.
    pub alarm: Option<i64>,
    /// When a whole copy last left this node.
    pub taken: Option<i64>,
    /// It is hosted here.
    pub hosted: bool,
    /// It is the node owner's own: nobody else can do anything about the identity.
    pub mine: bool,
    /// The time, microseconds since 1970.
    pub now: i64,
}

impl Facts<'_> {
    fn light(&self, of: Of, tone: Tone, key: &'static str) -> Light {
        let _ = self;
        Light { of, tone, key, at: None, count: None, heard: None, mend: None }
    }

    fn path(&self, rest: &str) -> String {
        format!("{}{rest}", account_path(self.line.did.as_str()))
    }

    fn act(&self, light: Light, words: &'static str, rest: &str) -> Light {
        Light { mend: Some(Mend { words, path: self.path(rest), acts: true }), ..light }
    }

    fn look(&self, light: Light, words: &'static str, rest: &str) -> Light {
        Light { mend: Some(Mend { words, path: self.path(rest), acts: false }), ..light }
    }

    /// All three.
    #[must_use]
    pub fn lights(&self) -> [Light; 3] {
        let data = self.data();
        let heard = self.heard().filter(|_| !ABOUT_SERVERS.contains(&data.key));
        [Light { heard, ..data }, self.identity(), self.copies()]
    }

    /// When its server was last heard; a relay that is heard says nothing of it.
    fn heard(&self) -> Option<i64> {
        let line = self.line;
        if self.hosted || line.status != "active" || line.origin == "file" {
            return None;
        }
        let live = line.live.as_ref().filter(|live| live.state != "relay").and_then(|live| live.heard_at);
        live.max(line.last_sync_at)
    }

    fn data(&self) -> Light {
        let (of, line) = (Of::Data, self.line);
        let old = |at: i64, limit: i64| self.now.saturating_sub(at) > limit;
        if line.verified == "nothing" {
            return if self.hosted {
                self.look(self.light(of, Tone::Bad, "light-data-nothing"), "mend-see", "")
            } else if line.doing.is_some() {
                self.look(self.light(of, Tone::Unknown, "light-data-coming"), "mend-watch", "")
            } else {
                self.act(self.light(of, Tone::Bad, "light-data-nothing"), "mend-sync", "/sync")
            };
        }
        if line.last_verify_ok == Some(false) {
            return self.act(self.light(of, Tone::Bad, "light-data-damaged"), "mend-verify", "/verify");
        }
        if let Some(drill) = self.drill.filter(|drill| !drill.ok) {
            let light = Light { at: Some(drill.at), ..self.light(of, Tone::Bad, "light-data-drill-failed") };
            return self.look(light, "mend-see-drill", "/drills");
        }
        if line.verified != "verified" {
            return self.look(self.light(of, Tone::Warn, "light-data-unverified"), "mend-see", "");
        }
        let stale = line.last_sync_at.is_none_or(|at| old(at, STALE)) && line.origin != "file";
        if stale && !self.hosted && line.status == "active" {
            let light = Light { at: line.last_sync_at, ..self.light(of, Tone::Bad, "light-data-stale") };
            let never = Light { key: "light-data-nothing", ..light.clone() };
            return self.act(if light.at.is_some() { light } else { never }, "mend-sync", "/sync");
        }
        if let Some(key) = self.silent() {
            let light = Light { at: line.last_sync_at, ..self.light(of, Tone::Warn, key) };
            return self.act(light, "mend-sync", "/sync");
        }
        let Some(drill) = self.drill else {
            return self.act(self.light(of, Tone::Warn, "light-data-undrilled"), "mend-drill", "/drill");
        };
        if old(drill.at, PROVED_FOR) {
            let light = Light { at: Some(drill.at), ..self.light(of, Tone::Warn, "light-data-drill-old") };
            return self.act(light, "mend-drill", "/drill");
        }
        if line.blobs_missing > 0 {
            let count = Some(line.blobs_missing);
            let light = Light { count, ..self.light(of, Tone::Warn, "light-data-media") };
            return self.look(light, "mend-media", "/media");
        }
        Light { at: Some(drill.at), ..self.light(of, Tone::Good, "light-data-good") }
    }

    /// Why nothing new comes from its server just now, if so.
    fn silent(&self) -> Option<&'static str> {
        let line = self.line;
        if self.hosted || line.status != "active" || line.paused || line.last_sync_at.is_none() {
            return None;
        }
        if line.last_error.is_some() {
            return Some("light-data-failed");
        }
        // A stream that breaks is opened again within moments, as a rule.
        let live = line.live.as_ref().filter(|live| live.state == "waiting")?;
        let heard = live.heard_at.max(line.last_sync_at)?;
        (self.now.saturating_sub(heard) > SILENT).then_some("light-data-silent")
    }

    fn identity(&self) -> Light {
        let of = Of::Identity;
        if let Some(until) = self.alarm {
            let light = Light { at: Some(until), ..self.light(of, Tone::Bad, "light-identity-alarm") };
            return self.look(light, "mend-identity", "/identity");
        }
        // What only the owner of an account can do is asked of nobody else.
        let whose = match self.keys {
            Some(KeyState::PerhapsOwner) if !self.own_key => Some("light-identity-perhaps-theirs"),
            Some(KeyState::HostOnly) => Some("light-identity-host-theirs"),
            _ => None,
        };
        if let Some(key) = whose.filter(|_| !self.mine) {
            return self.light(of, Tone::Unknown, key);
        }
        let (tone, key, words) = match self.keys {
            Some(KeyState::PerhapsOwner) if self.own_key => {
                return self.light(of, Tone::Good, "light-identity-good");
            }
            Some(KeyState::PerhapsOwner) => (Tone::Warn, "light-identity-perhaps", "mend-confirm-key"),
            Some(KeyState::HostOnly) => (Tone::Bad, "light-identity-host", "mend-add-key"),
            Some(KeyState::Frozen) => (Tone::Warn, "light-identity-frozen", "mend-see"),
            Some(KeyState::Tombstoned) => (Tone::Bad, "light-identity-tombstone", "mend-see"),
            Some(KeyState::NoLog) if self.line.did.as_str().starts_with("did:web:") => {
                (Tone::Warn, "light-identity-web", "mend-see")
            }
            Some(KeyState::NoLog) | None => (Tone::Unknown, "light-identity-unknown", "mend-see"),
        };
        self.look(self.light(of, tone, key), words, "/identity")
    }

    fn copies(&self) -> Light {
        let of = Of::Copies;
        // What became of a copy that was taken out is not known here: it counts for a while, and its age is said.
        let fresh = self.taken.map(|at| self.now.saturating_sub(at) <= TAKEN_FOR);
        let (tone, key) = match (self.hosted, self.line.verified.as_str(), self.line.status.as_str()) {
            (true, _, _) if fresh == Some(true) => (Tone::Warn, "light-copies-hosted-taken"),
            (true, _, _) => (Tone::Bad, "light-copies-hosted"),
            (false, "nothing", _) => (Tone::Bad, "light-copies-none"),
            (false, _, "active") => match fresh {
                Some(true) => (Tone::Good, "light-copies-taken"),
                Some(false) => (Tone::Warn, "light-copies-taken-old"),
                None => (Tone::Warn, "light-copies-two"),
            },
            (false, _, _) if fresh.is_some() => (Tone::Warn, "light-copies-last-taken"),
            (false, _, _) => (Tone::Bad, "light-copies-last"),
        };
        let light = Light { at: self.taken, ..self.light(of, tone, key) };
        if tone == Tone::Good { light } else { self.look(light, "mend-export", "/export") }
    }
}

#[cfg(test)]
mod tests;
