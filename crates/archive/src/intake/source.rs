//! Who is meant: names that were typed in, everyone whom an account follows, everyone on a list.

use std::collections::HashSet;

use p2pds_ipld::cbor::{Limits, Value, decode};
use p2pds_net::GetOptions;
use p2pds_reading::{Order, Reading, Viewer};
use p2pds_syntax::{AtIdentifier, AtUri, Did, Nsid};
use serde::{Deserialize, Serialize};

use crate::archive::{Inner, parse_name};
use crate::error::{ArchiveError, ArchiveResult};

/// Accounts that are taken in at once at most.
pub const MOST_AT_ONCE: usize = 5_000;
/// Records on one page of a host's answer: the most that hosts give.
const PAGE: usize = 100;
/// Pages that are read of one source: twice as many as [`MOST_AT_ONCE`] accounts stand on.
const PAGES: usize = 100;
/// Most bytes of such a page.
const PAGE_BYTES: u64 = 4 << 20;

/// Which accounts are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", content = "value", rename_all = "kebab-case")]
pub enum Source {
    /// These handles and DIDs.
    Names(Vec<String>),
    /// Everyone whom this account follows: handle or DID.
    FollowsOf(String),
    /// Everyone on this list: `at://HANDLE-OR-DID/app.bsky.graph.list/KEY`, or its address at bsky.app.
    List(String),
}

impl Source {
    /// The names in a text, whatever stands between them: blanks, commas, semicolons, ends of lines. Each is there once,
    /// without the `@` before it.
    #[must_use]
    pub fn names_in(text: &str) -> Self {
        let mut known = HashSet::new();
        let parts = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '<' | '>'));
        let names = parts.map(|name| name.trim_start_matches('@')).filter(|name| !name.is_empty());
        Self::Names(names.filter(|name| known.insert(name.to_ascii_lowercase())).map(str::to_owned).collect())
    }
}

/// Who was found in a source.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) who: Vec<AtIdentifier>,
    /// What of it is no name, and why.
    pub(super) wrong: Vec<(String, String)>,
    /// The account that it was read from, and where: its host, or nothing when it is archived here.
    pub(super) of: Option<(Did, Option<String>)>,
    /// There are more than were taken.
    pub(super) cut: bool,
}

/// Which records of an account name others.
struct Named {
    did: Did,
    host: Option<String>,
    collection: &'static str,
    /// Only those of this list.
    list: Option<String>,
}

impl Inner {
    pub(super) async fn gather(&self, source: &Source) -> ArchiveResult<Gathered> {
        match source {
            Source::Names(names) => Ok(named(names)),
            Source::FollowsOf(name) => {
                let (did, host) = self.whose(&parse_name(name)?).await?;
                self.read(Named { did, host, collection: "app.bsky.graph.follow", list: None }).await
            }
            Source::List(uri) => {
                let wrong = || ArchiveError::NotAList(uri.clone());
                let at = AtUri::parse(&list_uri(uri)).map_err(|_| wrong())?;
                let is_list = at.collection().is_some_and(|nsid| nsid.as_str() == "app.bsky.graph.list");
                let rkey = at.rkey().filter(|_| is_list).ok_or_else(wrong)?;
                let (did, host) = self.whose(at.authority()).await?;
                let list = Some(format!("at://{did}/app.bsky.graph.list/{rkey}"));
                self.read(Named { did, host, collection: "app.bsky.graph.listitem", list }).await
            }
        }
    }

    /// The account, and its host unless what it wrote is here.
    async fn whose(&self, name: &AtIdentifier) -> ArchiveResult<(Did, Option<String>)> {
        let here = match name {
            AtIdentifier::Did(did) => self.store().account(did).await?,
            AtIdentifier::Handle(handle) => {
                let all = self.all_accounts().await?;
                all.into_iter().find(|account| account.handle.as_deref() == Some(handle.as_str()))
            }
        };
        if let Some(account) = here.filter(|account| account.rev.is_some() && !account.purging) {
            return Ok((account.did, None));
        }
        let identity = self.resolve(name).await?;
        let host = crate::add::host_of(&identity)?;
        Ok((identity.did, Some(host)))
    }

    async fn read(&self, named: Named) -> ArchiveResult<Gathered> {
        let mut found = Gathered { of: Some((named.did.clone(), named.host.clone())), ..Gathered::default() };
        let mut known = HashSet::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES {
            let (dids, next) = match &named.host {
                None => self.page_here(&named, cursor.as_deref()).await?,
                Some(host) => self.page_of(host, &named, cursor.as_deref()).await?,
            };
            for did in dids {
                if found.who.len() >= MOST_AT_ONCE {
                    found.cut = true;
                    return Ok(found);
                }
                if known.insert(did.clone()) {
                    found.who.push(AtIdentifier::Did(did));
                }
            }
            match next {
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => return Ok(found),
            }
        }
        found.cut = true;
        Ok(found)
    }

