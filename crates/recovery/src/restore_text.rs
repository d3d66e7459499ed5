//! `RESTORE.txt`: one page on how to restore, for somebody who does not do this every day.

use std::fmt::Write as _;

use p2pds_archive::plural;

/// What the page is filled in with.
#[derive(Debug, Clone, Default)]
pub struct RestoreFacts {
    /// The account.
    pub did: String,
    /// Its handle, when it had one.
    pub handle: Option<String>,
    /// Whether the handle is a domain of the owner's own; `None` when that is not known.
    pub handle_is_own: Option<bool>,
    /// The host that it had.
    pub host: Option<String>,
    /// Revision of the export.
    pub rev: String,
    /// CID of its commit.
    pub commit: String,
    /// Records in it.
    pub records: u64,
    /// Blobs in it.
    pub blobs: u64,
    /// Blobs that it lacks.
    pub missing_blobs: u64,
    /// Rotation keys of the last operation of the PLC log, in order.
    pub rotation_keys: Vec<String>,
    /// CID of that operation.
    pub last_operation: Option<String>,
    /// Operations in the exported log.
    pub operations: u64,
    /// A did:web has no PLC log.
    pub web: bool,
    /// Whether a log vouches for the signing key.
    pub verified: bool,
    /// Name and version of the program.
    pub tool: String,
}

/// The page. The same facts give the same text.
#[must_use]
pub fn restore_text(facts: &RestoreFacts) -> String {
    let mut out = String::with_capacity(8_192);
    head(&mut out, facts);
    if facts.web {
        identity_first_web(&mut out, facts);
    } else {
        identity_first_plc(&mut out, facts);
    }
    middle(&mut out, facts);
    if facts.web {
        identity_last_web(&mut out, facts);
    } else {
        identity_last_plc(&mut out, facts);
    }
    tail(&mut out, facts);
    out
}

/// Writing to a `String` cannot fail.
macro_rules! line {
    ($out:expr) => { $out.push('\n') };
    ($out:expr, $($arg:tt)*) => {{ let _ = writeln!($out, $($arg)*); }};
}

fn head(out: &mut String, facts: &RestoreFacts) {
    let name = facts.handle.as_deref().unwrap_or(&facts.did);
    let handle = facts.handle.as_deref().unwrap_or("(none known here)");
    line!(out, "HOW TO RESTORE {name}, WITH OR WITHOUT ITS OLD SERVER");
    line!(out);
    line!(out, "Account   {}", facts.did);
    line!(out, "Handle    {handle}          Old server  {}", facts.host.as_deref().unwrap_or("(unknown)"));
    line!(
        out,
        "Content   {}, {} (pictures, videos), {} missing",
        plural(facts.records, "record", "records"),
        plural(facts.blobs, "blob", "blobs"),
        plural(facts.missing_blobs, "blob", "blobs")
    );
    line!(out, "State     revision {}, commit {}", facts.rev, facts.commit);
    if !facts.verified {
        line!(
            out,
            "WARNING   no identity log vouches for the key that signed this; compare with another copy if you can"
        );
    }
    line!(out);
    line!(
        out,
        "This folder is all that is needed, plus a private key (below), a new server (PDS) that takes you in, and two"
    );
    line!(
        out,
        "programs: curl, and goat (https://github.com/bluesky-social/goat). First check the copy: sha256sum -c SHA256SUMS"
    );
    line!(
        out,
        "If the old server still works, use its own move function instead (goat account migrate): it is simpler."
    );
    line!(out, "Type into one terminal window, in this folder. NEW is the new server's address:");
    line!(out);
    line!(out, "  DID={}", facts.did);
    line!(out, "  NEW=https://pds.example.com");
    line!(out);
}

