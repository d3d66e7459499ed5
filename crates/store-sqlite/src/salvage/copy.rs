//! Copying a table around what cannot be read.
//!
//! A table is walked in pieces: one for each value of the first column of its key. A piece is read
//! from its front until a page cannot be read, and then from its back.

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::Loss;
use super::known::Known;
use crate::body::unpack;
use crate::codes::read_cid;
use crate::fault::{Fault, Outcome};

/// Where something was lost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Anywhere in the table.
    Table,
    /// In the rows with this number at the front of their key.
    Number(i64),
    /// In the rows with this name at the front of their key.
    Name(String),
}

/// A table of the new file.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    columns: Vec<String>,
    key: Vec<String>,
}

impl Table {
    fn select(&self, condition: &str, back: bool) -> String {
        let order = if back { " DESC" } else { "" };
        let order: Vec<String> = self.key.iter().map(|key| format!("{key}{order}")).collect();
        format!(
            "SELECT {} FROM {} {condition} ORDER BY {}",
            self.columns.join(", "),
            self.name,
            order.join(", ")
        )
    }
}

/// All tables, those first that others refer to.
pub(super) fn tables(target: &Connection) -> Outcome<Vec<Table>> {
    let mut select = target.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid",
    )?;
    let names = select.query_map([], |r| r.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut tables = Vec::new();
    for name in names {
        let mut info = target.prepare("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid")?;
        let rows = info.query_map([&name], |r| Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?)))?;
        let rows: Vec<(String, i64)> = rows.collect::<Result<_, _>>()?;
        let mut key: Vec<(i64, String)> =
            rows.iter().filter(|(_, pk)| *pk > 0).map(|(name, pk)| (*pk, name.clone())).collect();
        key.sort();
        tables.push(Table {
            name,
            columns: rows.into_iter().map(|(name, _)| name).collect(),
            key: key.into_iter().map(|(_, name)| name).collect(),
        });
    }
    Ok(tables)
}

/// Whether a failure is damage; anything else ends the copying.
fn damaged(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi;
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => matches!(
            failure.extended_code & 0xff,
            ffi::SQLITE_CORRUPT
                | ffi::SQLITE_NOTADB
                | ffi::SQLITE_TOOBIG
                | ffi::SQLITE_IOERR
                | ffi::SQLITE_ERROR
        ),
        // A value of another type than the table allows.
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => true,
        _ => false,
    }
}

/// `None` when it could not be read.
pub(super) fn try_read<T>(result: Result<T, rusqlite::Error>) -> Outcome<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if damaged(&error) => Ok(None),
        Err(error) => Err(Fault::from(error)),
    }
}

/// Copies what can be read of a table.
pub(super) fn table(
    source: &Connection,
    target: &Connection,
    table: &Table,
    known: &Known,
    loss: &mut Loss,
) -> Outcome<()> {
    let (Some(first), more) = (table.key.first(), table.key.len() > 1) else { return Ok(()) };
    if !more {
        if !piece(source, target, table, "", &[], loss)? {
            // Around more than one page: row by row, where the names of rows are known.
            for name in known.candidates(&table.name) {
                row(source, target, table, first, &name, loss)?;
            }
            loss.gap(&table.name, Place::Table, "rows could not be read");
        }
        return Ok(());
    }
    let (mut fronts, whole) = fronts(source, table, first)?;
    if !whole {
        loss.gap(&table.name, Place::Table, "rows could not be read");
        fronts.extend(known.candidates(&table.name).into_iter().map(Front));
    }
    for Front(front) in fronts {
        let condition = format!("WHERE {first} = ?1");
        if !piece(source, target, table, &condition, std::slice::from_ref(&front), loss)? {
            loss.gap(&table.name, place(Some(&front)), "rows could not be read");
        }
    }
    Ok(())
}

/// A value of the first column of a key, with an order.
#[derive(Debug, Clone, PartialEq)]
struct Front(Value);

impl Eq for Front {}

impl PartialOrd for Front {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Front {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (&self.0, &other.0) {
            (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Integer(_), _) => std::cmp::Ordering::Less,
            (_, Value::Integer(_)) => std::cmp::Ordering::Greater,
            _ => std::cmp::Ordering::Equal,
        }
    }
}

