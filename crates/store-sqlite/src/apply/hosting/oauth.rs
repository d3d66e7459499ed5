//! What the authorization server keeps.

use p2pds_store::CHUNK_ROWS;
use p2pds_store::hosting::{OAuthApplied, OAuthConsentRow, OAuthRequestRow, OAuthSessionRow, OAuthUnit};
use p2pds_syntax::Did;
use rusqlite::{OptionalExtension as _, Params, params};

use crate::apply::Apply;
use crate::codes::len;
use crate::fault::Outcome;

/// A sign-in that is not remembered is over after this, in microseconds.
const PASSING: i64 = 15 * 60 * 1_000_000;

/// What goes when an account's sessions end, and how: `?1` is the account.
const OF_AN_ACCOUNT: [&str; 2] =
    ["DELETE FROM oauth_request WHERE did = ?1", "DELETE FROM oauth_device_account WHERE did = ?1"];

impl Apply {
    pub(in crate::apply) fn oauth_unit(&mut self, unit: &OAuthUnit) -> Outcome<OAuthApplied> {
        let yes = |changed: usize| if changed > 0 { OAuthApplied::Yes } else { OAuthApplied::No };
        let gone = |changed: usize| OAuthApplied::Gone(changed as u64);
        match unit {
            OAuthUnit::PutRequest(row) => self.put_oauth_request(row).map(yes),
            // Until it is opened a request is over so long after it was made, so the first to be over is the oldest.
            OAuthUnit::DropOldestRequests { count } => self
                .oauth_rows(
                    "DELETE FROM oauth_request WHERE id IN
                       (SELECT id FROM oauth_request WHERE device IS NULL ORDER BY expires_at LIMIT ?1)",
                    [len(*count)],
                )
                .map(gone),
            OAuthUnit::OpenRequest { id, device, at, expires_at } => self
                .oauth_rows(
                    "UPDATE oauth_request SET device = ?2, expires_at = ?4
                     WHERE id = ?1 AND expires_at > ?3 AND code IS NULL AND (device IS NULL OR device = ?2)",
                    params![id, device, at, expires_at],
                )
                .map(yes),
            OAuthUnit::GrantRequest { id, device, did, scope, code, at, expires_at, consent } => {
                let granted = self.oauth_rows(
                    "UPDATE oauth_request SET did = ?3, scope = ?4, code = ?5, expires_at = ?7
                     WHERE id = ?1 AND device = ?2 AND expires_at > ?6 AND code IS NULL",
                    params![id, device, did.as_str(), scope, code, at, expires_at],
                )?;
                if let (1.., Some(consent)) = (granted, consent) {
                    self.put_consent(consent)?;
                }
                Ok(yes(granted))
            }
            OAuthUnit::DropRequest { id } => {
                self.oauth_rows("DELETE FROM oauth_request WHERE id = ?1", [id]).map(gone)
            }
            OAuthUnit::BeginSession { row, challenge, challenge_ends, at } => {
                self.begin_oauth(row, challenge, *challenge_ends, *at)
            }
            OAuthUnit::RotateOAuth { id, from, to, at, expires_at, expanded } => {
                let rotated = self.oauth_rows(
                    "UPDATE oauth_session SET refresh = ?3, used_at = ?4, expires_at = ?5, expanded = ?6
                     WHERE id = ?1 AND refresh = ?2 AND expires_at > ?4",
                    params![id, from, to, at, expires_at, expanded],
                )?;
                if rotated == 0 {
                    self.drop_oauth(id)?;
                }
                Ok(yes(rotated))
            }
            OAuthUnit::DropOAuthSession { id } => self.drop_oauth(id).map(gone),
            OAuthUnit::DropByCode { code } => self.drop_by_code(code).map(gone),
            OAuthUnit::DropGrant { did, client } => self.drop_grant(did, client).map(gone),
            OAuthUnit::DropKeys { client, keep } => self.drop_keys(client, keep).map(gone),
            OAuthUnit::PutDevice(row) => self
                .oauth_rows(
                    "INSERT INTO oauth_device VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (id) DO UPDATE SET token = ?2, agent = ?3, address = ?4, seen_at = ?6",
                    params![row.id, row.token, row.agent, row.address, row.created_at, row.seen_at],
                )
                .map(yes),
            OAuthUnit::SeeDevice { id, at, address } => self
                .oauth_rows(
                    "UPDATE oauth_device SET seen_at = ?2, address = ?3 WHERE id = ?1",
                    params![id, at, address],
                )
                .map(yes),
            OAuthUnit::DropDevice { id } => {
                self.oauth_rows("DELETE FROM oauth_device_account WHERE device = ?1", [id])?;
                self.oauth_rows("DELETE FROM oauth_device WHERE id = ?1", [id]).map(gone)
            }
            OAuthUnit::SignIn { row, token } => {
                let known = self.oauth_rows(
                    "UPDATE oauth_device SET token = ?2, seen_at = max(seen_at, ?3) WHERE id = ?1",
                    params![row.device, token, row.signed_in_at],
                )?;
                if known > 0 {
                    self.oauth_rows(
                        "INSERT OR REPLACE INTO oauth_device_account VALUES (?1, ?2, ?3, ?4)",
                        params![row.did.as_str(), row.device, row.signed_in_at, row.remembered],
                    )?;
                }
                Ok(yes(known))
            }
            OAuthUnit::SignOut { device, did } => self
                .oauth_rows(
                    "DELETE FROM oauth_device_account WHERE did = ?1 AND device = ?2",
                    params![did.as_str(), device],
                )
                .map(gone),
            OAuthUnit::ForgetOAuth { at, unseen, empty } => self.forget_oauth(*at, *unseen, *empty).map(gone),
        }
    }