fn identity_first_plc(out: &mut String, facts: &RestoreFacts) {
    line!(
        out,
        "1. TAKE THE IDENTITY IN HAND. The identity may be changed by who holds the private half of one of these keys:"
    );
    if facts.operations == 0 {
        line!(
            out,
            "     (not known here, plc.json is missing: see rotationKeys in the last operation of the line `Look first`)"
        );
    } else if facts.rotation_keys.is_empty() {
        line!(out, "     (none is named in plc.json: this identity cannot be moved by anybody)");
    }
    for (at, key) in facts.rotation_keys.iter().enumerate() {
        line!(out, "     {}. {key}", at.saturating_add(1));
    }
    line!(
        out,
        "   Usually one is yours and one is the old server's. Without yours this cannot be done: keep the folder, ask the"
    );
    line!(out, "   old server's people. ROTATION is your private key (goat's form, starts with z).");
    match &facts.last_operation {
        None => line!(out, "   Look first:  curl https://plc.directory/$DID/log/audit"),
        Some(last) => {
            line!(
                out,
                "   Look first:  curl https://plc.directory/$DID/log/audit    It should end as plc.json does ({},",
                plural(facts.operations, "operation", "operations")
            );
            line!(out, "   the last is {last}).");
        }
    }
    line!(
        out,
        "   If it goes on, somebody changed the identity later: check that your key is still in the last rotationKeys."
    );
    line!(out, "   Make a key A, only for this move, and name it as the account's signing key:");
    line!(out);
    line!(
        out,
        "  goat key generate                             # note A_SECRET (z...) and A_PUBLIC (did:key:z...)"
    );
    line!(out, "  goat plc update $DID --atproto-key A_PUBLIC > op1.json");
    line!(out, "  goat plc sign --plc-signing-key ROTATION op1.json > op1.signed.json");
    line!(out, "  goat plc submit --did $DID op1.signed.json");
    line!(out);
}

fn identity_first_web(out: &mut String, facts: &RestoreFacts) {
    line!(
        out,
        "1. TAKE THE IDENTITY IN HAND. {} is a did:web: whoever controls the domain's web server",
        facts.did
    );
    line!(
        out,
        "   controls the account. Make a key A, only for this move, and put it into the file /.well-known/did.json there,"
    );
    line!(
        out,
        "   as publicKeyMultibase of the verification method that ends in #atproto (did.json here is the last one seen):"
    );
    line!(out);
    line!(
        out,
        "  goat key generate                             # note A_SECRET (z...) and A_PUBLIC (did:key:z...)"
    );
    line!(
        out,
        "                                                # publicKeyMultibase is A_PUBLIC without \"did:key:\""
    );
    line!(out);
}

fn middle(out: &mut String, facts: &RestoreFacts) {
    line!(
        out,
        "2. OPEN THE ACCOUNT ON THE NEW SERVER with the old DID. The new server asks for a token signed by A; it is good for"
    );
    line!(
        out,
        "   60 seconds, so type both lines one after the other. NEW_DID is the \"did\" in the answer of the first line."
    );
    handle_advice(out, facts);
    line!(out);
    line!(
        out,
        "  curl $NEW/xrpc/com.atproto.server.describeServer     # \"did\"; \"availableUserDomains\"; is an invite code required?"
    );
    line!(
        out,
        "  TOKEN=$(goat account service-auth-offline --atproto-signing-key A_SECRET --iss $DID --audience NEW_DID \\"
    );
    line!(out, "    --endpoint com.atproto.server.createAccount)");
    line!(
        out,
        "  curl -X POST $NEW/xrpc/com.atproto.server.createAccount -H \"Authorization: Bearer $TOKEN\" \\"
    );
    line!(
        out,
        "    -H 'Content-Type: application/json' -d '{{\"did\":\"'$DID'\",\"handle\":\"HANDLE\",\"email\":\"YOU@EXAMPLE.COM\","
    );
    line!(out, "    \"password\":\"A-NEW-PASSWORD\",\"inviteCode\":\"IF-REQUIRED\"}}'");
    line!(
        out,
        "  JWT=...                                       # the \"accessJwt\" of the answer; the account exists, deactivated"
    );
    line!(out);
    line!(out, "3. BRING IN THE RECORDS.");
    line!(out);
    line!(out, "  curl -X POST $NEW/xrpc/com.atproto.repo.importRepo -H \"Authorization: Bearer $JWT\" \\");
    line!(out, "    -H 'Content-Type: application/vnd.ipld.car' --data-binary @repo.car");
    line!(out);
    line!(
        out,
        "4. BRING IN PICTURES AND VIDEOS. Each answer names a \"$link\", which must be the file's name up to a dot. Then the second"
    );
    line!(
        out,
        "   line must answer {}.",
        if facts.missing_blobs == 0 {
            "\"blobs\":[]".to_owned()
        } else {
            format!("only the {} listed as missingBlobs in manifest.json", facts.missing_blobs)
        }
    );
    line!(out);
    line!(
        out,
        "  while IFS=\"$(printf '\\t')\" read -r cid mime size; do curl -X POST $NEW/xrpc/com.atproto.repo.uploadBlob \\"
    );
    line!(
        out,
        "    -H \"Authorization: Bearer $JWT\" -H \"Content-Type: $mime\" --data-binary \"@$(echo blobs/$cid*)\"; echo; done < blobs.tsv"
    );
    line!(
        out,
        "  curl \"$NEW/xrpc/com.atproto.repo.listMissingBlobs?limit=1000\" -H \"Authorization: Bearer $JWT\""
    );
    line!(out);
    line!(
        out,
        "   If an answer says ExpiredToken: ask for a new JWT with  curl -X POST $NEW/xrpc/com.atproto.server.createSession"
    );
    line!(
        out,
        "   -H 'Content-Type: application/json' -d '{{\"identifier\":\"'$DID'\",\"password\":\"A-NEW-PASSWORD\"}}'  and go on."
    );
    line!(out);
}

