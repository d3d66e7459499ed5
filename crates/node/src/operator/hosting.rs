//! Commands about hosted accounts, invites, mail and moderation.

mod lines;
mod reports;
mod secret;
mod subject;

use p2pds_host::accounts::factors::Factors;
use p2pds_host::accounts::{ADMIN, AccountInfo, Act, By, Deleted, NewAccount, Subject, status_word};
use p2pds_host::passwords::random_base32;
use p2pds_host::{Host, HostError};
use p2pds_store::hosting::{InviteOrder, InviteRow, MailRow};
use p2pds_syntax::{Did, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::node::engine::Engine;
use crate::operator::Failure;
use crate::operator::answer::Answer;

pub use lines::{
    AuditLine, Done, HostedDetails, HostedLine, InviteLine, Made, MailLine, MailText, ReportLine,
};
pub use secret::Secret;

/// Lines of a list.
const MOST: usize = 10_000;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// Make an account.
    CreateAccount {
        /// Its handle.
        handle: String,
        /// Its address.
        email: Option<String>,
        /// Its password; one is made without.
        password: Option<Secret>,
        /// A did:key that stands first in its identity.
        recovery_key: Option<String>,
        /// An identity that exists.
        did: Option<Did>,
    },
    /// Hosted accounts; those whose address holds a text.
    Accounts {
        /// The text.
        email: Option<String>,
    },
    /// One hosted account.
    Account {
        /// Handle, DID or address.
        account: String,
    },
    /// Take an account down, or end that.
    DisableAccount {
        /// Handle, DID or address.
        account: String,
        /// Down, or up again.
        disabled: bool,
        /// Why.
        reason: Option<String>,
    },
    /// Give an account a new signing key.
    RotateKey {
        /// Handle, DID or address.
        account: String,
    },
    /// Remove what an account's owner proves himself with beside the password.
    ResetFactors {
        /// Handle, DID or address.
        account: String,
    },
    /// Delete an account.
    DeleteAccount {
        /// Handle, DID or address.
        account: String,
    },
    /// Set a password.
    SetPassword {
        /// Handle, DID or address.
        account: String,
        /// The password; one is made without.
        password: Option<Secret>,
    },
    /// Make invite codes.
    CreateInvites {
        /// How many.
        count: usize,
        /// For how many accounts each is good.
        uses: u32,
        /// Whose they are; the operator's without.
        owner: Option<String>,
    },
    /// Invite codes.
    Invites,
    /// Switch a code off.
    DisableInvite {
        /// The code.
        code: String,
    },
    /// Take a subject down, or end that.
    Moderate {
        /// Account or AT-URI.
        subject: String,
        /// A blob of that account.
        blob: Option<String>,
        /// Down, or up again.
        down: bool,
        /// The case.
        reference: Option<String>,
    },
    /// How a subject stands.
    Status {
        /// Account or AT-URI.
        subject: String,
        /// A blob of that account.
        blob: Option<String>,
    },
    /// What operators and moderators did.
    Audit {
        /// Handle, DID or address.
        account: Option<String>,
        /// Most lines.
        limit: usize,
    },
    /// What people told the operator.
    Reports {
        /// Also what was settled.
        closed: bool,
    },
    /// Settle a report.
    CloseReport {
        /// Its number.
        id: i64,
        /// How.
        note: String,
    },
    /// Send a message to an account's owner.
    Message {
        /// Handle, DID or address.
        account: String,
        /// Subject.
        subject: String,
        /// Text.
        text: String,
    },
    /// Mail that waits.
    Mails,
    /// One mail.
    Mail {
        /// Its number.
        id: i64,
    },
    /// Send a waiting mail now.
    SendMail {
        /// Its number.
        id: i64,
    },
    /// Send a test mail.
    TestMail {
        /// Where to.
        address: String,
    },
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        let failure = Self::new(error.kind().as_str(), error.message);
        match error.retry_after {
            Some(seconds) => failure.hint(format!("try again in {seconds} s")),
            None => failure,
        }
    }
}

/// Answers one of them.
///
/// # Errors
/// What the host says; or this node hosts nobody.
pub async fn answer(engine: &Engine, ask: Ask) -> Result<Answer, Failure> {
    let store = engine.store.as_ref();
    match ask {
        Ask::Reports { closed } => reports::list(store, closed).await,
        Ask::CloseReport { id, note } => reports::close(store, id, &note).await,
        Ask::Audit { account, limit } => audit(engine, account, limit).await,
        ask => of_hosting(engine, ask).await,
    }
}

