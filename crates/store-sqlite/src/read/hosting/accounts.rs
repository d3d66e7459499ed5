//! Sessions, app passwords, invites, e-mail, preferences, takedowns, acts.

use p2pds_store::hosting::{
    AppPasswordRow, AuditRow, InviteOrder, InviteRow, MailRow, PreferenceRow, SessionRow, SignupRow,
    TakedownRow,
};
use p2pds_syntax::Did;
use rusqlite::{Connection, Params, Row, params};

use crate::codes::len;
use crate::fault::Outcome;
use crate::read::account::did as read_did;

fn list<T>(
    conn: &Connection,
    sql: &str,
    values: impl Params,
    read: impl Fn(&Row<'_>) -> Outcome<T>,
) -> Outcome<Vec<T>> {
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn did_at(r: &Row<'_>, at: usize) -> Outcome<Did> {
    Ok(read_did(&r.get::<_, String>(at)?)?)
}

fn maybe_did_at(r: &Row<'_>, at: usize) -> Outcome<Option<Did>> {
    Ok(r.get::<_, Option<String>>(at)?.as_deref().map(read_did).transpose()?)
}

fn read_session(r: &Row<'_>) -> Outcome<SessionRow> {
    Ok(SessionRow {
        did: did_at(r, 0)?,
        id: r.get(1)?,
        app_password: r.get(2)?,
        privileged: r.get(3)?,
        created_at: r.get(4)?,
        used_at: r.get(5)?,
        expires_at: r.get(6)?,
    })
}

pub(crate) fn session(conn: &Connection, did: &Did, id: &str) -> Outcome<Option<SessionRow>> {
    let sql = "SELECT * FROM session WHERE did = ?1 AND id = ?2";
    Ok(list(conn, sql, params![did.as_str(), id], read_session)?.pop())
}

pub(crate) fn sessions(conn: &Connection, did: &Did, limit: usize) -> Outcome<Vec<SessionRow>> {
    let sql = "SELECT * FROM session WHERE did = ?1 ORDER BY created_at DESC, id LIMIT ?2";
    list(conn, sql, params![did.as_str(), len(limit)], read_session)
}

pub(crate) fn app_passwords(conn: &Connection, did: &Did) -> Outcome<Vec<AppPasswordRow>> {
    let sql = "SELECT * FROM app_password WHERE did = ?1 ORDER BY created_at DESC, name";
    list(conn, sql, [did.as_str()], |r| {
        Ok(AppPasswordRow {
            did: did_at(r, 0)?,
            name: r.get(1)?,
            password: r.get(2)?,
            privileged: r.get(3)?,
            created_at: r.get(4)?,
        })
    })
}

const INVITE: &str =
    "SELECT code, uses, disabled, for_account, created_by, created_at, forgotten FROM invite";

fn read_invite(conn: &Connection, r: &Row<'_>) -> Outcome<InviteRow> {
    let code: String = r.get(0)?;
    let sql = "SELECT did, at FROM invite_use WHERE code = ?1 ORDER BY at DESC, did";
    let used = list(conn, sql, [&code], |r| Ok((did_at(r, 0)?, r.get(1)?)))?;
    Ok(InviteRow {
        code,
        uses: r.get(1)?,
        disabled: r.get(2)?,
        for_account: r.get(3)?,
        created_by: r.get(4)?,
        created_at: r.get(5)?,
        used,
        forgotten: r.get(6)?,
    })
}

pub(crate) fn invite(conn: &Connection, code: &str) -> Outcome<Option<InviteRow>> {
    let sql = format!("{INVITE} WHERE code = ?1");
    Ok(list(conn, &sql, [code], |r| read_invite(conn, r))?.pop())
}

pub(crate) fn invites_of(conn: &Connection, account: &str) -> Outcome<Vec<InviteRow>> {
    let sql = format!("{INVITE} WHERE for_account = ?1 ORDER BY created_at, code");
    list(conn, &sql, [account], |r| read_invite(conn, r))
}

pub(crate) fn invites(
    conn: &Connection,
    order: InviteOrder,
    after: Option<&(i64, String)>,
    limit: usize,
) -> Outcome<Vec<InviteRow>> {
    let column = match order {
        InviteOrder::Recent => "created_at",
        InviteOrder::Usage => "used",
    };
    let (place, code) = after.map_or((i64::MAX, ""), |(place, code)| (*place, code.as_str()));
    let sql = format!(
        "{INVITE} WHERE {column} <= ?1 AND (({column}, code) < (?1, ?2) OR ?1 = {})
         ORDER BY {column} DESC, code DESC LIMIT ?3",
        i64::MAX
    );
    list(conn, &sql, params![place, code, len(limit)], |r| read_invite(conn, r))
}

pub(crate) fn email_token_owner(conn: &Connection, purpose: &str, hash: [u8; 32]) -> Outcome<Option<Did>> {
    let sql = "SELECT did FROM email_token WHERE purpose = ?1 AND hash = ?2";
    Ok(list(conn, sql, params![purpose, hash.as_slice()], |r| did_at(r, 0))?.pop())
}

fn read_mail(r: &Row<'_>) -> Outcome<MailRow> {
    Ok(MailRow {
        id: r.get(0)?,
        did: maybe_did_at(r, 1)?,
        to: r.get(2)?,
        kind: r.get(3)?,
        sealed: r.get(4)?,
        created_at: r.get(5)?,
        next_at: r.get(6)?,
        expires_at: r.get(7)?,
        tries: r.get(8)?,
        last_error: r.get(9)?,
        given_up_at: r.get(10)?,
    })
}

pub(crate) fn mail_due(conn: &Connection, at: i64, limit: usize) -> Outcome<Vec<MailRow>> {
    let sql = "SELECT * FROM mail WHERE given_up_at IS NULL AND next_at <= ?1 ORDER BY next_at, id LIMIT ?2";
    list(conn, sql, params![at, len(limit)], read_mail)
}

pub(crate) fn next_mail_at(conn: &Connection) -> Outcome<Option<i64>> {
    let sql = "SELECT min(next_at) FROM mail WHERE given_up_at IS NULL";
    Ok(conn.prepare_cached(sql)?.query_row([], |r| r.get(0))?)
}

pub(crate) fn mails(conn: &Connection, limit: usize) -> Outcome<Vec<MailRow>> {
    list(conn, "SELECT * FROM mail ORDER BY id DESC LIMIT ?1", [len(limit)], read_mail)
}

pub(crate) fn mail(conn: &Connection, id: i64) -> Outcome<Option<MailRow>> {
    Ok(list(conn, "SELECT * FROM mail WHERE id = ?1", [id], read_mail)?.pop())
}

pub(crate) fn preferences(conn: &Connection, did: &Did) -> Outcome<Vec<PreferenceRow>> {
    let sql = "SELECT name, value FROM preference WHERE did = ?1 ORDER BY at";
    list(conn, sql, [did.as_str()], |r| Ok(PreferenceRow { name: r.get(0)?, value: r.get(1)? }))
}

fn read_takedown(r: &Row<'_>) -> Outcome<TakedownRow> {
    Ok(TakedownRow { did: did_at(r, 0)?, subject: r.get(1)?, reference: r.get(2)?, at: r.get(3)? })
}

pub(crate) fn takedown(conn: &Connection, did: &Did, subject: &str) -> Outcome<Option<TakedownRow>> {
    let sql = "SELECT * FROM takedown WHERE did = ?1 AND subject = ?2";
    Ok(list(conn, sql, params![did.as_str(), subject], read_takedown)?.pop())
}

pub(crate) fn all_takedowns(conn: &Connection) -> Outcome<Vec<TakedownRow>> {
    list(conn, "SELECT * FROM takedown ORDER BY did, subject", [], read_takedown)
}

pub(crate) fn takedowns(conn: &Connection, did: &Did) -> Outcome<Vec<TakedownRow>> {
    list(conn, "SELECT * FROM takedown WHERE did = ?1 ORDER BY subject", [did.as_str()], read_takedown)
}

pub(crate) fn audits(
    conn: &Connection,
    did: Option<&Did>,
    before: Option<i64>,
    limit: usize,
) -> Outcome<Vec<AuditRow>> {
    let which = if did.is_some() { "did = ?1" } else { "?1 IS NULL" };
    let sql = format!("SELECT * FROM audit WHERE {which} AND id < ?2 ORDER BY id DESC LIMIT ?3");
    let before = before.unwrap_or(i64::MAX);
    list(conn, &sql, params![did.map(Did::as_str), before, len(limit)], |r| {
        Ok(AuditRow {
            id: r.get(0)?,
            at: r.get(1)?,
            who: r.get(2)?,
            what: r.get(3)?,
            did: maybe_did_at(r, 4)?,
            subject: r.get(5)?,
            detail: r.get(6)?,
        })
    })
}

pub(crate) fn signups(conn: &Connection, before: i64) -> Outcome<Vec<SignupRow>> {
    list(conn, "SELECT * FROM signup WHERE at < ?1 ORDER BY at, did", [before], |r| {
        Ok(SignupRow { did: did_at(r, 0)?, handle: r.get(1)?, operation: r.get(2)?, at: r.get(3)? })
    })
}