fn handle_advice(out: &mut String, facts: &RestoreFacts) {
    let Some(handle) = facts.handle.as_deref() else {
        line!(
            out,
            "   HANDLE: none is known here. Choose a name under the new server's availableUserDomains, or a domain of your"
        );
        line!(out, "   own that names this DID. Followers, mentions and links go by the DID: they stay.");
        return;
    };
    match facts.handle_is_own {
        Some(true) => {
            line!(
                out,
                "   HANDLE: {handle} is a domain of your own and comes along, if DNS (TXT _atproto.{handle}: did=$DID)"
            );
            line!(
                out,
                "   or https://{handle}/.well-known/atproto-did still names this DID. Check that first."
            );
        }
        Some(false) => {
            line!(
                out,
                "   HANDLE: {handle} belonged to the old server and is lost with it. Choose a name under the new server's"
            );
            line!(
                out,
                "   availableUserDomains, or a domain of your own. Followers, mentions and links go by the DID: they stay."
            );
        }
        None => {
            line!(
                out,
                "   HANDLE: {handle} comes along only if it is a domain of your own that still names this DID (DNS TXT"
            );
            line!(
                out,
                "   _atproto.HANDLE: did=$DID). If the old server gave it, it is lost with it: choose a name under the new server's"
            );
            line!(out, "   availableUserDomains. Followers, mentions and links go by the DID: they stay.");
        }
    }
}

fn identity_last_plc(out: &mut String, facts: &RestoreFacts) {
    let own = facts.rotation_keys.first().map_or("YOUR-ROTATION-KEY", String::as_str);
    line!(
        out,
        "5. POINT THE IDENTITY AT THE NEW SERVER. The first line prints what it wants. In op2.json, put in its alsoKnownAs,"
    );
    line!(
        out,
        "   verificationMethods and services; in rotationKeys write YOUR OWN keys first, then the new server's, and leave"
    );
    line!(out, "   out the old server's (public keys, did:key:...; yours is one of those of step 1, such as");
    line!(out, "   {own}). Leave prev and type as they are.");
    line!(out);
    line!(
        out,
        "  curl $NEW/xrpc/com.atproto.identity.getRecommendedDidCredentials -H \"Authorization: Bearer $JWT\""
    );
    line!(out, "  goat plc update $DID > op2.json               # then edit op2.json as said");
    line!(out, "  goat plc sign --plc-signing-key ROTATION op2.json > op2.signed.json");
    line!(out, "  goat plc submit --did $DID op2.signed.json");
    line!(out);
}

fn identity_last_web(out: &mut String, facts: &RestoreFacts) {
    line!(
        out,
        "5. POINT THE IDENTITY AT THE NEW SERVER. Put what the line prints into /.well-known/did.json of {}:",
        facts.did
    );
    line!(
        out,
        "   its verification method as #atproto (instead of A), its service endpoint as #atproto_pds, its alsoKnownAs."
    );
    line!(out);
    line!(
        out,
        "  curl $NEW/xrpc/com.atproto.identity.getRecommendedDidCredentials -H \"Authorization: Bearer $JWT\""
    );
    line!(out);
}

