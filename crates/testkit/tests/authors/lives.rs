//! Accounts that come, leave for a while, return and are deleted, one after the other.

use p2pds_testkit::hosted::{ADMIN, PASSWORD};
use p2pds_testkit::http::{self, Reply};
use p2pds_testkit::oracle::{Account, Network};
use serde_json::{Value, json};

use super::history::History;
use super::{Author, Gate, Said};

/// How an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not there yet.
    Absent,
    Active,
    Deactivated,
    /// Not there any more.
    Deleted,
}

/// The life of one account.
struct Life {
    name: String,
    author: Option<Author>,
    standing: Standing,
    /// How it stands if the request without an answer was carried out.
    under_way: Option<Standing>,
    /// What comes next.
    at: usize,
}

impl Life {
    fn new(label: &str, n: u64) -> Self {
        let name = format!("{label}{n}-p2pds");
        Self { name, author: None, standing: Standing::Absent, under_way: None, at: 0 }
    }
}

/// One life after the other.
pub struct Lives {
    url: String,
    label: String,
    now: Life,
    /// Handle and DID of those that are over.
    over: Vec<(String, String)>,
    /// Lives that began.
    pub begun: u64,
}

fn post(url: &str, nsid: &str, auth: Option<&str>, body: Option<&Value>) -> anyhow::Result<Reply> {
    let body = body.map(ToString::to_string);
    let mut headers: Vec<(&str, &str)> = auth.iter().map(|auth| ("Authorization", *auth)).collect();
    headers.extend(body.iter().map(|_| ("Content-Type", "application/json")));
    http::request(
        "POST",
        &format!("{url}/xrpc/com.atproto.{nsid}"),
        &headers,
        body.as_deref().map(str::as_bytes),
    )
}

impl Lives {
    pub fn new(url: &str, label: &str) -> Self {
        let now = Life::new(label, 0);
        Self { url: url.to_owned(), label: label.to_owned(), now, over: Vec::new(), begun: 1 }
    }

    fn author(&mut self) -> &mut Author {
        self.now.author.as_mut().expect("it is there")
    }

    /// The next thing that happens: sign-up, a post, off, on again, another post, the end.
    pub fn step(&mut self, gate: &Gate, network: &Network) -> Said {
        let (nsid, target) = match self.now.at {
            0 => ("server.createAccount", Standing::Active),
            2 => ("server.deactivateAccount", Standing::Deactivated),
            3 => ("server.activateAccount", Standing::Active),
            5 => ("admin.deleteAccount", Standing::Deleted),
            _ => {
                let said = self.author().put(gate);
                if matches!(said, Said::Done(_)) {
                    self.now.at += 1;
                }
                return said;
            }
        };
        self.now.under_way = Some(target);
        let reply = self.send(nsid);
        gate.counted(|| {
            self.now.under_way = None;
            let reply = reply.unwrap_or_else(|error| panic!("no answer from a node that runs: {error:#}"));
            if reply.status != 200 {
                return Said::Refused(nsid, reply);
            }
            let answer = if reply.body.is_empty() { Value::Null } else { reply.json().unwrap() };
            if self.now.at == 0 {
                self.signed_in(&answer, network);
            }
            self.reached(target);
            Said::Done(answer)
        })
        .unwrap_or(Said::Nothing)
    }

    fn send(&self, nsid: &str) -> anyhow::Result<Reply> {
        let name = &self.now.name;
        let Some(author) = &self.now.author else {
            let body = json!({"handle": format!("{name}.test"), "email": format!("{name}@mail.test"), "password": PASSWORD});
            return post(&self.url, nsid, None, Some(&body));
        };
        let bearer = format!("Bearer {}", author.account.token());
        match nsid {
            "admin.deleteAccount" => {
                let admin = format!("admin:{ADMIN}");
                let admin = format!("Basic {}", data_encoding::BASE64.encode(admin.as_bytes()));
                post(&self.url, nsid, Some(&admin), Some(&json!({"did": author.account.did})))
            }
            "server.deactivateAccount" => post(&self.url, nsid, Some(&bearer), Some(&json!({}))),
            _ => post(&self.url, nsid, Some(&bearer), None),
        }
    }

    fn signed_in(&mut self, session: &Value, network: &Network) {
        let account = Account::from_session(&self.url, session).unwrap();
        network.names.set_txt(&format!("_atproto.{}", account.handle), &[&format!("did={}", account.did)]);
        match &mut self.now.author {
            Some(author) => author.account = account,
            None => self.now.author = Some(Author::new(account, network)),
        }
    }

    fn reached(&mut self, standing: Standing) {
        self.now.standing = standing;
        self.now.at += 1;
        if standing == Standing::Deleted {
            let account = self.author().account.clone();
            self.over.push((account.handle, account.did));
            self.now = Life::new(&self.label, self.begun);
            self.begun += 1;
        }
    }

    /// A new session; its answer when there is such an account.
    fn session(&self, handle: &str) -> Option<Value> {
        let body = json!({"identifier": handle, "password": PASSWORD});
        let reply = post(&self.url, "server.createSession", None, Some(&body)).unwrap();
        let said = String::from_utf8_lossy(&reply.body);
        assert!([200, 401].contains(&reply.status), "{} {said}", reply.status);
        (reply.status == 200).then(|| reply.json().unwrap())
    }

    /// Looks at how the account stands now: as acknowledged, or as the request without an answer would have it.
    pub fn settle(&mut self, network: &Network) {
        let session = self.session(&format!("{}.test", self.now.name));
        let found = match &session {
            None if self.now.author.is_some() => Standing::Deleted,
            None => Standing::Absent,
            Some(session) if session["active"] == json!(false) => Standing::Deactivated,
            Some(_) => Standing::Active,
        };
        let (standing, under_way) = (self.now.standing, self.now.under_way.take());
        assert!(
            found == standing || Some(found) == under_way,
            "{}: {standing:?}, {under_way:?}, found {found:?}",
            self.now.name
        );
        if let Some(session) = &session {
            self.signed_in(session, network);
            let did = &self.author().account.did.clone();
            assert_eq!(self.repo_status(did), (200, Some(found == Standing::Active)), "{}", self.now.name);
        }
        if found == Standing::Active {
            self.author().settle();
        }
        if found != standing {
            self.reached(found);
        }
        for (handle, did) in self.over.iter().rev().take(3) {
            assert!(self.session(handle).is_none(), "{handle} is back");
            assert_eq!(self.repo_status(did), (400, None), "{handle}");
        }
    }

    fn repo_status(&self, did: &str) -> (u16, Option<bool>) {
        let url = format!("{}/xrpc/com.atproto.sync.getRepoStatus?did={did}", self.url);
        let reply = http::request("GET", &url, &[], None).unwrap();
        (reply.status, reply.json().unwrap()["active"].as_bool())
    }

    /// Whether its events say what is so.
    pub fn told(&self, history: &History) {
        for (handle, did) in &self.over {
            assert_eq!(history.standing(did), Some((false, Some("deleted"))), "{handle}");
        }
        let Some(author) = &self.now.author else { return };
        let said = match self.now.standing {
            Standing::Active => (true, None),
            _ => (false, Some("deactivated")),
        };
        assert_eq!(history.standing(&author.account.did), Some(said), "{}", self.now.name);
        let state = author.account.query("com.atproto.server.checkAccountStatus", &[]).unwrap();
        history.ends_at(&author.account.did, state["repoRev"].as_str().unwrap(), &author.revs);
    }
}