async fn of_hosting(engine: &Engine, ask: Ask) -> Result<Answer, Failure> {
    let host = engine.host.as_ref().ok_or_else(|| {
        Failure::new("denied", "this node hosts no accounts").hint(
            "set http.hostname (PDS_HOSTNAME) and hosting.enabled = on, or for development PDS_DEV_MODE=true; see docs/hosting.md",
        )
    })?;
    let by = By::Operator;
    match ask {
        ask @ (Ask::CreateAccount { .. } | Ask::SetPassword { .. }) => passwords(host, ask).await,
        Ask::Accounts { email } => {
            let found = host.accounts_page(email.as_deref(), None, MOST).await?;
            Ok(Answer::HostedAccounts(found.iter().map(line).collect()))
        }
        Ask::Account { account } => details(host, &host.hosted_account(&account).await?).await,
        Ask::DisableAccount { account, disabled, reason } => disable(host, &account, disabled, reason).await,
        Ask::RotateKey { account } => {
            let did = host.hosted_account(&account).await?;
            let key = host.rotate_signing_key(&by, &did).await?;
            Ok(Answer::HostingDone(Done {
                subject: did.to_string(),
                done: format!(
                    "the account signs with a new key, {key}; its document names it, and relays were told"
                ),
            }))
        }
        Ask::ResetFactors { account } => {
            let did = host.hosted_account(&account).await?;
            host.reset_factors(&by, &did).await?;
            done(&did, "the password alone is enough to sign in; the owner is told by mail")
        }
        Ask::DeleteAccount { account } => {
            let did = host.hosted_account(&account).await?;
            if host.admin_delete_account(&by, &did).await? == Deleted::GivenBack {
                let words = "it had not moved here yet: it is an archived account again, with all that was stored of it; \
                             `p2pds archive remove` erases that";
                return done(&did, words);
            }
            host.erase(&did).await?;
            done(&did, "the account was deleted and its data erased; this node's files were searched for it")
        }
        Ask::CreateInvites { count, uses, owner } => {
            let owner = match owner {
                Some(owner) => host.hosted_account(&owner).await?.to_string(),
                None => ADMIN.to_owned(),
            };
            let made = host.create_invites(&by, &[owner], count, uses).await?;
            Ok(Answer::InvitesMade(made.into_iter().flat_map(|made| made.codes).collect()))
        }
        Ask::Invites => {
            let rows = host.invites(InviteOrder::Recent, None, MOST).await?;
            Ok(Answer::Invites(rows.iter().map(invite).collect()))
        }
        Ask::DisableInvite { code } => {
            if host.store().invite(&code).await?.is_none() {
                let words = format!("there is no invite code {code}; `p2pds invite list` shows all");
                return Err(Failure::new("notfound", words));
            }
            host.disable_invites(&by, vec![code.clone()], Vec::new()).await?;
            Ok(Answer::HostingDone(Done {
                subject: code,
                done: "the code is good for nobody any more".to_owned(),
            }))
        }
        ask @ (Ask::Moderate { .. } | Ask::Status { .. }) => moderation(host, ask).await,
        Ask::Message { account, subject, text } => {
            let did = host.hosted_account(&account).await?;
            host.admin_send_email(&by, &did, &subject, &text).await?;
            done(&did, "the message is queued: `p2pds mail list` shows what is not sent yet")
        }
        ask @ (Ask::Mails | Ask::Mail { .. } | Ask::SendMail { .. } | Ask::TestMail { .. }) => {
            mail(host, ask).await
        }
        Ask::Reports { .. } | Ask::CloseReport { .. } | Ask::Audit { .. } => {
            Err(Failure::new("bug", "a command went the wrong way"))
        }
    }
}

/// What operators and moderators did; on a node that hosts nobody, what was done about reports.
async fn audit(engine: &Engine, account: Option<String>, limit: usize) -> Result<Answer, Failure> {
    let did = match (account, &engine.host) {
        (None, _) => None,
        (Some(account), Some(host)) => Some(of_anybody(host, &account).await?),
        (Some(account), None) => Some(engine.archive.find(&account).await?),
    };
    let rows = engine.store.audits(did.as_ref(), None, limit.min(MOST)).await?;
    let lines = rows.into_iter().map(|row| AuditLine {
        at: row.at,
        who: row.who,
        what: row.what,
        did: row.did.map(|did| did.to_string()),
        subject: row.subject,
        detail: row.detail,
    });
    Ok(Answer::Audit(lines.collect()))
}

fn done(did: &Did, words: &str) -> Result<Answer, Failure> {
    Ok(Answer::HostingDone(Done { subject: did.to_string(), done: words.to_owned() }))
}

/// A hosted account, or the DID of one that is gone.
async fn of_anybody(host: &Host, account: &str) -> Result<Did, Failure> {
    match Did::parse(account) {
        Ok(did) => Ok(did),
        Err(_) => Ok(host.hosted_account(account).await?),
    }
}

