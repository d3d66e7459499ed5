use serde_json::json;

use super::*;

const AUD: &str = "did:web:api.example.com#svc_appview";

fn scopes(text: &str) -> Scopes {
    Scopes::parse(text).unwrap()
}

fn may(text: &str, need: Need<'_>) -> bool {
    scopes(text).allows(&need)
}

fn write(collection: &str, action: RepoAction) -> Need<'_> {
    Need::Repo { collection, action }
}

#[test]
fn lists_keep_order_and_words_and_have_each_scope_once() {
    let text = "repo:*?action=delete atproto repo:com.example.b atproto repo?collection=com.example.b";
    let read = scopes(text);
    assert_eq!(
        read.to_string(),
        "repo:*?action=delete atproto repo:com.example.b repo?collection=com.example.b"
    );
    assert_eq!(read.len(), 4);
    assert!(read.is_atproto() && !scopes("repo:*").is_atproto());
}

#[test]
fn what_is_no_list_of_scopes() {
    assert_eq!(Scopes::parse(""), Err(ScopeError::Empty));
    for text in [
        " ",
        " atproto",
        "atproto ",
        "atproto  repo:*",
        "atproto\trepo:*",
        "atproto \"",
        "repo:\\",
        "atproto é",
    ] {
        assert_eq!(Scopes::parse(text), Err(ScopeError::Form), "{text:?}");
    }
    let many = vec!["atproto"; MAX_SCOPES + 1].join(" ");
    assert_eq!(Scopes::parse(&many), Err(ScopeError::TooLong(many.len())));
    let long = format!("atproto {}", "a".repeat(MAX_TEXT));
    assert!(matches!(Scopes::parse(&long), Err(ScopeError::TooLong(_))));
    assert_eq!(Scopes::parse("atproto openid"), Err(ScopeError::Unknown("openid".to_owned())));
}

#[test]
fn unknown_scopes_are_named_and_left_out() {
    let (known, unknown) = Scopes::known("openid atproto repo:nope space:com.example.x repo:*").unwrap();
    assert_eq!(known.to_string(), "atproto repo:*");
    assert_eq!(unknown, ["openid", "repo:nope", "space:com.example.x"]);
}

#[test]
fn declared_means_word_for_word() {
    let asked = scopes("atproto repo:com.example.a");
    assert!(asked.subset_of("repo:com.example.a repo:com.example.b atproto"));
    for declared in [
        "",
        "atproto",
        "atproto repo:*",
        "atproto repo?collection=com.example.a",
        "atproto repo:com.example.ab",
    ] {
        assert!(!asked.subset_of(declared), "{declared}");
    }
    assert_eq!(asked.undeclared("atproto repo:*"), Some("repo:com.example.a"));
}

#[test]
fn a_person_grants_less_than_was_asked_and_never_more() {
    let asked = scopes("atproto repo:com.example.a identity:*");
    let granted = asked.common(&scopes("identity:* repo:* atproto"));
    assert_eq!(granted.to_string(), "atproto identity:*");
}

#[test]
fn records() {
    use RepoAction::{Create, Delete, Update};
    let post = "app.bsky.feed.post";
    assert!(may("repo:app.bsky.feed.post", write(post, Create)));
    assert!(may("repo:*?action=delete", write(post, Delete)));
    assert!(!may("repo:*?action=delete", write(post, Create)));
    assert!(!may("repo:app.bsky.feed.post?action=create&action=update", write(post, Delete)));
    assert!(may("repo:app.bsky.feed.post?action=create&action=update", write(post, Update)));
    assert!(!may("repo:app.bsky.feed.like", write(post, Create)));
    assert!(!may("repo:app.bsky.feed.POST", write(post, Create)), "names are told apart by their case");
    assert!(!may("repo:app.bsky.feed.post", write("app.bsky.feed.postgate", Create)), "no prefixes");
    assert!(!may("atproto transition:email transition:chat.bsky blob:*/* identity:*", write(post, Create)));
    assert!(may("atproto transition:generic", write(post, Delete)));
}

#[test]
fn methods_at_services() {
    let feed = "app.bsky.feed.getTimeline";
    let call = |lxm, aud| Need::Rpc { lxm, aud };
    let at = "rpc:app.bsky.feed.getTimeline?aud=did:web:api.example.com%23svc_appview";
    assert!(may(at, call(feed, AUD)));
    assert!(!may(at, call(feed, "did:web:api.example.com")), "a bare DID is another audience");
    assert!(!may(at, call(feed, "did:web:api.example.com#other")));
    assert!(!may(at, call("*", AUD)));
    assert!(may("rpc:app.bsky.feed.getTimeline?aud=*", call(feed, "did:web:any.example#x")));
    assert!(may("rpc:*?aud=did:web:api.example.com%23svc_appview", call("*", AUD)));
    assert!(
        Scopes::parse("rpc:*?aud=*").is_err() && Scopes::parse("rpc?lxm=com.example.a&lxm=*&aud=*").is_err()
    );
}

