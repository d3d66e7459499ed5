use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use p2pds_host::accounts::tokens::{MOST_TRIES, TOKEN_LASTS, TokenPurpose};
use p2pds_host::accounts::{By, Credentials, MailJob, SmtpConfig};
use p2pds_host::jobs::Job as _;
use p2pds_store::Store;
use p2pds_store::hosting::AccountsStore as _;
use p2pds_store_sqlite::{Options, SqliteStore};
use p2pds_syntax::Did;

use crate::shared::{Node, config};
use crate::{HOUR, MINUTE, PASSWORD, add, code, forgot, later, log_in, reset, with_account};

async fn confirmed(node: &Node, did: &Did) -> bool {
    node.host.account_view(did).await.unwrap().email_confirmed
}

#[tokio::test]
async fn an_address_is_confirmed_once() {
    let (node, did) = with_account().await;
    node.host.request_email_confirmation(&did).await.unwrap();
    let code = code(&node, "confirm-email").await;
    let confirm = |email: &'static str, token: String| {
        let (host, did) = (node.host.clone(), did.clone());
        async move { host.confirm_email(&did, email, &token).await.map_err(|error| error.name) }
    };
    assert_eq!(confirm("other@mail.example", code.clone()).await, Err("InvalidEmail"));
    assert!(!confirmed(&node, &did).await);
    assert_eq!(confirm("USER1@mail.example", code.to_lowercase()).await, Ok(()));
    assert!(confirmed(&node, &did).await);
    assert_eq!(confirm("user1@mail.example", code).await, Err("InvalidToken"), "once");
}