/// `xxxxxx-xxxxxx-xxxxxx-xxxxxx`: 120 random bits.
fn new_password() -> Result<String, Failure> {
    let letters = random_base32(24)?;
    let groups: Vec<_> = letters.as_bytes().chunks(6).map(String::from_utf8_lossy).collect();
    Ok(groups.join("-"))
}

async fn passwords(host: &Host, ask: Ask) -> Result<Answer, Failure> {
    let made = |given: Option<Secret>| match given {
        Some(password) => Ok::<_, Failure>((password, false)),
        None => Ok((Secret::new(&new_password()?), true)),
    };
    match ask {
        Ask::CreateAccount { handle, email, password, recovery_key, did } => {
            let (password, told) = made(password)?;
            let asked = NewAccount {
                handle,
                email,
                password: Some(password.expose().to_owned()),
                invite_code: None,
                recovery_key,
                requester: None,
                did,
                by: By::Operator,
            };
            let account = host.create_account(asked).await?.account;
            Ok(Answer::AccountMade(Made {
                did: account.did.to_string(),
                handle: account.handle,
                password: told.then_some(password),
            }))
        }
        Ask::SetPassword { account, password } => {
            let did = host.hosted_account(&account).await?;
            let (password, told) = made(password)?;
            host.admin_set_password(&By::Operator, &did, password.expose()).await?;
            let handle = host.account_info(&did).await?.account.handle.unwrap_or_default();
            Ok(Answer::PasswordSet(Made { did: did.to_string(), handle, password: told.then_some(password) }))
        }
        _ => Err(Failure::new("bug", "a command went the wrong way")),
    }
}

fn line(info: &AccountInfo) -> HostedLine {
    let (login, account) = (&info.login, &info.account);
    HostedLine {
        did: login.did.to_string(),
        handle: account.handle.clone(),
        email: Some(login.email.clone()).filter(|email| !email.is_empty()),
        email_confirmed: login.email_confirmed_at.is_some(),
        status: status_word(login).unwrap_or("active").to_owned(),
        created_at: login.created_at,
        delete_after: login.delete_after,
        records: account.records,
        bytes: account.record_bytes.saturating_add(account.blob_bytes),
    }
}

fn invite(row: &InviteRow) -> InviteLine {
    InviteLine {
        code: row.code.clone(),
        uses: row.uses,
        used: row.used_up(),
        disabled: row.disabled,
        owner: row.for_account.clone(),
        created_at: row.created_at,
    }
}

async fn details(host: &Host, did: &Did) -> Result<Answer, Failure> {
    let info = host.account_info(did).await?;
    let store = host.store();
    Ok(Answer::HostedAccount(Box::new(HostedDetails {
        line: line(&info),
        takedown: info.login.takedown.clone(),
        signing_key: info.login.signing_did_key.clone(),
        sessions: store.sessions(did, MOST).await?.len(),
        app_passwords: store.app_passwords(did).await?.into_iter().map(|row| row.name).collect(),
        factors: factors(&host.factors(did).await?),
        invited_by: info.invited_by.map(|row| row.for_account),
        invites: info.invites.iter().map(invite).collect(),
        invites_disabled: info.login.invites_disabled,
        hidden: store.takedowns(did).await?.into_iter().map(|row| row.subject).collect(),
    })))
}

/// What is asked for beside the password, in words.
fn factors(set: &Factors) -> Vec<String> {
    let mut out = Vec::new();
    out.extend(set.app_since.map(|_| "authenticator app".to_owned()));
    out.extend(set.email.then(|| "codes by e-mail".to_owned()));
    match set.passkeys.len() {
        0 => {}
        1 => out.push("1 passkey".to_owned()),
        more => out.push(format!("{more} passkeys")),
    }
    out.extend(set.backup_codes.map(|(_, left)| format!("{left} backup codes left")));
    out
}

async fn disable(
    host: &Host,
    account: &str,
    disabled: bool,
    reason: Option<String>,
) -> Result<Answer, Failure> {
    let did = host.hosted_account(account).await?;
    let (by, subject) = (By::Operator, Subject::Account(did.clone()));
    if disabled {
        host.take_down(&by, &subject, reason.as_deref()).await?;
        return done(&did, "the account is disabled: it is served to nobody, and its sessions ended");
    }
    host.restore(&by, &subject).await?;
    let deactivated = host.subject_status(&subject).await?.deactivated == Some(true);
    let words = if deactivated {
        "the account is no longer disabled; its owner had deactivated it, and activates it by logging in"
    } else {
        "the account is enabled"
    };
    done(&did, words)
}

