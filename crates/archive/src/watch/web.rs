//! did:web: the document is compared with the one seen before.

use p2pds_identity::DidDocument;
use p2pds_ipld::Cid;
use p2pds_syntax::Did;
use serde_json::{Value, json};

use super::{ACKNOWLEDGED, WEB_CHANGED, WEB_DOCUMENT};
use crate::archive::Inner;
use crate::error::ArchiveResult;
use crate::report::{Watched, WebVersion};

impl Inner {
    /// The documents seen so far, newest first: those in which key, host or handle were different.
    pub(super) async fn documents(&self, did: &Did) -> ArchiveResult<Vec<WebVersion>> {
        let text = |detail: &Value, name: &str| detail.get(name).and_then(Value::as_str).map(str::to_owned);
        let version = |(at, detail): (i64, Value)| {
            Some(WebVersion {
                at,
                cid: text(&detail, "cid")?,
                signing_key: text(&detail, "signingKey"),
                host: text(&detail, "host"),
                handle: text(&detail, "handle"),
            })
        };
        Ok(self.notes(did, WEB_DOCUMENT).await?.into_iter().filter_map(version).collect())
    }

    pub(super) async fn judge_document(&self, did: &Did) -> ArchiveResult<Watched> {
        let mut watched = Watched::default();
        let Some(row) = self.store().identity(did).await? else { return Ok(watched) };
        // A document that cannot be used is the sync's failure, with its own words.
        let Ok(document) = DidDocument::parse(&row.doc, did) else { return Ok(watched) };
        let now = WebVersion {
            at: self.now(),
            cid: Cid::of_raw(&row.doc).to_string(),
            signing_key: document.signing_key().and_then(Result::ok).map(|key| key.to_did_key()),
            host: document.pds(),
            handle: document.handle().map(|handle| handle.as_str().to_owned()),
        };
        let seen = self.documents(did).await?;
        let before = seen.first();
        if before.is_some_and(|before| before.same(&now)) {
            return Ok(watched);
        }
        let detail = json!({
            "cid": now.cid, "signingKey": now.signing_key, "host": now.host, "handle": now.handle,
        });
        self.keep_note(did, WEB_DOCUMENT, detail, Some(row.doc)).await?;
        let Some(before) = before else { return Ok(watched) };
        watched.changed = true;
        let changed = now.changes_since(before);
        if let Some(reason) = self.expected(did, &now.cid).await? {
            tracing::info!(event = "identity.web-expected", %did, changed, reason, "a did:web changed as announced");
            return Ok(watched);
        }
        if self.is_quiet(did).await? {
            return Ok(watched);
        }
        tracing::warn!(event = "identity.web-changed", %did, changed, "a did:web changed and nobody announced it");
        watched.unexpected = 1;
        let words = format!(
            "the DID document changed: {changed}. A did:web has no history and no recovery: whoever controls the domain \
             {} says what it says, and nobody can prove who made this change or undo it except by the domain. If it was \
             the owner: `p2pds plc ack {did} {} --reason TEXT` ends this alarm. If not: secure the domain (registrar, \
             name servers, web server) and put the document back; `p2pds plc log {did}` shows what it said before.",
            did.identifier(),
            now.cid
        );
        self.find_fault(did, WEB_CHANGED, &now.cid, &words).await?;
        Ok(watched)
    }

    /// The reason given for a change of a did:web, before or after it.
    async fn expected(&self, did: &Did, cid: &str) -> ArchiveResult<Option<String>> {
        let now = self.now();
        let reason =
            |detail: &Value| detail.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut announced = self.announcements(did).await?.into_iter();
        if let Some(announced) = announced.find(|a| a.at <= now && now <= a.until) {
            return Ok(Some(announced.reason));
        }
        let known = self.notes(did, ACKNOWLEDGED).await?;
        let same = |(_, detail): &&(i64, Value)| detail.get("cid").and_then(Value::as_str) == Some(cid);
        Ok(known.iter().find(same).map(|(_, detail)| reason(detail)))
    }
}
