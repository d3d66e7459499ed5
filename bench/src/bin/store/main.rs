//! The store under load, durable (`synchronous=FULL`), each step in a process of its own so that its memory can be
//! told. Without arguments all of it, written to docs/performance.md; with `quick` at 20,000 records, printed only.

mod bodies;
mod commits;
mod events;
mod import;
mod layout;
mod reads;
mod setup;
mod upkeep;

#[path = "../../report.rs"]
#[expect(dead_code, reason = "the other program uses the rest")]
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use report::Table;
use setup::flush_times;

/// What one step measured, by name.
pub type Figures = BTreeMap<String, f64>;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("step") => step(&args[1], Path::new(&args[2]), args[3].parse().expect("a count")),
        Some("quick") => all(&[20_000], true),
        Some("bodies") => println!("{}", bodies::tables(&root())),
        Some("at") => all(&[args[1].parse().expect("a count")], true),
        _ => all(&[200_000, 2_000_000], false),
    }
}

/// Runs one step and prints its figures for the parent.
fn step(name: &str, dir: &Path, count: usize) {
    let mut figures = match name {
        "prepare" => events::prepare(dir, count),
        "import" => import::car(dir),
        "import-any-order" => import::any_order(dir),
        "commits" => commits::run(dir),
        "reads" => reads::run(dir, count),
        "writes" => reads::writes(dir, count),
        "upkeep" => upkeep::run(dir, count),
        "layout" => layout::run(dir),
        "profile" => reads::profile(dir),
        "purge" => upkeep::alone(dir),
        other => panic!("no step {other}"),
    };
    figures.insert("memory".into(), setup::peak_memory());
    for (name, value) in figures {
        println!("{name}={value}");
    }
}

/// Runs a step in a process of its own, on one core if asked.
fn child(name: &str, dir: &Path, count: usize, one_core: bool) -> Figures {
    let this = std::env::current_exe().expect("our own path");
    let mut command = if one_core { Command::new("taskset") } else { Command::new(&this) };
    if one_core {
        command.args(["-c", "1"]).arg(&this);
    }
    let output =
        command.arg("step").arg(name).arg(dir).arg(count.to_string()).output().expect("a child process");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    eprintln!("-- {name} at {count}\n{text}");
    text.lines()
        .filter_map(|l| l.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.parse().expect("a number")))
        .collect()
}

/// Where the stores are made: on the disk that is to be measured.
fn root() -> PathBuf {
    std::env::var("P2PDS_BENCH_DIR").map_or_else(|_| std::env::temp_dir(), PathBuf::from)
}

