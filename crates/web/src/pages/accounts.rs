//! All archived accounts as a list: search, filter, order, and choices for several at once (`accounts/act.rs`).

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use p2pds_archive::{AccountLine, ListPage, ListQuery, ServingNote, Show, Sort};
use p2pds_syntax::Did;

use crate::ask::{Ask, Shown, answer};
use crate::door::Who;
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::web::Web;
use crate::words::Words;

pub mod act;
mod view;

pub use view::body;

/// Accounts on one page.
const PAGE: usize = 50;

/// What is asked for, as it stands in the address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// A part of a handle or DID.
    pub search: String,
    /// Which.
    pub show: Show,
    /// In which order.
    pub sort: Sort,
    /// The page, from 1.
    pub page: usize,
}

impl Wanted {
    fn of(query: Option<&str>) -> Self {
        let text = |name: &str| crate::query::text(query, name).unwrap_or_default();
        let (show, sort) = (text("show"), text("sort"));
        Self {
            search: text("search").trim().to_owned(),
            show: Show::ALL.into_iter().find(|known| known.as_str() == show).unwrap_or_default(),
            sort: Sort::ALL.into_iter().find(|known| known.as_str() == sort).unwrap_or(Sort::Name),
            page: crate::query::number(query, "page").unwrap_or(1).max(1),
        }
    }

    /// What stands after the `?`.
    fn query(&self) -> String {
        let mut out = url::form_urlencoded::Serializer::new(String::new());
        if !self.search.is_empty() {
            out.append_pair("search", &self.search);
        }
        out.append_pair("show", self.show.as_str()).append_pair("sort", self.sort.as_str());
        out.append_pair("page", &self.page.to_string());
        out.finish()
    }

    fn path(&self) -> String {
        format!("/accounts?{}", self.query())
    }

    fn page(&self, page: usize) -> Self {
        Self { page, ..self.clone() }
    }

    fn list(&self) -> ListQuery {
        ListQuery {
            search: Some(self.search.clone()).filter(|text| !text.is_empty()),
            show: self.show,
            sort: self.sort,
            skip: self.page.saturating_sub(1).saturating_mul(PAGE),
            most: PAGE,
        }
    }
}

/// One account.
#[derive(Debug)]
pub struct Row {
    /// Its line.
    pub line: AccountLine,
    /// To whom it is served; `None` when that could not be read.
    pub serving: Option<ServingNote>,
    /// It is the owner's own.
    pub own: bool,
}

/// What is shown.
#[derive(Debug, Default)]
pub struct View {
    /// The token of forms.
    pub csrf: String,
    /// What was asked for.
    pub wanted: Wanted,
    /// The accounts of this page.
    pub rows: Vec<Row>,
    /// How many there are like that.
    pub matching: usize,
    /// How many there are of each sort of [`Show::ALL`].
    pub counts: [usize; 5],
    /// For how many accounts a choice was just made.
    pub done: Option<usize>,
    /// Why a choice was not made, and for whom.
    pub failed: Vec<(String, String)>,
    /// What did not work at all.
    pub trouble: Option<Trouble>,
}

/// `GET /accounts`
pub async fn show(State(web): State<Web>, ask: Ask, query: RawQuery) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let wanted = Wanted::of(query.0.as_deref());
        let done = crate::query::number(query.0.as_deref(), "done");
        shown(&web, &ask, wanted, View { done, ..View::default() }).await
    })
    .await
}

/// The page, with what `told` says beside the list.
async fn shown(web: &Web, ask: &Ask, wanted: Wanted, told: View) -> Shown {
    let status = match told.trouble.is_some() || !told.failed.is_empty() {
        true => StatusCode::BAD_REQUEST,
        false => StatusCode::OK,
    };
    let page = web.archive().page(&wanted.list()).await?;
    let view = View { csrf: ask.frame.csrf.clone(), ..fill(web, ask, wanted, page, told).await };
    Ok(ask.show_as(status, &Page::new(ask.w.t("accounts-title"), body(&ask.w, &view))))
}

