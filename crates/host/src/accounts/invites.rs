//! Invite codes.

use p2pds_store::hosting::{AccountsUnit, HostingUnit, InviteOrder, InviteRow};
use p2pds_store::{LoginPatch, StoreError, Unit};
use p2pds_syntax::Did;

use super::audit::{Act, By};
use crate::error::{HostError, HostResult};
use crate::host::Host;
use crate::passwords::random_base32;
use crate::reason::Reason;

/// Who gives away codes that belong to nobody.
pub const ADMIN: &str = "admin";
/// Codes of one call.
pub const MOST_CODES: usize = 1_000;
/// Unused codes that an account may have at a time.
const MOST_OPEN: i64 = 5;

/// Codes made for one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountCodes {
    /// Whose they are: a DID, or `admin`.
    pub account: String,
    /// The codes.
    pub codes: Vec<String>,
}

fn accounts(unit: AccountsUnit) -> Unit {
    Unit::Hosting(Box::new(HostingUnit::Accounts(unit)))
}

/// What is said of a code that is not good, whatever is wrong with it.
pub(crate) fn not_available() -> HostError {
    HostError::named(
        "InvalidInviteCode",
        "Provided invite code not available: check it, or ask whoever gave it to you for another",
    )
    .because(Reason::InviteUnfit)
}

impl Host {
    /// `host-name-xxxxx-xxxxx-xxxxx-xxxxx`: 100 random bits.
    fn new_code(&self) -> HostResult<String> {
        let letters = random_base32(20)?;
        let mut code = self.config().hostname.replace('.', "-");
        for (at, letter) in letters.chars().enumerate() {
            if at.is_multiple_of(5) {
                code.push('-');
            }
            code.push(letter);
        }
        Ok(code)
    }

    fn invite_row(&self, account: &str, by: &str, uses: u32) -> HostResult<InviteRow> {
        Ok(InviteRow {
            code: self.new_code()?,
            uses,
            disabled: false,
            for_account: account.to_owned(),
            created_by: by.to_owned(),
            created_at: self.now(),
            used: Vec::new(),
            forgotten: 0,
        })
    }

    /// Makes invite codes, so many for each account (a DID, or `admin`).
    ///
    /// # Errors
    /// Too many, or good for nobody; the store.
    pub async fn create_invites(
        &self,
        by: &By,
        for_accounts: &[String],
        count: usize,
        uses: u32,
    ) -> HostResult<Vec<AccountCodes>> {
        let all = count.saturating_mul(for_accounts.len());
        if uses == 0 || count == 0 || all == 0 {
            return Err(HostError::invalid(
                "a code must be good for one account at least, and there must be one",
            ));
        }
        if all > MOST_CODES {
            return Err(HostError::invalid(format!(
                "{all} codes are too many for one call, make {MOST_CODES} at most"
            )));
        }
        let (mut made, mut rows) = (Vec::new(), Vec::new());
        for account in for_accounts {
            if account != ADMIN && Did::parse(account).is_err() {
                return Err(HostError::invalid(format!(
                    "an invite belongs to a DID or to {ADMIN:?}, not to {account:?}"
                )));
            }
            let mut codes = Vec::new();
            for _ in 0..count {
                let row = self.invite_row(account, ADMIN, uses)?;
                codes.push(row.code.clone());
                rows.push(row);
            }
            made.push(AccountCodes { account: account.clone(), codes });
        }
        self.store().apply(accounts(AccountsUnit::PutInvites { rows, most: None })).await?;
        let detail = format!("{all} codes, good for {uses} each");
        self.audit(Act { by, what: "createInviteCode", did: None, subject: "", detail: &detail }).await?;
        Ok(made)
    }