/// The values of the first column, and whether these are all: from the front, and if need be from the
/// back.
fn fronts(source: &Connection, table: &Table, first: &str) -> Outcome<(BTreeSet<Front>, bool)> {
    let mut found = BTreeSet::new();
    let name = &table.name;
    for (than, order) in [(">", ""), ("<", "DESC")] {
        let mut last: Option<Value> = None;
        loop {
            let condition = last.as_ref().map_or(String::new(), |_| format!("WHERE {first} {than} ?1"));
            let sql = format!("SELECT {first} FROM {name} {condition} ORDER BY {first} {order} LIMIT 1");
            let next = source.prepare_cached(&sql).and_then(|mut select| {
                select.query_row(params_from_iter(&last), |r| r.get::<_, Value>(0)).optional()
            });
            match try_read(next)? {
                Some(Some(value)) => {
                    // A page of noise may seem to go on without end.
                    let fresh = found.insert(Front(value.clone()));
                    if (!fresh && order.is_empty()) || last.as_ref() == Some(&value) {
                        break;
                    }
                    last = Some(value);
                }
                Some(None) if order.is_empty() => return Ok((found, true)),
                Some(None) | None => break,
            }
        }
    }
    Ok((found, false))
}

/// Copies the rows of a condition from the front, and after damage from the back. Whether all were read.
fn piece(
    source: &Connection,
    target: &Connection,
    table: &Table,
    condition: &str,
    values: &[Value],
    loss: &mut Loss,
) -> Outcome<bool> {
    if walk(source, target, (&table.select(condition, false), values), table, loss)? {
        return Ok(true);
    }
    walk(source, target, (&table.select(condition, true), values), table, loss)?;
    Ok(false)
}

fn row(
    source: &Connection,
    target: &Connection,
    table: &Table,
    first: &str,
    name: &Value,
    loss: &mut Loss,
) -> Outcome<()> {
    let sql = table.select(&format!("WHERE {first} = ?1"), false);
    walk(source, target, (&sql, std::slice::from_ref(name)), table, loss).map(|_| ())
}

/// Copies rows until a page cannot be read, or a row comes that does not fit the table. Whether it came
/// to the end.
fn walk(
    source: &Connection,
    target: &Connection,
    (sql, values): (&str, &[Value]),
    table: &Table,
    loss: &mut Loss,
) -> Outcome<bool> {
    let Some(mut select) = try_read(source.prepare_cached(sql))? else { return Ok(false) };
    let marks = vec!["?"; table.columns.len()].join(", ");
    let mut insert = target.prepare_cached(&format!(
        "INSERT OR IGNORE INTO {} ({}) VALUES ({marks})",
        table.name,
        table.columns.join(", ")
    ))?;
    let Some(mut rows) = try_read(select.query(params_from_iter(values)))? else { return Ok(false) };
    let mut all = true;
    let mut before: Option<Vec<Value>> = None;
    loop {
        let Some(next) = try_read(rows.next())? else { return Ok(false) };
        let Some(row) = next else { return Ok(all) };
        let cells = (0..table.columns.len()).map(|at| row.get::<_, Value>(at)).collect::<Result<Vec<_>, _>>();
        let Some(cells) = try_read(cells)? else { return Ok(false) };
        // Noise that reads like the same row again and again.
        if before.as_ref() == Some(&cells) {
            return Ok(false);
        }
        if !proved(table, &cells) {
            loss.gap(&table.name, place(cells.first()), "what was read does not have its hash");
        }
        match insert.execute(params_from_iter(&cells)) {
            Ok(inserted) => loss.rows = loss.rows.saturating_add(u64::try_from(inserted).unwrap_or(0)),
            // A row of noise.
            Err(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == rusqlite::ErrorCode::ConstraintViolation
                    || failure.code == rusqlite::ErrorCode::TypeMismatch =>
            {
                all = false;
            }
            Err(error) => return Err(error.into()),
        }
        before = Some(cells);
    }
}

fn place(front: Option<&Value>) -> Place {
    match front {
        Some(Value::Integer(number)) => Place::Number(*number),
        Some(Value::Text(name)) => Place::Name(name.clone()),
        _ => Place::Table,
    }
}

/// Whether a record's body has its hash; other rows are not asked.
fn proved(table: &Table, cells: &[Value]) -> bool {
    let cell =
        |name: &str| table.columns.iter().position(|column| column == name).and_then(|at| cells.get(at));
    if !matches!(table.name.as_str(), "record" | "past") {
        return true;
    }
    match (cell("cid"), cell("body")) {
        (Some(Value::Blob(cid)), Some(Value::Blob(body))) => {
            read_cid(cid).is_ok_and(|cid| matches!(unpack(body), Ok(Some(block)) if cid.matches(&block)))
        }
        (Some(Value::Blob(cid)), Some(Value::Null)) => read_cid(cid).is_ok(),
        _ => false,
    }
}