#[test]
fn transition_scopes_stop_at_direct_messages_and_at_the_account() {
    let call = |lxm| Need::Rpc { lxm, aud: AUD };
    assert!(
        may("transition:generic", call("app.bsky.feed.getTimeline")) && may("transition:generic", call("*"))
    );
    for chat in ["chat.bsky.convo.sendMessage", "Chat.Bsky.convo.sendMessage"] {
        assert!(!may("atproto transition:generic", call(chat)), "{chat}");
        assert!(may("transition:chat.bsky", call(chat)), "{chat}");
    }
    assert!(
        !may("transition:chat.bsky", call("app.bsky.feed.getTimeline"))
            && !may("transition:chat.bsky", call("*"))
    );
    let all = "atproto transition:generic transition:chat.bsky transition:email";
    for attr in AccountAttr::ALL {
        assert!(!may(all, Need::Account { attr, action: AccountAction::Manage }), "{attr:?}");
    }
    let read = Need::Account { attr: AccountAttr::Email, action: AccountAction::Read };
    assert!(may(all, read) && !may("atproto transition:generic", read));
    for attr in [IdentityAttr::Handle, IdentityAttr::All] {
        assert!(!may(all, Need::Identity(attr)));
    }
}

#[test]
fn media() {
    let blob = |mime| Need::Blob { mime };
    assert!(may("blob:*/*", blob("video/mp4")) && may("blob:image/*", blob("image/png")));
    assert!(may("blob?accept=video/*&accept=image/png", blob("image/png")));
    for (text, mime) in [
        ("blob:image/*", "video/mp4"),
        ("blob:image/png", "image/pngx"),
        ("blob:*/*", "png"),
        ("blob:*/*", "image/*"),
        ("blob:image/*", "imagex/png"),
        ("repo:*", "image/png"),
    ] {
        assert!(!may(text, blob(mime)), "{text} {mime}");
    }
}

#[test]
fn the_account_and_its_identity() {
    use AccountAction::{Manage, Read};
    let email = |action| Need::Account { attr: AccountAttr::Email, action };
    assert!(may("account:email", email(Read)) && !may("account:email", email(Manage)));
    assert!(
        may("account:email?action=manage", email(Read)) && may("account:email?action=manage", email(Manage))
    );
    assert!(!may("account:repo?action=manage account:status?action=manage", email(Read)));
    assert!(may("identity:*", Need::Identity(IdentityAttr::Handle)));
    assert!(!may("identity:handle", Need::Identity(IdentityAttr::All)));
}

#[test]
fn what_is_missing_is_named_as_the_least_scope() {
    for (need, name) in [
        (Need::Any, "atproto"),
        (write("app.bsky.feed.post", RepoAction::Create), "repo:app.bsky.feed.post?action=create"),
        (
            Need::Rpc { lxm: "app.bsky.feed.getTimeline", aud: AUD },
            "rpc:app.bsky.feed.getTimeline?aud=did:web:api.example.com%23svc_appview",
        ),
        (Need::Blob { mime: "image/png" }, "blob:image/png"),
        (Need::Account { attr: AccountAttr::Email, action: AccountAction::Read }, "account:email"),
        (
            Need::Account { attr: AccountAttr::Repo, action: AccountAction::Manage },
            "account:repo?action=manage",
        ),
        (Need::Identity(IdentityAttr::All), "identity:*"),
    ] {
        assert_eq!(need.to_string(), name);
        assert!(may(name, need), "what is named would do: {name}");
    }
}

fn set(permissions: serde_json::Value) -> PermissionSet {
    let document = json!({ "lexicon": 1, "id": "app.example.authBasics", "defs": { "main": {
        "type": "permission-set", "title": "Basics", "title:lang": { "de": "Das Nötige" }, "detail": "All of it",
        "permissions": permissions,
    } } });
    PermissionSet::from_json(&document).unwrap()
}

