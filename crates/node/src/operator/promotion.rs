//! What the command line says of a promotion: the words of `recovery`, with the flags by which something is chosen.

use std::fmt::Write as _;

use p2pds_recovery::{Choice, Plan, RecoveryError, Remark};

/// A remark with the flags that it calls for.
fn flagged(remark: &Remark) -> String {
    let flags = match &remark.choice {
        None => return remark.words.clone(),
        Some(Choice::Handle { under }) => {
            let under = under.as_deref().unwrap_or(".example.com");
            format!("with --handle, such as --handle NAME{under}")
        }
        Some(Choice::Force) => "--force".to_owned(),
        Some(Choice::Keys) => {
            "--drop-rotation-key KEY takes one out, --no-server-key leaves this node's out".to_owned()
        }
        Some(Choice::Key) => "--rotation-key-file FILE; - is standard input".to_owned(),
        Some(Choice::SignAnew) => {
            "--rotation-key-file FILE --force signs it anew, --cancel gives it up".to_owned()
        }
        Some(Choice::GiveUp) => "--cancel".to_owned(),
    };
    format!("{} ({flags})", remark.words)
}

/// The plan up to what is to be decided: for a question that follows.
#[must_use]
pub fn facts(plan: &Plan) -> String {
    let mut text = plan.to_string();
    if plan.hosted {
        lines(&mut text, "\n- ", &plan.obstacles);
        return text;
    }
    if plan.under_way.is_some() {
        text.push_str("\nThe same command, without the key, goes on from where it is.\n");
    }
    for note in &plan.notes {
        let _ = writeln!(text, "- {}", flagged(note));
    }
    for overruled in &plan.overruled {
        let _ = writeln!(text, "- overruled by --force: {overruled}");
    }
    text
}

/// The whole plan, and what comes next.
#[must_use]
pub fn words(plan: &Plan) -> String {
    let mut text = facts(plan);
    if plan.hosted {
        return text;
    }
    text.push_str("\nNothing was changed.\n");
    if !plan.obstacles.is_empty() {
        text.push_str("It cannot be done now:");
        lines(&mut text, "\n  - ", &plan.obstacles);
        return text;
    }
    // Its handle may lead nowhere while its host is gone.
    let account = &plan.did;
    let key = if plan.log.is_some() { " --rotation-key-file FILE" } else { "" };
    let _ = write!(
        text,
        "All is ready. Next:\n  p2pds promote {account}{key}\nIt asks once more before it does anything, can be interrupted \
         at any moment, and goes on when it is run again. After it: p2pds account reset-password {account}"
    );
    text
}

fn lines(text: &mut String, before: &str, all: &[Remark]) {
    for one in all {
        let _ = write!(text, "{before}{}", flagged(one));
    }
}

/// Why it was not done: the error's own words, with the flags.
pub(super) fn refused(error: &RecoveryError) -> String {
    let RecoveryError::NotPromoted { did, why } = error else { return error.to_string() };
    let bare = RecoveryError::NotPromoted { did: did.clone(), why: Vec::new() };
    let mut text = bare.to_string();
    lines(&mut text, "\n- ", why);
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use p2pds_syntax::Did;

    use super::*;

    #[test]
    fn each_choice_names_flags_that_there_are() {
        let cli = crate::cli::Cli::command();
        let promote = cli.find_subcommand("promote").unwrap();
        let known: Vec<&str> = promote.get_arguments().filter_map(clap::Arg::get_long).collect();
        let choices = [
            Choice::Handle { under: None },
            Choice::Handle { under: Some(".pds.example.org".to_owned()) },
            Choice::Force,
            Choice::Keys,
            Choice::Key,
            Choice::SignAnew,
            Choice::GiveUp,
        ];
        for choice in choices {
            let remark = Remark { words: "so it is".to_owned(), choice: Some(choice) };
            let did = Did::parse("did:plc:ewvi7nxzyoun6zhxrhs64oiz").unwrap();
            let said = refused(&RecoveryError::NotPromoted { did, why: vec![remark] });
            assert!(said.contains("nothing was changed:\n- so it is ("), "{said}");
            let named: Vec<&str> =
                said.split_whitespace().filter_map(|word| word.split("--").nth(1)).collect();
            assert!(!named.is_empty(), "{said}");
            for flag in named {
                let flag = flag.trim_end_matches([',', ')', ';']);
                assert!(known.contains(&flag), "there is no --{flag}: {said}");
            }
        }
        let plain = Remark { words: "so it is".to_owned(), choice: None };
        assert_eq!(flagged(&plain), "so it is");
    }
}
