//! Reading what is kept for owners.

use async_trait::async_trait;
use p2pds_store::StoreResult;
use p2pds_store::hosting::{
    AccountsStore, AppPasswordRow, AuditRow, InviteOrder, InviteRow, MailRow, PreferenceRow, SessionRow,
    SignupRow, TakedownRow,
};
use p2pds_syntax::Did;

use crate::SqliteStore;
use crate::read::hosting::accounts;

#[async_trait]
impl AccountsStore for SqliteStore {
    async fn session(&self, did: &Did, id: &str) -> StoreResult<Option<SessionRow>> {
        let (did, id) = (did.clone(), id.to_owned());
        self.read("read a session", move |c| accounts::session(c, &did, &id)).await
    }

    async fn sessions(&self, did: &Did, limit: usize) -> StoreResult<Vec<SessionRow>> {
        let did = did.clone();
        self.read("list sessions", move |c| accounts::sessions(c, &did, limit)).await
    }

    async fn app_passwords(&self, did: &Did) -> StoreResult<Vec<AppPasswordRow>> {
        let did = did.clone();
        self.read("list app passwords", move |c| accounts::app_passwords(c, &did)).await
    }

    async fn invite(&self, code: &str) -> StoreResult<Option<InviteRow>> {
        let code = code.to_owned();
        self.read("read an invite", move |c| accounts::invite(c, &code)).await
    }

    async fn invites_of(&self, account: &str) -> StoreResult<Vec<InviteRow>> {
        let account = account.to_owned();
        self.read("list invites", move |c| accounts::invites_of(c, &account)).await
    }

    async fn invites(
        &self,
        order: InviteOrder,
        after: Option<(i64, String)>,
        limit: usize,
    ) -> StoreResult<Vec<InviteRow>> {
        self.read("list invites", move |c| accounts::invites(c, order, after.as_ref(), limit)).await
    }

    async fn email_token_owner(&self, purpose: &str, hash: [u8; 32]) -> StoreResult<Option<Did>> {
        let purpose = purpose.to_owned();
        self.read("read a token", move |c| accounts::email_token_owner(c, &purpose, hash)).await
    }

    async fn mail_due(&self, at: i64, limit: usize) -> StoreResult<Vec<MailRow>> {
        self.read("list mail", move |c| accounts::mail_due(c, at, limit)).await
    }

    async fn next_mail_at(&self) -> StoreResult<Option<i64>> {
        self.read("list mail", accounts::next_mail_at).await
    }

    async fn mails(&self, limit: usize) -> StoreResult<Vec<MailRow>> {
        self.read("list mail", move |c| accounts::mails(c, limit)).await
    }

    async fn mail(&self, id: i64) -> StoreResult<Option<MailRow>> {
        self.read("read a mail", move |c| accounts::mail(c, id)).await
    }

    async fn preferences(&self, did: &Did) -> StoreResult<Vec<PreferenceRow>> {
        let did = did.clone();
        self.read("read preferences", move |c| accounts::preferences(c, &did)).await
    }

    async fn takedown(&self, did: &Did, subject: &str) -> StoreResult<Option<TakedownRow>> {
        let (did, subject) = (did.clone(), subject.to_owned());
        self.read("read a takedown", move |c| accounts::takedown(c, &did, &subject)).await
    }

    async fn all_takedowns(&self) -> StoreResult<Vec<TakedownRow>> {
        self.read("list takedowns", accounts::all_takedowns).await
    }

    async fn takedowns(&self, did: &Did) -> StoreResult<Vec<TakedownRow>> {
        let did = did.clone();
        self.read("list takedowns", move |c| accounts::takedowns(c, &did)).await
    }

    async fn audits(
        &self,
        did: Option<&Did>,
        before: Option<i64>,
        limit: usize,
    ) -> StoreResult<Vec<AuditRow>> {
        let did = did.cloned();
        self.read("list what was done", move |c| accounts::audits(c, did.as_ref(), before, limit)).await
    }

    async fn signups(&self, before: i64) -> StoreResult<Vec<SignupRow>> {
        self.read("list sign-ups", move |c| accounts::signups(c, before)).await
    }
}