async fn moderation(host: &Host, ask: Ask) -> Result<Answer, Failure> {
    let by = By::Operator;
    match ask {
        Ask::Moderate { subject, blob, down, reference } => {
            let subject = subject::read(host, &subject, blob.as_deref()).await?;
            is_there(host, &subject, down).await?;
            let words = if down {
                host.take_down(&by, &subject, reference.as_deref()).await?;
                "taken down"
            } else {
                host.restore(&by, &subject).await?;
                "shown again"
            };
            Ok(Answer::HostingDone(Done { subject: subject::words(&subject), done: words.to_owned() }))
        }
        Ask::Status { subject, blob } => {
            let subject = subject::read(host, &subject, blob.as_deref()).await?;
            let status = host.subject_status(&subject).await?;
            let words = match (status.takedown, status.deactivated) {
                (Some(reference), _) => format!("taken down: {reference}"),
                (None, Some(true)) => "deactivated by its owner".to_owned(),
                (None, _) => "shown".to_owned(),
            };
            Ok(Answer::HostingDone(Done { subject: subject::words(&subject), done: words }))
        }
        _ => Err(Failure::new("bug", "a command went the wrong way")),
    }
}

/// A typing error must not look like a takedown. The methods take what is not here, as the reference does: a moderation
/// service may be late.
async fn is_there(host: &Host, subject: &Subject, down: bool) -> Result<(), Failure> {
    let words = subject::words(subject);
    if matches!(subject, Subject::Account(_)) || host.is_taken_down(subject.did(), &subject.key()).await? {
        return Ok(());
    }
    if !down {
        return Err(Failure::new("notfound", format!("{words} is not taken down; nothing was changed")));
    }
    match host.subject_status(subject).await {
        Ok(_) => Ok(()),
        Err(error) if error.name == "NotFound" => Err(Failure::new(
            "notfound",
            format!("{words} is not here; nothing was changed"),
        )
        .hint(
            "look at the collection, the record key or the CID; what is not on this node needs no takedown",
        )),
        Err(error) => Err(error.into()),
    }
}

fn mail_line(row: &MailRow, has_server: bool) -> MailLine {
    let state = match (row.given_up_at, has_server) {
        (Some(_), _) => "given up",
        (None, true) => "waiting",
        (None, false) => "for the operator",
    };
    MailLine {
        id: row.id,
        to: row.to.clone(),
        kind: row.kind.clone(),
        created_at: row.created_at,
        tries: row.tries,
        state: state.to_owned(),
        last_error: row.last_error.clone(),
    }
}

async fn mail(host: &Host, ask: Ask) -> Result<Answer, Failure> {
    let has_server = host.config().accounts.mail.smtp.is_some();
    let absent = |id: i64| {
        Failure::new("notfound", format!("there is no mail {id}: sent mail is not kept"))
            .hint("`p2pds mail list` shows what waits")
    };
    match ask {
        Ask::Mails => {
            let rows = host.mail_list(MOST).await?;
            Ok(Answer::Mails(rows.iter().map(|row| mail_line(row, has_server)).collect()))
        }
        Ask::Mail { id } => {
            let read = host.mail_show(id).await?.ok_or_else(|| absent(id))?;
            let by = By::Operator;
            let what = "readMail";
            let subject = read.row.kind.clone();
            host.audit(Act { by: &by, what, did: read.row.did.as_ref(), subject: &subject, detail: "" })
                .await?;
            let words = read.words.ok_or_else(|| {
                Failure::new(
                    "corrupt",
                    format!("mail {id} cannot be read: it was written with another node.key"),
                )
            })?;
            Ok(Answer::Mail(Box::new(MailText {
                line: mail_line(&read.row, has_server),
                subject: words.subject,
                text: Secret::new(&words.text),
            })))
        }
        Ask::SendMail { id } => {
            let sent = host.mail_send_now(id).await?.ok_or_else(|| absent(id))?;
            sent.map_err(|not| not_sent(&not.why))?;
            Ok(Answer::HostingDone(Done { subject: format!("mail {id}"), done: "sent".to_owned() }))
        }
        Ask::TestMail { address } => {
            if !has_server {
                return Err(Failure::new(
                    "denied",
                    "no mail server is set, so mail waits for you in `p2pds mail list`",
                )
                .hint("set mail.smtp_url (PDS_EMAIL_SMTP_URL) and mail.from (PDS_EMAIL_FROM_ADDRESS)"));
            }
            host.send_test_mail(&address).await.map_err(|not| not_sent(&not.why))?;
            let done = "the mail server took it: look for it there, also among spam".to_owned();
            Ok(Answer::HostingDone(Done { subject: address, done }))
        }
        _ => Err(Failure::new("bug", "a command went the wrong way")),
    }
}

fn not_sent(why: &str) -> Failure {
    Failure::new(ErrorKind::Unavailable.as_str(), format!("the mail was not sent: {why}"))
        .hint("check mail.smtp_url (or mail.smtp_host, mail.smtp_port, mail.smtp_tls, mail.smtp_user) and mail.from")
}