async fn fill(web: &Web, ask: &Ask, wanted: Wanted, page: ListPage, told: View) -> View {
    let owner = match &ask.visitor.who {
        Who::Owner(did) => Some(did.clone()),
        _ => None,
    };
    let mut rows = Vec::new();
    for line in page.lines {
        let serving = web.archive().serving(&line.did).await.ok();
        rows.push(Row { own: owner.as_ref() == Some(&line.did), line, serving });
    }
    View { wanted, rows, matching: page.matching, counts: page.counts, ..told }
}

/// The DIDs among what a form names.
fn dids<'f>(texts: impl Iterator<Item = &'f str>) -> Vec<Did> {
    texts.filter_map(|text| Did::parse(text).ok()).collect()
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    use crate::samples::line;
    let serving = |serve: &str, declared: &str, basis: Option<&str>, refused: Option<&str>| ServingNote {
        did: None,
        serve: serve.to_owned(),
        basis: basis.map(str::to_owned),
        declared: declared.to_owned(),
        refused: refused.map(str::to_owned),
    };
    let row = |line: AccountLine, serving: ServingNote, own: bool| Row { line, serving: Some(serving), own };
    let private = || serving("nobody", "unsaid", None, None);
    let waiting = AccountLine {
        verified: "nothing".to_owned(),
        records: 0,
        last_sync_at: None,
        ..line("bob.example.com")
    };
    let failing = AccountLine {
        last_error: Some("the host does not answer".to_owned()),
        paused: true,
        priority: 5,
        quota: Some(5_000_000_000),
        full: Some("the limit of the account is reached".to_owned()),
        status: "deactivated".to_owned(),
        doing: Some("syncing with https://pds.example.com".to_owned()),
        ..line("carol.example.com")
    };
    let no_handle = AccountLine { handle: None, removing: true, ..line("x") };
    let view = |rows: Vec<Row>| View {
        csrf: "t".to_owned(),
        wanted: Wanted { page: 1, sort: Sort::Name, ..Wanted::default() },
        matching: rows.len(),
        counts: [rows.len(), 1, 1, 1, 1],
        rows,
        ..View::default()
    };
    let asked = Some("its owner asked me to");
    let good = || {
        vec![
            row(line("alice.example.com"), serving("public", "unsaid", asked, None), true),
            row(line("dora.example.com"), serving("public", "allowed", asked, None), false),
            row(line("erin.example.com"), serving("peers", "unsaid", asked, Some("it is deleted")), false),
        ]
    };
    let full = View {
        matching: 141,
        counts: [141, 1, 2, 3, 4],
        wanted: Wanted { page: 2, sort: Sort::Size, ..Wanted::default() },
        done: Some(3),
        ..view(good())
    };
    let partial = vec![
        row(waiting, private(), false),
        row(failing, private(), false),
        row(no_handle, private(), false),
    ];
    let nobody = View {
        wanted: Wanted { search: "zoe".to_owned(), show: Show::Paused, page: 1, ..Wanted::default() },
        counts: [3, 0, 0, 0, 0],
        ..view(Vec::new())
    };
    let loading =
        AccountLine { verified: "nothing".to_owned(), last_sync_at: None, ..line("bob.example.com") };
    let error = View {
        failed: vec![("alice.example.com".to_owned(), "its owner declared against it".to_owned())],
        trouble: Some(crate::pages::made_up_trouble()),
        ..view(good())
    };
    [
        ("empty", view(Vec::new())),
        ("empty", nobody),
        ("loading", view(vec![Row { line: loading, serving: None, own: false }])),
        ("partial", view(partial)),
        ("error", error),
        ("success", full),
    ]
    .map(|(state, view)| Sample { page: "accounts", state, body: body(w, &view) })
    .into()
}
