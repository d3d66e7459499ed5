//! Where the bytes of the database are.

use std::path::Path;

use p2pds_store_sqlite::FILE_NAME;
use rusqlite::{Connection, OpenFlags};

use crate::Figures;
use crate::setup::store_dir;

fn database(dir: &Path) -> Connection {
    Connection::open_with_flags(store_dir(dir).join(FILE_NAME), OpenFlags::SQLITE_OPEN_READ_ONLY)
        .expect("the database")
}

/// Bytes of file that a table and its indexes take.
fn pages(db: &Connection, names: &str) -> f64 {
    db.query_row(&format!("SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name IN ({names})"), [], |r| {
        r.get::<_, i64>(0)
    })
    .expect("dbstat") as f64
}

pub fn run(dir: &Path) -> Figures {
    let car = std::fs::metadata(dir.join("preorder.car")).expect("the CAR").len() as f64;
    let file = std::fs::metadata(store_dir(dir).join(FILE_NAME)).expect("the database").len() as f64;
    let db = database(dir);
    Figures::from([
        ("of_car".into(), file / car),
        ("record".into(), pages(&db, "'record'") / car),
        ("buckets".into(), pages(&db, "'bucket', 'bucket_cids'") / car),
    ])
}

/// Bytes of payload and of file that one entry of the commit history takes.
pub fn commit_row(dir: &Path) -> (f64, f64) {
    let db = database(dir);
    db.query_row(
        "SELECT sum(payload) * 1.0 / sum(ncell), sum(pgsize) * 1.0 / sum(ncell) FROM dbstat WHERE name = 'commit_log'",
        [],
        |r| Ok((r.get(0)?, r.get(1)?)),
    )
    .expect("dbstat")
}