fn tail(out: &mut String, facts: &RestoreFacts) {
    line!(
        out,
        "6. SWITCH IT ON, then look: \"activated\":true, \"validDid\":true, {} indexedRecords.",
        facts.records
    );
    line!(out);
    line!(
        out,
        "  curl -X POST $NEW/xrpc/com.atproto.server.activateAccount -H \"Authorization: Bearer $JWT\""
    );
    line!(out, "  curl $NEW/xrpc/com.atproto.server.checkAccountStatus -H \"Authorization: Bearer $JWT\"");
    line!(out);
    line!(
        out,
        "7. WRITE SOMETHING SMALL, such as saving your profile again: the first write is signed by the new server, and the"
    );
    line!(
        out,
        "   network takes up the account again. Then throw key A away; keep ROTATION where fire and thieves do not come."
    );
    line!(out);
    line!(
        out,
        "NOT IN THIS FOLDER, so not restored: preferences (muted words, saved feeds), direct messages, private spaces, the old"
    );
    line!(out, "password, e-mail address and app passwords.");
    line!(
        out,
        "FILES: repo.car the signed records, blobs/ pictures and videos, blobs.tsv their types, plc.json the identity's log,"
    );
    line!(
        out,
        "did.json its last document, records/ the records to read, manifest.json and SHA256SUMS hashes. Made by {}.",
        facts.tool
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> RestoreFacts {
        RestoreFacts {
            did: "did:plc:z72i7hdynmk6r22z27h6tvur".into(),
            handle: Some("alice.example.com".into()),
            handle_is_own: Some(true),
            host: Some("https://old.example.net".into()),
            rev: "3jzfcijpj2z2a".into(),
            commit: "bafyreib".into(),
            records: 12,
            blobs: 3,
            missing_blobs: 0,
            rotation_keys: vec!["did:key:zUser".into(), "did:key:zOld".into()],
            last_operation: Some("bafyreilast".into()),
            operations: 4,
            web: false,
            verified: true,
            tool: "p2pds 0.1.0".into(),
        }
    }

    #[test]
    fn one_page_with_all_steps_in_order() {
        let text = restore_text(&facts());
        let lines = text.lines().count();
        assert!(lines <= 100, "{lines} lines are more than one page");
        assert!(text.lines().all(|line| line.len() <= 125), "a line is too wide");
        let steps = [
            "did:plc:z72i7hdynmk6r22z27h6tvur",
            "bafyreilast",
            "goat plc update $DID --atproto-key",
            "goat plc submit --did $DID op1.signed.json",
            "describeServer",
            "service-auth-offline",
            "com.atproto.server.createAccount -H",
            "importRepo",
            "uploadBlob",
            "listMissingBlobs",
            "getRecommendedDidCredentials",
            "goat plc submit --did $DID op2.signed.json",
            "activateAccount",
            "checkAccountStatus",
            "WRITE SOMETHING SMALL",
        ];
        let mut from = 0;
        for step in steps {
            let at = text[from..].find(step).unwrap_or_else(|| panic!("{step} is missing or out of order"));
            from += at;
        }
        for not_restored in ["preferences", "direct messages", "private spaces"] {
            assert!(text.contains(not_restored));
        }
    }

    #[test]
    fn handle_loss_is_said() {
        let lost = restore_text(&RestoreFacts { handle_is_own: Some(false), ..facts() });
        assert!(lost.contains("is lost with it"));
        assert!(lost.contains("availableUserDomains"));
        let kept = restore_text(&facts());
        assert!(kept.contains("TXT _atproto.alice.example.com"));
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let text = restore_text(&RestoreFacts {
            handle: None,
            handle_is_own: None,
            rotation_keys: Vec::new(),
            last_operation: None,
            operations: 0,
            verified: false,
            ..facts()
        });
        assert!(text.starts_with("HOW TO RESTORE did:plc:z72i7hdynmk6r22z27h6tvur, "), "{text}");
        assert!(!text.contains("cannot be moved by anybody"), "without a log nobody can tell");
        assert!(text.contains("plc.json is missing") && text.contains("HANDLE: none is known here"));
        let one = restore_text(&RestoreFacts { operations: 1, ..facts() });
        assert!(one.contains("(1 operation,"));
    }

    #[test]
    fn a_web_identity_needs_no_log() {
        let text =
            restore_text(&RestoreFacts { web: true, did: "did:web:alice.example.com".into(), ..facts() });
        assert!(text.contains(".well-known/did.json"));
        assert!(!text.contains("goat plc"));
    }
}