#[tokio::test]
async fn a_token_is_for_one_purpose_one_account_and_a_quarter_of_an_hour() {
    let (node, did) = with_account().await;
    let other = add(&node, 2).await;
    node.host.request_account_delete(&did).await.unwrap();
    let token = code(&node, "delete-account").await;
    let check = |did: &Did, purpose, token: &str| {
        let (host, did, token) = (node.host.clone(), did.clone(), token.to_owned());
        async move { host.check_email_token(&did, purpose, &token).await.map(|_| ()).map_err(|e| e.name) }
    };
    assert_eq!(check(&did, TokenPurpose::UpdateEmail, &token).await, Err("InvalidToken"));
    assert_eq!(check(&other, TokenPurpose::DeleteAccount, &token).await, Err("InvalidToken"));
    assert_eq!(check(&did, TokenPurpose::DeleteAccount, &token).await, Ok(()), "checking takes nothing");
    node.host.request_account_delete(&did).await.unwrap();
    assert_eq!(
        check(&did, TokenPurpose::DeleteAccount, &token).await,
        Err("InvalidToken"),
        "a newer one was sent"
    );
    let token = code(&node, "delete-account").await;
    later(&node, TOKEN_LASTS - MINUTE);
    assert_eq!(check(&did, TokenPurpose::DeleteAccount, &token).await, Ok(()));
    later(&node, 2 * MINUTE);
    assert_eq!(check(&did, TokenPurpose::DeleteAccount, &token).await, Err("ExpiredToken"));
    assert_eq!(
        check(&did, TokenPurpose::DeleteAccount, &token).await,
        Err("InvalidToken"),
        "and is forgotten"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_is_void_after_a_few_tries_however_they_come() {
    let (node, did) = with_account().await;
    for at_once in [false, true] {
        node.host.request_account_delete(&did).await.unwrap();
        let token = code(&node, "delete-account").await;
        let guess = |token: String| {
            let (host, did) = (node.host.clone(), did.clone());
            async move { host.check_email_token(&did, TokenPurpose::DeleteAccount, &token).await.is_ok() }
        };
        if at_once {
            let all: Vec<_> = (0..20).map(|n| tokio::spawn(guess(format!("AAAAA-{n:05}")))).collect();
            for one in all {
                assert!(!one.await.unwrap());
            }
        } else {
            for n in 0..MOST_TRIES {
                assert!(!guess(format!("AAAAA-{n:05}")).await);
            }
        }
        assert!(!guess(token).await, "void");
    }
    node.host.request_account_delete(&did).await.unwrap();
    let token = code(&node, "delete-account").await;
    for n in 1..MOST_TRIES {
        let wrong = format!("AAAAA-{n:05}");
        assert!(node.host.check_email_token(&did, TokenPurpose::DeleteAccount, &wrong).await.is_err());
    }
    let take = node.host.check_email_token(&did, TokenPurpose::DeleteAccount, &token).await.unwrap();
    node.store.apply(take.clone()).await.unwrap();
    assert!(node.store.apply(take).await.is_err(), "taken once");
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_and_everybody_is_logged_out() {
    let (node, did) = with_account().await;
    let session = log_in(&node, did.as_str(), PASSWORD).await.unwrap().tokens;
    forgot(&node, "nobody@mail.example").await;
    assert!(node.host.mail_list(9).await.unwrap().iter().all(|row| row.kind != "reset-password"));
    forgot(&node, "User1@Mail.example").await;
    let token = code(&node, "reset-password").await;
    assert_eq!(token.len(), 23, "who guesses names no account: it must be long");
    let set = |password: &'static str| {
        let (host, token) = (node.host.clone(), token.clone());
        async move { host.reset_password(reset(&token, password, false)).await }
    };
    assert!(set("short").await.is_err());
    set("a new password").await.unwrap();
    assert_eq!(set("another password").await.unwrap_err().name, "InvalidToken", "once");
    assert!(node.host.verify_access(&session.access).await.is_err());
    assert!(log_in(&node, did.as_str(), PASSWORD).await.is_err());
    assert!(log_in(&node, did.as_str(), "a new password").await.is_ok());
    assert!(node.host.mail_list(9).await.unwrap().iter().any(|row| row.kind == "password-changed"));
}

#[tokio::test]
async fn who_forgot_a_password_is_looked_up_after_the_answer_and_codes_are_not_sent_without_end() {
    let (node, did) = with_account().await;
    let sent = async || {
        let rows = node.host.mail_list(100).await.unwrap();
        rows.iter().filter(|row| row.kind == "reset-password").count()
    };
    node.host.request_password_reset("user1@mail.example");
    assert_eq!(sent().await, 0, "the answer does not wait for the store");
    for _ in 0..2 {
        forgot(&node, "user1@mail.example").await;
        assert_eq!(sent().await, 1, "one a minute");
    }
    let first = code(&node, "reset-password").await;
    node.host.check_email_token(&did, TokenPurpose::ResetPassword, &first).await.expect("it stays good");
    for wanted in [2, 3, 4, 5, 5] {
        later(&node, MINUTE);
        forgot(&node, "user1@mail.example").await;
        assert_eq!(sent().await, wanted);
    }
    // Whoever is signed in hears it, through whichever door.
    for n in 0..6 {
        assert_eq!(node.host.request_email_confirmation(&did).await.is_ok(), n < 5);
        later(&node, MINUTE);
    }
    let refused = node.host.request_email_confirmation(&did).await.unwrap_err();
    assert!(refused.name == "RateLimitExceeded" && refused.retry_after.is_some(), "{refused}");
    later(&node, HOUR);
    node.host.request_email_confirmation(&did).await.unwrap();
}

#[tokio::test]
async fn a_password_by_e_mail_ends_app_passwords_where_that_is_wanted() {
    let (node, did) = with_account().await;
    let (_, app) = node.host.create_app_password(&did, "an app", false).await.unwrap();
    let made = node.host.mail_list(9).await.unwrap().into_iter().find(|row| row.kind == "app-password-made");
    let made = node.host.mail_show(made.unwrap().id).await.unwrap().unwrap().words.unwrap().text;
    assert!(made.contains("\"an app\"") && !made.contains(app.as_str()), "{made}");
    for end in [false, true] {
        forgot(&node, "user1@mail.example").await;
        let token = code(&node, "reset-password").await;
        node.host.reset_password(reset(&token, "a new password", end)).await.unwrap();
        assert_eq!(log_in(&node, did.as_str(), &app).await.is_err(), end);
        let row =
            node.host.mail_list(9).await.unwrap().into_iter().find(|row| row.kind == "password-changed");
        let text = node.host.mail_show(row.unwrap().id).await.unwrap().unwrap().words.unwrap().text;
        assert_eq!(text.contains("One app password goes on working."), !end, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_of_strangers_do_not_outlast_a_new_password() {
    let (node, did) = with_account().await;
    let log_in = |address: String, password: &'static str, typed: &'static str| {
        let host = node.host.clone();
        async move {
            let given = Credentials {
                identifier: typed,
                password,
                auth_factor_token: None,
                allow_takendown: false,
                address: &address,
            };
            host.log_in(given).await.map(|_| ()).map_err(|error| error.name)
        }
    };
    for n in 0..4 {
        let all: Vec<_> = (0..26)
            .map(|at| {
                tokio::spawn(log_in(format!("192.0.2.{n}{at}"), "wrong password", "User1@mail.example"))
            })
            .collect();
        for one in all {
            assert!(one.await.unwrap().is_err());
        }
    }
    let _ = log_in("198.51.100.1".into(), "wrong password", "user1@mail.example").await;
    assert_eq!(
        log_in("198.51.100.1".into(), PASSWORD, "@user1@mail.example").await,
        Err("RateLimitExceeded"),
        "one a minute"
    );
    forgot(&node, "user1@mail.example").await;
    let token = code(&node, "reset-password").await;
    node.host.reset_password(reset(&token, "a new password", true)).await.unwrap();
    assert_eq!(log_in("203.0.113.1".into(), "a new password", "user1@mail.example").await, Ok(()));
    assert!(node.host.confirm_password(&did, "a new password", "203.0.113.1").await.is_ok());
    assert!(node.host.confirm_password(&did, PASSWORD, "203.0.113.1").await.is_err());
}

#[tokio::test]
async fn a_confirmed_address_is_changed_with_a_token_only() {
    let (node, did) = with_account().await;
    let _other = add(&node, 2).await;
    assert!(!node.host.request_email_update(&did).await.unwrap(), "not confirmed: none is needed");
    node.host.request_email_confirmation(&did).await.unwrap();
    let confirm = code(&node, "confirm-email").await;
    node.host.confirm_email(&did, "user1@mail.example", &confirm).await.unwrap();
    let update = |email: &'static str, token: Option<String>| {
        let (host, did) = (node.host.clone(), did.clone());
        async move {
            host.update_email(&did, email, token.as_deref(), None, "none").await.map_err(|error| error.name)
        }
    };
    assert_eq!(update("new@mail.example", None).await, Err("TokenRequired"));
    assert!(node.host.request_email_update(&did).await.unwrap());
    let token = code(&node, "update-email").await;
    assert_eq!(update("new@mail.example", Some("AAAAA-AAAAA".into())).await, Err("InvalidToken"));
    assert_eq!(update("user2@mail.example", Some(token.clone())).await, Err("InvalidRequest"), "another's");
    assert_eq!(update("no address", Some(token.clone())).await, Err("InvalidRequest"));
    assert_eq!(update("new@mail.example", Some(token)).await, Ok(()));
    assert!(!confirmed(&node, &did).await);
    let told =
        node.host.mail_list(9).await.unwrap().into_iter().find(|row| row.kind == "address-changed").unwrap();
    assert_eq!(told.to, "user1@mail.example", "the one before hears of it");
}

struct Smtp {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Smtp {
    /// `None` (said on standard output) where Python has no mail server.
    fn start() -> Option<Self> {
        let known = Command::new("python3")
            .args(["-W", "ignore", "-c", "import smtpd"])
            .stderr(Stdio::null())
            .status();
        if !known.is_ok_and(|status| status.success()) {
            println!("SKIPPED: python3 with smtpd is not here");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/accounts/smtp.py");
        let mut child =
            Command::new("python3").args(["-W", "ignore", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut smtp = Self { lines: BufReader::new(child.stdout.take().unwrap()), child, port: 0 };
        smtp.port = smtp.line().trim().parse().unwrap();
        Some(smtp)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    fn node(&self) -> Node {
        let mut config = config();
        config.accounts.mail.smtp = Some(SmtpConfig::Url(format!("smtp://127.0.0.1:{}", self.port).into()));
        config.accounts.mail.from = Some("Example PDS <noreply@pds.test>".into());
        let dir = tempfile::TempDir::new().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(dir.path(), Options::default()).unwrap());
        Node::with(dir, store, config)
    }
}

#[tokio::test]
async fn queued_mail_is_handed_to_the_server_and_then_not_kept() {
    let Some(mut smtp) = Smtp::start() else { return };
    let node = smtp.node();
    let did = add(&node, 1).await;
    node.host.send_test_mail("operator@mail.example").await.unwrap();
    assert!(smtp.line().contains("operator@mail.example"));
    for row in node.host.mail_list(9).await.unwrap() {
        node.host.mail_send_now(row.id).await.unwrap().unwrap().unwrap();
        smtp.line();
    }
    node.host.request_account_delete(&did).await.unwrap();
    let token = code(&node, "delete-account").await;
    MailJob.round(&node.host).await.unwrap();
    let sent: serde_json::Value = serde_json::from_str(&smtp.line()).unwrap();
    assert_eq!((&sent["from"], &sent["to"]), (&"noreply@pds.test".into(), &"user1@mail.example".into()));
    let data = sent["data"].as_str().unwrap();
    assert!(data.contains(&token) && data.contains("Subject: Deleting your account"), "{data}");
    assert!(
        data.contains("If you did not ask for this") && data.contains("Auto-Submitted: auto-generated"),
        "{data}"
    );
    assert!(node.host.mail_list(9).await.unwrap().is_empty());
    node.host.admin_send_email(&By::Admin, &did, "Your report", "Thank you.").await.unwrap();
    MailJob.round(&node.host).await.unwrap();
    assert!(smtp.line().contains("Thank you."));
}

#[tokio::test]
async fn mail_is_tried_again_and_given_up_for_a_reason() {
    let Some(mut smtp) = Smtp::start() else { return };
    let node = smtp.node();
    let did = add(&node, 1).await;
    let first: Vec<_> = node.host.mail_list(9).await.unwrap();
    for row in first {
        node.host.mail_send_now(row.id).await.unwrap().unwrap().unwrap();
        smtp.line();
    }
    node.host.admin_set_email(&By::Operator, &did, "busy-2@mail.example").await.unwrap();
    node.host.request_email_confirmation(&did).await.unwrap();
    for tries in 1..=2 {
        MailJob.round(&node.host).await.unwrap();
        let row = node.host.mail_list(1).await.unwrap().remove(0);
        assert_eq!(row.tries, tries);
        assert!(row.last_error.unwrap().contains("come back later") && row.given_up_at.is_none());
        MailJob.round(&node.host).await.unwrap();
        assert_eq!(node.host.mail_list(1).await.unwrap()[0].tries, tries, "not before its turn");
        later(&node, MINUTE);
    }
    MailJob.round(&node.host).await.unwrap();
    assert!(smtp.line().contains("busy-2@mail.example"));
    node.host.admin_set_email(&By::Operator, &did, "nobody@mail.example").await.unwrap();
    node.host.request_email_confirmation(&did).await.unwrap();
    MailJob.round(&node.host).await.unwrap();
    let row = node.host.mail_list(1).await.unwrap().remove(0);
    assert!(row.given_up_at.is_some() && row.last_error.unwrap().contains("no such mailbox"));
    let found = node.store.findings(&did, 9).await.unwrap();
    assert_eq!((found[0].kind.as_str(), found[0].subject.as_str()), ("mail-undelivered", "confirm-email"));
    node.host.admin_set_email(&By::Operator, &did, "busy-999@mail.example").await.unwrap();
    node.host.request_email_confirmation(&did).await.unwrap();
    MailJob.round(&node.host).await.unwrap();
    later(&node, HOUR);
    MailJob.round(&node.host).await.unwrap();
    let row = node.host.mail_list(1).await.unwrap().remove(0);
    assert!(row.given_up_at.is_some(), "a code that is past its time helps nobody");
}

#[tokio::test]
async fn mail_survives_the_process_that_queued_it() {
    let (node, did) = with_account().await;
    node.host.request_email_confirmation(&did).await.unwrap();
    let before = node.store.mails(9).await.unwrap();
    node.store.close().await.unwrap();
    let store = SqliteStore::open(node.dir.path(), Options::default()).unwrap();
    assert_eq!(store.mails(9).await.unwrap(), before);
    assert!(before.iter().any(|row| row.kind == "confirm-email"));
}
