//! What commands answer, alone, through a node, and beside each other.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use p2pds_testkit::madeup::{Content, MadeUp};
use p2pds_testkit::source::Source;
use serde_json::Value;

use crate::home::{Home, text};

/// The same commands give the same answers, answered by this process or by a node.
#[test]
fn commands_answer_alike_with_and_without_a_node() {
    let source = Source::start().unwrap();
    let account = MadeUp::new(71, &source.url);
    let mut content = Content::posts("hello", 300);
    content.put_image("withimage", 1, 5_000);
    let state = account.sign(1, &content);
    source.serve(&account, &state);
    let mut home = Home::new();
    home.env.extend(source.environment());

    let added = home.json(&["archive", "add", &account.handle]);
    assert_eq!(added["commit"], state.commit.as_str(), "{added}");
    let did = account.did.as_str();
    let first = state.records.keys().next().unwrap();
    let uri = format!("at://{did}/{first}");
    let car = |home: &Home, name: &str| {
        let path = home.dir.path().join(name);
        let done = home.run(&["export", did, "--car", path.to_str().unwrap()]);
        assert!(done.status.success(), "{}", text(&done.stderr));
        assert_eq!(home.run(&["export", did, "--car", "-"]).stdout, std::fs::read(&path).unwrap());
        std::fs::read(&path).unwrap()
    };
    let export = |home: &Home, name: &str| {
        let dir = home.dir.path().join(name);
        home.json(&["export", did, "--out", dir.to_str().unwrap()]);
        files(&dir)
    };
    let all = |home: &Home| {
        let mut answers = vec![
            home.json(&["verify", did, "--read-data"]),
            home.json(&["archive", "list"]),
            home.json(&["archive", "show", &account.handle]),
            home.json(&["archive", "sync"]),
            home.json(&["archive", "pause", did]),
            home.json(&["archive", "resume", did]),
            home.json(&["show", &uri]),
            home.json(&["drill", did]),
            home.json(&["lexicon", "list"]),
            home.json(&["lexicon", "search", "app.bsky.feed"]),
            home.json(&["lexicon", "stats"]),
            home.json(&["archive", "remove", did, "--dry-run"]),
        ];
        answers.iter_mut().for_each(without_times);
        let missing = home.run(&["show", &format!("at://{did}/a.b.c/nothing")]);
        let unconfirmed = home.run(&["archive", "remove", did]);
        let errors = [missing, unconfirmed]
            .map(|output| (output.status.code(), text(&output.stderr), text(&output.stdout)));
        (answers, errors)
    };
    let (alone, alone_errors) = all(&home);
    let (alone_car, alone_export) = (car(&home, "a.car"), export(&home, "a"));
    let node = home.node();
    let (through, through_errors) = all(&home);
    for (a, b) in alone.iter().zip(&through) {
        assert_eq!(a, b);
    }
    assert_eq!(alone_errors, through_errors);
    assert_eq!(alone_errors[0].0, Some(1));
    assert_eq!(alone_errors[1].0, Some(2), "removing asks, and nobody is there to ask");
    assert!(alone_car == car(&home, "b.car"), "CARs differ");
    assert_eq!(alone_export, export(&home, "b"));

    let workers = home.json(&["workers"]);
    let names: Vec<&str> = workers.as_array().unwrap().iter().filter_map(|w| w["name"].as_str()).collect();
    for name in ["blobs", "sync", "verify"] {
        assert!(names.contains(&name), "{workers}");
    }
    let removed = home.json(&["archive", "remove", did, "--yes"]);
    assert_eq!(removed["traces"]["left"], 0, "{removed}");
    assert_eq!(home.json(&["archive", "list"]), serde_json::json!([]));
    assert_eq!(node.stop().0, Some(0));
    assert_eq!(home.json(&["archive", "list"]), serde_json::json!([]));
}

/// Takes out what differs between two runs: times, durations, and names that hold a time.
fn without_times(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for name in
                // `live` is there while a node follows.
                [
                    "at",
                    "took_ms",
                    "last_sync_at",
                    "last_verified_at",
                    "fetched_at",
                    "words",
                    "files",
                    "also",
                    "live",
                ]
            {
                map.remove(name);
            }
            map.values_mut().for_each(without_times);
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}