    fn oauth_rows(&self, sql: &str, values: impl Params) -> Outcome<usize> {
        Ok(self.conn.prepare_cached(sql)?.execute(values)?)
    }

    fn put_oauth_request(&self, row: &OAuthRequestRow) -> Outcome<usize> {
        self.oauth_rows(
            "INSERT INTO oauth_request VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                row.id,
                row.client,
                row.auth,
                row.parameters,
                row.device,
                row.did.as_ref().map(Did::as_str),
                row.code,
                row.scope,
                row.created_at,
                row.expires_at
            ],
        )
    }

    fn put_consent(&self, row: &OAuthConsentRow) -> Outcome<()> {
        self.oauth_rows(
            "INSERT OR REPLACE INTO oauth_consent VALUES (?1, ?2, ?3, ?4)",
            params![row.did.as_str(), row.client, row.scope, row.at],
        )?;
        Ok(())
    }

    fn begin_oauth(
        &self,
        row: &OAuthSessionRow,
        challenge: &[u8; 32],
        challenge_ends: i64,
        at: i64,
    ) -> Outcome<OAuthApplied> {
        let sql = "DELETE FROM oauth_request WHERE code = ?1 RETURNING expires_at, did";
        let taken: Option<(i64, Option<String>)> = self
            .conn
            .prepare_cached(sql)?
            .query_row([row.code], |found| Ok((found.get(0)?, found.get(1)?)))
            .optional()?;
        let good = taken.is_some_and(|(ends, did)| ends > at && did.as_deref() == Some(row.did.as_str()));
        if !good {
            return Ok(OAuthApplied::No);
        }
        self.oauth_rows(
            "DELETE FROM oauth_challenge WHERE hash = ?1 AND ends_at <= ?2",
            params![challenge, at],
        )?;
        let fresh = self.oauth_rows(
            "INSERT OR IGNORE INTO oauth_challenge VALUES (?1, ?2)",
            params![challenge, challenge_ends],
        )?;
        if fresh == 0 {
            return Ok(OAuthApplied::Used);
        }
        self.oauth_rows(
            "INSERT INTO oauth_session VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            params![
                row.id,
                row.did.as_str(),
                row.client,
                row.name,
                row.auth,
                row.jkt,
                row.scope,
                row.expanded,
                row.code,
                row.refresh,
                row.device,
                row.created_at,
                row.used_at,
                row.expires_at
            ],
        )?;
        Ok(OAuthApplied::Yes)
    }

    fn drop_oauth(&self, id: &str) -> Outcome<usize> {
        self.oauth_rows("DELETE FROM oauth_session WHERE id = ?1", [id])
    }

    fn drop_by_code(&self, code: &[u8; 32]) -> Outcome<usize> {
        self.oauth_rows(
            "DELETE FROM oauth_device_account WHERE (did, device) IN
               (SELECT did, device FROM oauth_session WHERE code = ?1)",
            [code],
        )?;
        self.oauth_rows("DELETE FROM oauth_session WHERE code = ?1", [code])
    }

    fn drop_grant(&self, did: &Did, client: &str) -> Outcome<usize> {
        let (did, client) = (did.as_str(), client);
        for table in ["oauth_consent", "oauth_request"] {
            let sql = format!("DELETE FROM {table} WHERE did = ?1 AND client = ?2");
            self.oauth_rows(&sql, params![did, client])?;
        }
        self.oauth_rows("DELETE FROM oauth_session WHERE did = ?1 AND client = ?2", params![did, client])
    }

    fn drop_keys(&self, client: &str, keep: &[String]) -> Outcome<usize> {
        let found: Vec<(String, String)> = self
            .conn
            .prepare_cached("SELECT id, auth FROM oauth_session WHERE client = ?1 AND auth <> ''")?
            .query_map([client], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut ended = 0_usize;
        for (id, _) in found.iter().filter(|(_, auth)| !keep.contains(auth)) {
            ended = ended.saturating_add(self.drop_oauth(id)?);
        }
        Ok(ended)
    }

    /// With an account's other sessions end those of its applications, what it granted and was not redeemed yet, and its
    /// sign-ins in browsers.
    pub(super) fn drop_oauth_of(&self, did: &Did, except: Option<&str>) -> Outcome<()> {
        for sql in OF_AN_ACCOUNT {
            self.oauth_rows(sql, [did.as_str()])?;
        }
        self.oauth_rows(
            "DELETE FROM oauth_session WHERE did = ?1 AND (?2 IS NULL OR id <> ?2)",
            params![did.as_str(), except],
        )?;
        Ok(())
    }

    fn forget_oauth(&self, at: i64, unseen: i64, empty: i64) -> Outcome<usize> {
        let most = len(CHUNK_ROWS);
        let mut gone = 0_usize;
        for sql in [
            "DELETE FROM oauth_request WHERE id IN
               (SELECT id FROM oauth_request WHERE expires_at <= ?1 LIMIT ?2)",
            "DELETE FROM oauth_session WHERE id IN
               (SELECT id FROM oauth_session WHERE expires_at <= ?1 LIMIT ?2)",
            "DELETE FROM oauth_challenge WHERE hash IN
               (SELECT hash FROM oauth_challenge WHERE ends_at <= ?1 LIMIT ?2)",
        ] {
            gone = gone.saturating_add(self.oauth_rows(sql, params![at, most])?);
        }
        let passing = "DELETE FROM oauth_device_account WHERE (did, device) IN
               (SELECT did, device FROM oauth_device_account WHERE remembered = 0 AND signed_in_at <= ?1 LIMIT ?2)";
        gone = gone.saturating_add(self.oauth_rows(passing, params![at.saturating_sub(PASSING), most])?);
        let old: Vec<String> = self
            .conn
            .prepare_cached(
                "SELECT id FROM oauth_device d WHERE seen_at <= ?1 OR (seen_at <= ?2
                   AND NOT EXISTS (SELECT 1 FROM oauth_device_account a WHERE a.device = d.id)) LIMIT ?3",
            )?
            .query_map(params![unseen, empty, most], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for id in &old {
            self.oauth_rows("DELETE FROM oauth_device_account WHERE device = ?1", [id])?;
            gone = gone.saturating_add(self.oauth_rows("DELETE FROM oauth_device WHERE id = ?1", [id])?);
        }
        Ok(gone)
    }
}