    /// From what is archived here, as its current head has it.
    async fn page_here(
        &self,
        named: &Named,
        beyond: Option<&str>,
    ) -> ArchiveResult<(Vec<Did>, Option<String>)> {
        let door = Reading::new(self.store().clone(), self.blobs().clone());
        let seen = door.view(Viewer::Operator, &named.did).await.map_err(crate::show::from_refusal)?;
        let collection =
            Nsid::parse(named.collection).map_err(|error| ArchiveError::Bug(error.to_string()))?;
        let order = (beyond, Order::Ascending);
        let page = door.list(Viewer::Operator, &seen, &collection, order, PAGE).await;
        let page = page.map_err(crate::show::from_refusal)?;
        let dids = page.rows.iter().filter_map(|row| {
            let value = decode(row.body.as_ref()?, &Limits::RECORD).ok()?;
            let text = |name: &str| match value.get(name) {
                Some(Value::Text(text)) => Some(text.as_str().to_owned()),
                _ => None,
            };
            subject(named, text("list").as_deref(), text("subject").as_deref())
        });
        Ok((dids.collect(), page.next))
    }

    /// From the account's host.
    async fn page_of(
        &self,
        host: &str,
        named: &Named,
        cursor: Option<&str>,
    ) -> ArchiveResult<(Vec<Did>, Option<String>)> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            cursor: Option<String>,
            records: Vec<One>,
        }
        #[derive(Deserialize)]
        struct One {
            value: serde_json::Value,
        }
        let mut params =
            vec![("repo", named.did.as_str()), ("collection", named.collection), ("limit", "100")];
        params.extend(cursor.map(|cursor| ("cursor", cursor)));
        let options = GetOptions::json(PAGE_BYTES);
        let page: Page =
            self.net().xrpc_json(host, "com.atproto.repo.listRecords", &params, &options).await.map_err(
                |source| ArchiveError::Host { doing: format!("asking {host} whom it names"), source },
            )?;
        let dids = page.records.iter().filter_map(|one| {
            let text = |name: &str| one.value.get(name)?.as_str();
            subject(named, text("list"), text("subject"))
        });
        let dids: Vec<Did> = dids.collect();
        // An answer without records has no next one, whatever it says.
        Ok((dids, page.cursor.filter(|next| !next.is_empty() && !page.records.is_empty())))
    }
}

/// The address of a list as people copy it: `https://bsky.app/profile/NAME/lists/KEY` is a list's as well.
fn list_uri(text: &str) -> String {
    let text = text.trim().trim_end_matches('/');
    let at = |rest: &str| {
        let (name, key) = rest.split_once("/lists/")?;
        Some(format!("at://{name}/app.bsky.graph.list/{key}"))
    };
    text.strip_prefix("https://bsky.app/profile/").and_then(at).unwrap_or_else(|| text.to_owned())
}

/// The account that a record names, if it is one of those that are wanted.
fn subject(named: &Named, list: Option<&str>, subject: Option<&str>) -> Option<Did> {
    let wanted = named.list.as_deref().is_none_or(|wanted| list == Some(wanted));
    Did::parse(subject.filter(|_| wanted)?).ok()
}

fn named(names: &[String]) -> Gathered {
    let mut found = Gathered::default();
    for name in names {
        if found.who.len() >= MOST_AT_ONCE {
            found.cut = true;
            return found;
        }
        match parse_name(name) {
            Ok(ident) => found.who.push(ident),
            Err(error) => found.wrong.push((name.clone(), error.to_string())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whatever_stands_between_them() {
        let text = "alice.example.com, @Bob.example.com;did:plc:z72i7hdynmk6r22z27h6tvur\r\n\tALICE.example.com\n\n<c.example>";
        let names = ["alice.example.com", "Bob.example.com", "did:plc:z72i7hdynmk6r22z27h6tvur", "c.example"];
        assert_eq!(Source::names_in(text), Source::Names(names.map(str::to_owned).into()));
        assert_eq!(Source::names_in(" , \n"), Source::Names(Vec::new()));
    }

    #[test]
    fn lists_are_named_as_people_copy_them() {
        let uri = "at://alice.example.com/app.bsky.graph.list/3kabc";
        assert_eq!(list_uri(" https://bsky.app/profile/alice.example.com/lists/3kabc/ "), uri);
        assert_eq!(list_uri(uri), uri);
    }

    #[test]
    fn what_is_no_name_is_said_and_too_many_are_cut() {
        let found = named(&["alice.example.com".to_owned(), "no name!".to_owned()]);
        assert_eq!((found.who.len(), found.wrong.len(), found.cut), (1, 1, false));
        let many: Vec<String> = (0..MOST_AT_ONCE + 1).map(|n| format!("a{n}.example.com")).collect();
        let found = named(&many);
        assert_eq!((found.who.len(), found.cut), (MOST_AT_ONCE, true));
    }
}