#[test]
fn a_set_gives_what_is_below_its_own_authority() {
    let entries = json!([
        { "type": "permission", "resource": "repo", "collection": ["app.example.post", "app.example.deep.like"] },
        { "type": "permission", "resource": "repo", "collection": ["app.example.a"], "action": ["delete"] },
        { "type": "permission", "resource": "repo", "collection": ["app.example.b", "com.other.c"] },
        { "type": "permission", "resource": "repo", "collection": ["app.examples.c"] },
        { "type": "permission", "resource": "repo", "collection": ["*"] },
        { "type": "permission", "resource": "repo", "collection": "app.example.d" },
        { "type": "permission", "resource": "repo", "collection": [] },
        { "type": "permission", "resource": "repo", "collection": ["app.example.e"], "action": ["burn"] },
        { "type": "permission", "resource": "repo", "collection": ["app.example.e"], "also": "that" },
        { "type": "permission", "resource": "rpc", "lxm": ["app.example.get"], "aud": "*" },
        { "type": "permission", "resource": "rpc", "lxm": ["app.example.put"], "inheritAud": true },
        { "type": "permission", "resource": "rpc", "lxm": ["app.example.x"], "aud": "did:web:evil.example#svc" },
        { "type": "permission", "resource": "rpc", "lxm": ["com.other.get"], "aud": "*" },
        { "type": "permission", "resource": "rpc", "lxm": ["*"], "inheritAud": true },
        { "type": "permission", "resource": "rpc", "lxm": ["app.example.y"] },
        { "type": "permission", "resource": "blob", "accept": ["*/*"] },
        { "type": "permission", "resource": "account", "attr": "email", "action": ["manage"] },
        { "type": "permission", "resource": "identity", "attr": "*" },
        { "type": "permission" },
        "nonsense",
    ]);
    let set = set(entries);
    let expanded = |text: &str| scopes(text).expanded(|_| Some(&set)).unwrap().to_string();
    let own = "repo?collection=app.example.deep.like&collection=app.example.post repo:app.example.a?action=delete \
               rpc:app.example.get?aud=*";
    assert_eq!(expanded("atproto include:app.example.authBasics"), format!("atproto {own}"));
    assert_eq!(
        expanded("include:app.example.authBasics?aud=did:web:api.example.com%23svc atproto"),
        format!("{own} rpc:app.example.put?aud=did:web:api.example.com%23svc atproto")
    );
    assert_eq!(expanded("atproto include:com.evil.authBasics"), "atproto");
    assert_eq!(scopes("atproto include:app.example.authBasics").expanded(|_| None), None);
    assert!(!may("atproto include:app.example.authBasics", write("app.example.post", RepoAction::Create)));
}

#[test]
fn sets_have_words_in_languages() {
    let set = set(json!([]));
    assert_eq!(set.words("de-AT"), (Some("Das Nötige"), Some("All of it")));
    assert_eq!(set.words("fr"), (Some("Basics"), Some("All of it")));
    assert_eq!(PermissionSet::from_json(&json!({ "defs": { "main": { "type": "record" } } })), None);
    assert_eq!(PermissionSet::from_json(&json!({ "type": "permission-set" })), None);
}

#[test]
fn every_scope_has_words() {
    let mut said = std::collections::BTreeSet::new();
    for text in [
        "atproto",
        "transition:generic",
        "transition:email",
        "transition:chat.bsky",
        "repo:*",
        "repo:com.example.a?action=create&action=delete",
        "rpc:com.example.a?aud=*",
        "rpc:com.example.a?aud=did:web:x.example%23y",
        "rpc:*?aud=did:web:x.example%23y",
        "blob:*/*",
        "blob:image/*",
        "blob:image/png",
        "account:email",
        "account:email?action=manage",
        "account:repo",
        "account:repo?action=manage",
        "account:status",
        "account:status?action=manage",
        "identity:handle",
        "identity:*",
        "include:com.example.set",
        "include:com.example.set?aud=did:web:x.example%23y",
    ] {
        let sentences = Scope::parse(text).unwrap().words();
        assert!(!sentences.is_empty(), "{text}");
        said.extend(sentences.into_iter().map(|sentence| sentence.key));
    }
    assert_eq!(said, KEYS.into_iter().collect());
    let words =
        Scope::parse("repo?collection=com.example.b&collection=com.example.a&action=delete&action=create")
            .unwrap()
            .words();
    assert_eq!(words.len(), 2);
    assert_eq!(
        words[0].args,
        [("collection", "com.example.a".to_owned()), ("actions", "create-delete".to_owned())]
    );
}

proptest::proptest! {
    /// What is read can be written, and says the same when it is read again.
    #[test]
    fn one_form_of_many(text in "(repo|rpc|blob|account|identity|include)(:[a-z.*/%#]{0,20})?(\\?((collection|action|lxm|aud|accept|attr|nsid)=(com\\.example\\.[a-c]|\\*|create|delete|read|manage|email|did:web:x\\.example%23y|image/png|image/\\*)&?){0,4})?") {
        if let Ok(scope) = Scope::parse(&text) {
            let written = scope.to_string();
            let again = Scope::parse(&written).unwrap();
            proptest::prop_assert_eq!(again.to_string(), written);
        }
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,80}") {
        let _ = Scopes::parse(&text);
        let _ = Scope::parse(&text);
    }
}
