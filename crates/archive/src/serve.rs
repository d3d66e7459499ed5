//! To whom an account is served: chosen by the operator, with a recorded reason, within what its owner declared.

use p2pds_reading::{Intent, Reading, Viewer, may_read};
use p2pds_store::{Account, AccountPatch, Evidence, Serve, Unit};
use p2pds_syntax::Did;
use serde_json::json;

use crate::archive::Archive;
use crate::error::{ArchiveError, ArchiveResult};
use crate::report::ServingNote;
use crate::show::from_refusal;

/// Longest reason, in bytes.
const LONGEST_BASIS: usize = 2_000;

/// The operator's word for an audience.
pub(crate) fn word(serve: Serve) -> &'static str {
    match serve {
        Serve::Nobody => "nobody",
        Serve::Peers => "peers",
        Serve::Public => "public",
    }
}

/// The audience of a word.
fn audience(word: &str) -> Option<Serve> {
    [Serve::Nobody, Serve::Peers, Serve::Public].into_iter().find(|serve| self::word(*serve) == word)
}

impl Archive {
    /// Sets to whom an account is served: `nobody`, `peers` or `public`, and records why.
    ///
    /// # Errors
    /// [`ArchiveError::Serving`] without a basis, or against what the owner declared.
    pub async fn serve(&self, did: &Did, to: &str, basis: Option<&str>) -> ArchiveResult<ServingNote> {
        let inner = self.inner();
        let mut account = inner.archived(did).await?;
        let refused = |why: String| Err(ArchiveError::Serving { did: did.clone(), why });
        let Some(serve) = audience(to) else {
            return refused(format!("`{to}` is no audience: nobody, peers or public"));
        };
        let basis = basis.map(str::trim).filter(|basis| !basis.is_empty());
        if serve != Serve::Nobody && basis.is_none() {
            return refused(format!(
                "serving it to {to} needs a basis: say with --basis TEXT why you may, such as \"its owner asked me to\""
            ));
        }
        if basis.is_some_and(|basis| basis.len() > LONGEST_BASIS) {
            return refused(format!("the basis is longer than {LONGEST_BASIS} bytes"));
        }
        if serve == Serve::Public && inner.declared(&account).await? == Intent::Refused {
            return refused(
                "its owner declared that public archives may not show it (org.user-intents.declaration, \
                 publicAccessArchive); it can be kept privately and served to peers"
                    .to_owned(),
            );
        }
        let basis = basis.filter(|_| serve != Serve::Nobody).map(str::to_owned);
        let patch =
            AccountPatch { serve: Some(serve), serve_basis: Some(basis.clone()), ..AccountPatch::default() };
        patch.clone().apply(&mut account);
        inner.store().apply(Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) }).await?;
        let evidence = Evidence {
            id: 0,
            times: 1,
            last_at: None,
            did: did.clone(),
            at: inner.now(),
            kind: "serving".to_owned(),
            detail: json!({ "serve": to, "basis": basis }).to_string(),
            data: None,
        };
        inner.store().apply(Unit::AddEvidence(evidence)).await?;
        inner.serving(&account).await
    }
}

impl crate::archive::Inner {
    async fn declared(&self, account: &Account) -> ArchiveResult<Intent> {
        let door = Reading::new(self.store().clone(), self.blobs().clone());
        door.declared(account).await.map_err(from_refusal)
    }

    /// To whom an account is served, why, and what stands against it now.
    pub(crate) async fn serving(&self, account: &Account) -> ArchiveResult<ServingNote> {
        let declared = self.declared(account).await?;
        let viewer = if account.serve == Serve::Peers { Viewer::Peer } else { Viewer::Public };
        let refused = may_read(viewer, account, declared).err().filter(|_| account.serve != Serve::Nobody);
        Ok(ServingNote {
            did: Some(account.did.clone()),
            serve: word(account.serve).to_owned(),
            basis: account.serve_basis.clone(),
            declared: declared.as_str().to_owned(),
            refused: refused.map(|refusal| refusal.to_string()),
        })
    }
}
