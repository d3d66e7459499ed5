//! What a host, a directory, a name server, a relay or a reader does wrong, as data.
//!
//! The catalogue is `behaviours.json`: each entry has a name, says what is done, and has the script by which the servers
//! of this crate do it. [`behaviours`] reads it; the tests run all of it.

use serde::{Deserialize, Serialize};

use super::log::LogLie;
use super::names::NameLie;
use super::offer::Offer;
use super::reader::Abuse;
use super::rule::Rule;
use crate::stream;

/// Who behaves so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// The account's host.
    Pds,
    /// The PLC directory.
    Directory,
    /// A name server, or whoever rules a domain.
    Names,
    /// A host or a relay that streams events.
    Relay,
    /// Somebody who reads from the node.
    Reader,
}

/// One way to misbehave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Behaviour {
    /// A stable name.
    pub name: String,
    /// Who.
    pub party: Party,
    /// What, in a sentence.
    pub does: String,
    /// Which repo a host claims to have; nothing: the true one, with a new record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// Which log of operations a directory gives out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogLie>,
    /// What names mean from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<NameLie>,
    /// How it answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// What it does to a stream of events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stream: Vec<stream::Rule>,
    /// What a reader does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reader: Vec<Abuse>,
    /// Words of which `archive show` must use one; none: there is nothing to name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<String>,
    /// Odd, but what it gives is proved: it is taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken: bool,
    /// The test that runs it, when that is not the one over this table: the file in `tests/` and a word in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_by: Option<(String, String)>,
}

/// The catalogue.
///
/// # Panics
/// The file is not what it should be.
#[must_use]
pub fn behaviours() -> Vec<Behaviour> {
    serde_json::from_str(include_str!("behaviours.json")).expect("behaviours.json")
}

/// Those of one party.
#[must_use]
pub fn behaviours_of(party: Party) -> Vec<Behaviour> {
    behaviours().into_iter().filter(|behaviour| behaviour.party == party).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_catalogue_is_data() {
        let all = behaviours();
        let names: BTreeSet<&str> = all.iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names.len(), all.len(), "names are used once");
        assert!(all.len() >= 60, "{}", all.len());
        let again: Vec<Behaviour> = serde_json::from_str(&serde_json::to_string(&all).unwrap()).unwrap();
        assert_eq!(again, all);
        for behaviour in &all {
            let scripted = behaviour.offer.is_some()
                || behaviour.log.is_some()
                || behaviour.names.is_some()
                || !behaviour.reader.is_empty()
                || !behaviour.rules.is_empty()
                || !behaviour.stream.is_empty();
            assert!(scripted || behaviour.run_by.is_some(), "{} does nothing", behaviour.name);
        }
    }

    /// What lies beside the catalogue as code is named in it.
    #[test]
    fn nothing_is_missing() {
        let all = behaviours();
        for (name, _) in crate::directory::export_lies("did:plc:a") {
            assert!(all.iter().any(|behaviour| behaviour.name == name), "{name} is not in the catalogue");
        }
    }

    /// What other tests run is there.
    #[test]
    fn each_is_run_by_a_test() {
        for behaviour in behaviours() {
            let Some((file, word)) = behaviour.run_by else { continue };
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(&file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(text.contains(&word), "{file} does not run {}: no `{word}`", behaviour.name);
        }
    }
}
