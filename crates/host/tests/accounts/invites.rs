use p2pds_host::accounts::{ADMIN, By, NewAccount, Subject};
use p2pds_store::hosting::InviteOrder;
use p2pds_syntax::Did;

use crate::shared::{Node, config, did};
use crate::{DAY, PASSWORD, add};

fn strict() -> Node {
    let mut config = config();
    config.invite_required = true;
    config.accounts.invite_interval = Some(std::time::Duration::from_secs(86_400));
    let dir = tempfile::TempDir::new().unwrap();
    let store = p2pds_store_sqlite::SqliteStore::open(dir.path(), Default::default()).unwrap();
    Node::with(dir, std::sync::Arc::new(store), config)
}

/// Somebody with an identity of his own, so that no directory is needed.
async fn sign_up(node: &Node, number: u32, code: Option<&str>) -> Result<Did, &'static str> {
    let did = did(number);
    let asked = NewAccount {
        handle: format!("user{number}.pds.test"),
        email: Some(crate::email_of(number)),
        password: Some(PASSWORD.to_owned()),
        invite_code: code.map(str::to_owned),
        recovery_key: None,
        requester: Some(did.clone()),
        did: Some(did),
        by: By::Owner,
    };
    node.host.create_account(asked).await.map(|made| made.account.did).map_err(|error| error.name)
}

#[tokio::test]
async fn a_code_is_good_for_so_many_and_no_more() {
    let node = strict();
    let made = node.host.create_invites(&By::Admin, &[ADMIN.to_owned()], 1, 2).await.unwrap();
    let code = &made[0].codes[0];
    assert!(code.starts_with("pds-test-") && code.len() == "pds-test-".len() + 23, "{code}");
    assert_eq!(sign_up(&node, 1, None).await, Err("InvalidInviteCode"));
    assert_eq!(sign_up(&node, 1, Some("pds-test-abcde-abcde-abcde-abcde")).await, Err("InvalidInviteCode"));
    assert_eq!(sign_up(&node, 1, Some(code)).await, Ok(did(1)));
    let (a, b, c) = tokio::join!(
        sign_up(&node, 2, Some(code)),
        sign_up(&node, 3, Some(code)),
        sign_up(&node, 4, Some(code))
    );
    assert_eq!([a, b, c].iter().filter(|made| made.is_ok()).count(), 1, "those who race get what is left");
    let row = &node.host.invites(InviteOrder::Usage, None, 9).await.unwrap()[0];
    assert_eq!((row.used_up(), row.used.len()), (2, 2));
    let info = node.host.account_info(&did(1)).await.unwrap();
    assert_eq!(info.invited_by.unwrap().code, *code);
    // Who deletes his account gives no use back, and is not named any more.
    node.host.admin_delete_account(&By::Admin, &did(1)).await.unwrap();
    node.host.erase(&did(1)).await.unwrap();
    let row = &node.host.invites(InviteOrder::Usage, None, 9).await.unwrap()[0];
    assert_eq!((row.used_up(), row.used.len()), (2, 1));
    assert_eq!(sign_up(&node, 5, Some(code)).await, Err("InvalidInviteCode"));
}

#[tokio::test]
async fn codes_are_switched_off_and_fall_with_their_owner() {
    let node = strict();
    let owner = add(&node, 1).await;
    let made = node.host.create_invites(&By::Admin, &[owner.to_string()], 2, 1).await.unwrap();
    let [first, second] = &made[0].codes[..] else { panic!("two codes") };
    node.host.disable_invites(&By::Admin, vec![first.clone()], vec![]).await.unwrap();
    assert_eq!(sign_up(&node, 2, Some(first)).await, Err("InvalidInviteCode"));
    let subject = Subject::Account(owner.clone());
    node.host.take_down(&By::Admin, &subject, None).await.unwrap();
    assert_eq!(sign_up(&node, 2, Some(second)).await, Err("InvalidInviteCode"));
    node.host.restore(&By::Admin, &subject).await.unwrap();
    assert_eq!(sign_up(&node, 2, Some(second)).await, Ok(did(2)));
    assert!(node.host.disable_invites(&By::Admin, vec![], vec![ADMIN.to_owned()]).await.is_err());
    assert!(node.host.create_invites(&By::Admin, &["x".to_owned()], 1, 1).await.is_err());
}