/// Every file below a directory with its bytes, without those that say when they were written.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_owned();
                all.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    all.sort();
    all
}

/// What people read, from the first command to the last.
#[test]
fn answers_in_words() {
    let source = Source::start().unwrap();
    let account = MadeUp::new(72, &source.url);
    let mut content = Content::posts("words", 120);
    content.put_image("withimage", 2, 9_000);
    source.serve(&account, &account.sign(1, &content));
    let mut home = Home::new();
    home.env.extend(source.environment());
    let name = account.handle.as_str();
    let say = |args: &[&str], status: i32| {
        let output = home.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        println!("$ p2pds {}\n{out}--- stderr\n{err}", args.join(" "));
        assert_eq!(output.status.code(), Some(status), "{args:?}: {out}{err}");
        (out, err)
    };
    let (out, err) = say(&["archive", "add", name], 0);
    assert!(out.contains(&format!("{name} is archived")) && out.contains("121 records"), "{out}");
    assert!(out.contains(&format!("p2pds drill {name}")), "says what to do next: {out}");
    assert!(err.contains("Not part of a backup:") && err.contains("direct messages"), "{err}");
    assert!(err.contains(&account.did), "{err}");

    let (out, err) = say(&["archive", "sync", name, "--quiet"], 0);
    assert!(out.contains("nothing was new") && err.is_empty(), "{out}{err}");
    let (out, _) = say(&["archive", "list"], 0);
    assert!(out.starts_with("ACCOUNT") && out.contains(name) && out.contains("on arrival"), "{out}");
    let (out, _) = say(&["archive", "show", name], 0);
    assert!(
        out.contains("app.bsky.feed.post") && out.contains("PLC log") && out.contains("1 operation"),
        "{out}"
    );
    let (out, _) = say(&["verify", name, "--read-data"], 0);
    for check in ["commit-root", "tree", "records", "blobs", "plc-log"] {
        assert!(out.contains(check), "{check}: {out}");
    }
    let (out, _) = say(&["drill", name], 0);
    assert!(out.contains("restore"), "{out}");
    let (out, _) = say(&["export", name, "--out", "out"], 0);
    assert!(out.contains("RESTORE.txt"), "{out}");
    let (_, err) = say(&["archive", "list", "--progress", "json"], 0);
    assert!(err.is_empty(), "{err}");
    let (_, err) = say(&["verify", name, "--progress", "json"], 0);
    assert!(!err.is_empty(), "progress was asked for");
    for line in err.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["phase"].is_string() && event["stage"].is_string(), "{line}");
    }
    say(&["workers"], 0);
    let (_, err) = say(&["archive", "remove", name], 2);
    assert!(err.contains("Would erase all") || err.contains("--yes"), "{err}");
    let (out, _) = say(&["archive", "remove", name, "--yes"], 0);
    assert!(out.contains("Erased all") && out.contains("none are left"), "{out}");
    let (out, _) = say(&["archive", "list"], 0);
    assert!(out.contains("archive add"), "{out}");
    let (_, err) = say(&["drill", name], 1);
    assert!(err.contains("is not in this archive"), "{err}");

    // Back from the file, offline, through the door that needs no network.
    let import = ["import", "out/repo.car", "--plc-log", "out/plc.json", "--plc-url", "http://127.0.0.1:9"];
    let (out, _) = say(&import, 0);
    assert!(out.contains("121 records"), "{out}");
}

/// While one command works, others go through it.
#[test]
fn commands_work_side_by_side_without_a_node() {
    let source = Source::start().unwrap();
    let mut home = Home::new();
    home.env.extend(source.environment());
    let accounts: Vec<MadeUp> = (80..86).map(|seed| MadeUp::new(seed, &source.url)).collect();
    for account in &accounts {
        source.serve(account, &account.sign(1, &Content::posts("side", 200)));
    }
    let running: Vec<Child> = accounts
        .iter()
        .map(|account| {
            let mut command = home.command(&["archive", "add", &account.handle, "--json"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(home.json(&["archive", "list"]).as_array().unwrap().len(), accounts.len());
}