    /// Codes that belong to an account, oldest first. With `create`, those that are due to it by now are made first.
    ///
    /// # Errors
    /// The account is gone; the store.
    pub async fn account_invites(&self, did: &Did, create: bool) -> HostResult<Vec<InviteRow>> {
        let login = self.own_login(did).await?;
        let codes = self.store().invites_of(did.as_str()).await?;
        let interval =
            self.config().accounts.invite_interval.filter(|_| create && self.config().invite_required);
        let Some(interval) = interval else { return Ok(codes) };
        let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX);
        let epoch = self.config().accounts.invite_epoch;
        let (count, total) = due(login.created_at, self.now(), epoch, interval, &codes);
        if count == 0 {
            return Ok(codes);
        }
        let mut rows = Vec::new();
        for _ in 0..count {
            // Those of an account that gets none are made all the same, switched off: so the count stays right.
            rows.push(InviteRow {
                disabled: login.invites_disabled,
                ..self.invite_row(did.as_str(), did.as_str(), 1)?
            });
        }
        let unit = AccountsUnit::PutInvites { rows, most: Some((did.clone(), total)) };
        match self.store().apply(accounts(unit)).await {
            Ok(_) | Err(StoreError::Mismatch { .. }) => Ok(self.store().invites_of(did.as_str()).await?),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a code can be used now.
    ///
    /// # Errors
    /// `InvalidInviteCode`; the store.
    pub(crate) async fn check_invite(&self, code: &str) -> HostResult<()> {
        let row = self.store().invite(code).await?.ok_or_else(not_available)?;
        if row.disabled || row.used_up() >= row.uses {
            return Err(not_available());
        }
        if let Ok(owner) = Did::parse(&row.for_account)
            && self.store().login(&owner).await?.is_some_and(|login| login.takedown.is_some())
        {
            return Err(not_available());
        }
        Ok(())
    }

    /// A page of all codes.
    ///
    /// # Errors
    /// The store.
    pub async fn invites(
        &self,
        order: InviteOrder,
        after: Option<(i64, String)>,
        limit: usize,
    ) -> HostResult<Vec<InviteRow>> {
        Ok(self.store().invites(order, after, limit).await?)
    }

    /// Switches codes off: by name, or all that belong to accounts.
    ///
    /// # Errors
    /// `admin` is among the accounts; the store.
    pub async fn disable_invites(&self, by: &By, codes: Vec<String>, owners: Vec<String>) -> HostResult<()> {
        if owners.iter().any(|owner| owner == ADMIN) {
            return Err(HostError::invalid("cannot disable admin invite codes all at once: name the codes"));
        }
        let subject = codes.iter().chain(&owners).cloned().collect::<Vec<_>>().join(" ");
        self.store().apply(accounts(AccountsUnit::DisableInvites { codes, accounts: owners })).await?;
        self.audit(Act { by, what: "disableInviteCodes", did: None, subject: &subject, detail: "" }).await
    }

    /// Whether an account gets codes to give away.
    ///
    /// # Errors
    /// No such account; the store.
    pub async fn set_invites_disabled(&self, by: &By, did: &Did, disabled: bool) -> HostResult<()> {
        let patch = LoginPatch { invites_disabled: Some(disabled), ..LoginPatch::default() };
        let what = if disabled { "disableAccountInvites" } else { "enableAccountInvites" };
        self.admin_patch(by, what, did, patch, "").await
    }
}

/// How many codes are due to an account, and how many of its own making it has then.
///
/// One for each whole interval of its life since the epoch, less those made since then; no more than so many unused at a
/// time. Codes that an operator gave do not count.
fn due(created_at: i64, now: i64, epoch: i64, interval: i64, codes: &[InviteRow]) -> (usize, u32) {
    let own: Vec<_> = codes.iter().filter(|code| code.created_by != ADMIN).collect();
    let intervals =
        |until: i64| until.saturating_sub(created_at).max(0).checked_div(interval.max(1)).unwrap_or(0);
    let could = intervals(now).saturating_sub(intervals(epoch));
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let made = count(own.iter().filter(|code| code.created_at > epoch).count());
    let open = count(own.iter().filter(|code| !code.disabled && code.used_up() < code.uses).count());
    let due = could.saturating_sub(made).min(MOST_OPEN.saturating_sub(open)).max(0);
    let due = usize::try_from(due).unwrap_or(0);
    (due, u32::try_from(own.len().saturating_add(due)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn code(created_at: i64, by: &str, used: bool) -> InviteRow {
        InviteRow {
            code: format!("code-{created_at}"),
            uses: 1,
            disabled: false,
            for_account: "did:web:a.example.com".into(),
            created_by: by.into(),
            created_at,
            used: Vec::new(),
            forgotten: u32::from(used),
        }
    }

    #[test]
    fn codes_become_due() {
        assert_eq!(due(0, 3 * DAY, 0, DAY, &[]).0, 3);
        assert_eq!(due(0, DAY - 1, 0, DAY, &[]).0, 0);
        assert_eq!(due(0, 30 * DAY, 0, DAY, &[]).0, 5, "no more than five at a time");
        let own = [code(DAY, "did:web:a.example.com", true), code(2 * DAY, "did:web:a.example.com", false)];
        assert_eq!(due(0, 3 * DAY, 0, DAY, &own), (1, 3));
        assert_eq!(due(0, 3 * DAY, 0, DAY, &[code(DAY, ADMIN, false)]).0, 3, "gifts do not count");
        assert_eq!(due(0, 10 * DAY, 8 * DAY, DAY, &[]).0, 2, "of the time since the epoch");
        assert_eq!(due(9 * DAY, 10 * DAY, 8 * DAY, DAY, &[]).0, 1);
    }
}