#[tokio::test]
async fn accounts_get_codes_as_time_passes() {
    let node = strict();
    let did = add(&node, 1).await;
    assert_eq!(node.host.account_invites(&did, true).await.unwrap().len(), 0);
    crate::later(&node, 2 * DAY);
    assert_eq!(node.host.account_invites(&did, false).await.unwrap().len(), 0);
    let (a, b) = tokio::join!(node.host.account_invites(&did, true), node.host.account_invites(&did, true));
    assert!(a.unwrap().len() == 2 && b.unwrap().len() == 2, "asked twice at once, made once");
    crate::later(&node, 100 * DAY);
    assert_eq!(node.host.account_invites(&did, true).await.unwrap().len(), 5, "five unused at most");
}

#[tokio::test]
async fn pages_of_invites_hold_each_code_once() {
    let node = strict();
    node.host.create_invites(&By::Admin, &[ADMIN.to_owned()], 25, 1).await.unwrap();
    for order in [InviteOrder::Recent, InviteOrder::Usage] {
        let (mut seen, mut after) = (std::collections::BTreeSet::new(), None);
        loop {
            let page = node.host.invites(order, after.clone(), 10).await.unwrap();
            let Some(last) = page.last() else { break };
            let place =
                if order == InviteOrder::Recent { last.created_at } else { i64::from(last.used_up()) };
            after = Some((place, last.code.clone()));
            for row in page {
                assert!(seen.insert(row.code));
            }
        }
        assert_eq!(seen.len(), 25);
    }
}

#[tokio::test]
async fn a_sign_up_with_an_identity_of_another_is_refused() {
    let node = Node::new();
    let asked = |number: u32| NewAccount {
        handle: format!("user{number}.pds.test"),
        email: Some(crate::email_of(number)),
        password: Some(PASSWORD.to_owned()),
        invite_code: None,
        recovery_key: None,
        requester: Some(did(number)),
        did: Some(did(number)),
        by: By::Owner,
    };
    let refused = |asked: NewAccount| {
        let host = node.host.clone();
        async move { host.create_account(asked).await.unwrap_err().name }
    };
    assert_eq!(refused(NewAccount { requester: None, ..asked(1) }).await, "AuthenticationRequired");
    assert_eq!(refused(NewAccount { requester: Some(did(2)), ..asked(1) }).await, "AuthenticationRequired");
    assert_eq!(refused(NewAccount { email: None, ..asked(1) }).await, "InvalidRequest");
    assert_eq!(
        refused(NewAccount { email: Some("x@mailinator.com".into()), ..asked(1) }).await,
        "InvalidRequest"
    );
    assert_eq!(refused(NewAccount { password: None, ..asked(1) }).await, "InvalidPassword");
    assert_eq!(refused(NewAccount { password: Some("short".into()), ..asked(1) }).await, "InvalidPassword");
    assert_eq!(
        refused(NewAccount { handle: "admin.pds.test".into(), ..asked(1) }).await,
        "HandleNotAvailable"
    );
    assert_eq!(refused(NewAccount { handle: "a.pds.test".into(), ..asked(1) }).await, "InvalidHandle");
    let made = node.host.create_account(asked(1)).await.unwrap();
    assert_eq!((made.account.active, made.account.status), (false, Some("deactivated")));
    assert_eq!(node.store.last_seq().await.unwrap(), 0, "the network hears nothing of it");
    assert_eq!(refused(asked(1)).await, "InvalidRequest");
    assert_eq!(
        refused(NewAccount { handle: "user1.pds.test".into(), ..asked(2) }).await,
        "HandleNotAvailable"
    );
    assert_eq!(
        refused(NewAccount { email: Some("USER1@mail.example".into()), ..asked(2) }).await,
        "InvalidRequest"
    );
}