fn all(counts: &[usize], print_only: bool) {
    let root = root();
    let (flush_median, flush_slow) = flush_times(&root);
    let mut columns = Vec::new();
    for count in counts {
        let dir = root.join(format!("p2pds-bench-store-{}-{count}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a directory");
        let mut figures = child("prepare", &dir, *count, false);
        for (step, one_core) in [
            ("import", false),
            ("layout", false),
            ("reads", false),
            ("commits", true),
            ("import-any-order", false),
            ("upkeep", false),
        ] {
            for (name, value) in child(step, &dir, *count, one_core) {
                figures.insert(format!("{step}.{name}"), value);
            }
        }
        let _ = std::fs::remove_dir_all(&dir);
        columns.push((*count, figures));
    }
    let mut text = format!(
        "\nDurable: one flush per group (`synchronous=FULL`, `secure_delete=ON`). Wall clock unless it says CPU. A flush of 4 KiB\n\
         took {:.2} ms (median; 9 of 10 below {:.2} ms) while this ran; {} ran beside on two cores.\n",
        flush_median * 1e3,
        flush_slow * 1e3,
        setup::load(),
    );
    text.push_str(&tables(&columns));
    text.push_str(&bodies::tables(&root));
    if print_only {
        println!("{text}");
    } else {
        report::write("bench:store", &text);
    }
}

/// Name of a figure, its scale, unit and target.
type Line = (&'static str, &'static str, f64, usize, &'static str);

fn tables(columns: &[(usize, Figures)]) -> String {
    let mut text = String::new();
    for (title, lines) in LINES {
        let mut header = vec!["".to_owned()];
        header.extend(columns.iter().map(|(count, _)| format!("{count} records")));
        header.push("target".to_owned());
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let mut table = Table::new(title, &header);
        for (name, figure, scale, digits, target) in *lines {
            let mut row = vec![(*name).to_owned()];
            for (_, figures) in columns {
                row.push(figures.get(*figure).map_or("–".into(), |v| format!("{:.*}", digits, v * scale)));
            }
            row.push((*target).to_owned());
            table.row(&row);
        }
        text.push_str(&table.text());
    }
    text
}

const LINES: &[(&str, &[Line])] = &[
    (
        "Import and verify a CAR file",
        &[
            ("CAR, MB", "car", 1e-6, 1, ""),
            ("streamable order, records/s", "import.rate", 1.0, 0, "150,000"),
            ("… CPU of both threads, µs a record", "import.cpu", 1e6, 2, ""),
            ("… memory, MB", "import.memory", 1e-6, 0, "150"),
            ("shuffled order, records/s", "import-any-order.rate", 1.0, 0, ""),
            ("… memory, MB", "import-any-order.memory", 1e-6, 0, "150"),
            ("database of the CAR, all tables and indexes", "layout.of_car", 1.0, 3, "0.70 (aim 0.60)"),
            ("… of which records", "layout.record", 1.0, 3, ""),
            ("… of which buckets and prefixes", "layout.buckets", 1.0, 4, ""),
        ],
    ),
    (
        "Verified single-record commits (70 % create, 15 % update, 15 % delete; event CAR, signature, inversion, store), one core",
        &[
            ("groups of 16, commits/s by the clock, flushes included", "commits.rate", 1.0, 0, "5,000"),
            ("groups of 16, commits/s by CPU time", "commits.cpu_rate", 1.0, 0, "5,000"),
            ("… CPU µs a commit, verification", "commits.verify_cpu", 1e6, 1, ""),
            ("… CPU µs a commit, store", "commits.store_cpu", 1e6, 1, ""),
            ("one at a time, commits/s by the clock", "commits.single_rate", 1.0, 0, ""),
            ("commit row, bytes of payload", "commits.row", 1.0, 0, "128"),
            ("commit row, bytes of file", "commits.row_file", 1.0, 0, ""),
            ("memory, MB", "commits.memory", 1e-6, 0, "150"),
        ],
    ),
    (
        "Reads",
        &[
            ("record by path, warm, µs median", "reads.point", 1e6, 1, "50 at 200k"),
            ("page of 100 records, ms median", "reads.page", 1e3, 2, ""),
            ("getRepo, MB/s", "reads.export", 1e-6, 0, "300"),
            ("… by CPU time of both threads, MB/s", "reads.export_cpu", 1e-6, 0, ""),
            ("getRepo, first byte with nothing cached, ms", "reads.export_first", 1e3, 2, ""),
            ("sync.getRecord proof, present or absent, spine cached, ms median", "reads.proof", 1e3, 3, ""),
            ("getBlocks, one node by CID, ms median", "reads.node", 1e3, 2, ""),
            ("scrub (every body read and hashed, tree rebuilt), MB/s of CAR", "reads.scrub", 1e-6, 0, ""),
            ("state at an earlier rev, all keys, records/s", "reads.at_rev", 1.0, 0, ""),
            ("memory, MB", "reads.memory", 1e-6, 0, "150"),
        ],
    ),
    (
        "Planning one write",
        &[
            (
                "nothing cached (not by SQLite, not by the system), ms median",
                "reads.write_cold",
                1e3,
                2,
                "2 and 15",
            ),
            ("nothing cached by SQLite, ms median", "reads.write_fresh", 1e3, 2, ""),
            ("spine cached, ms median", "reads.write_warm", 1e3, 3, "0.3"),
            ("… CPU of both threads, ms mean", "reads.write_warm_cpu", 1e3, 3, ""),
        ],
    ),
    (
        "Beside a live head, and afterwards",
        &[
            (
                "another account's commit while this repo is staged again, ms median",
                "upkeep.beside",
                1e3,
                2,
                "",
            ),
            ("… 99 of 100 below, ms", "upkeep.beside_99", 1e3, 2, ""),
            ("fold the replaced repo, records/s", "upkeep.fold", 1.0, 0, ""),
            ("largest log on the way, MB", "upkeep.wal", 1e-6, 0, "256"),
            ("purge this many records, search all files, s", "upkeep.purge", 1.0, 2, "60"),
            ("… bytes of files searched, MB", "upkeep.purge_searched", 1e-6, 0, ""),
            ("… the search led to a rewrite (1 yes)", "upkeep.purge_vacuumed", 1.0, 0, ""),
            ("… traces left", "upkeep.purge_left", 1.0, 0, "0"),
            ("memory, MB", "upkeep.memory", 1e-6, 0, "150"),
        ],
    ),
];
