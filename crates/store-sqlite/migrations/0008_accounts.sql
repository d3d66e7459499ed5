-- What is kept for the owners of hosted accounts: sessions, app passwords, invites, e-mail, preferences, takedowns,
-- and what the operator did. Secrets are digests.

CREATE TABLE session (
  did TEXT NOT NULL,               -- account
  id TEXT NOT NULL,                -- name that its access tokens carry
  app_password TEXT,               -- name of the app password that began it; NULL for the account's own
  privileged INTEGER NOT NULL,     -- 1 when that app password is a privileged one
  created_at INTEGER NOT NULL,     -- when it began
  used_at INTEGER NOT NULL,        -- when it was refreshed last
  expires_at INTEGER NOT NULL,     -- when it ends by itself
  PRIMARY KEY (did, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_expiry ON session(expires_at);

CREATE TABLE refresh (
  did TEXT NOT NULL,               -- account
  session TEXT NOT NULL,           -- its session
  hash BLOB NOT NULL,              -- SHA-256 of the token's id
  until INTEGER,                   -- used up: shown again until then; NULL while it is the current one
  PRIMARY KEY (did, session, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE app_password (
  did TEXT NOT NULL,               -- account
  name TEXT NOT NULL,              -- name that its owner gave it
  password TEXT NOT NULL,          -- sha256: and the digest, or the reference's salt:hash
  privileged INTEGER NOT NULL,     -- 1: reaches private messages
  created_at INTEGER NOT NULL,     -- when it was made
  PRIMARY KEY (did, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE invite (
  code TEXT PRIMARY KEY,           -- the code
  uses INTEGER NOT NULL,           -- how many accounts it is good for
  disabled INTEGER NOT NULL,       -- 1 when switched off
  for_account TEXT NOT NULL,       -- whose it is to give away: a DID, or admin
  created_by TEXT NOT NULL,        -- who made it: a DID, or admin
  created_at INTEGER NOT NULL,     -- when it was made
  used INTEGER NOT NULL,           -- how often it was used
  forgotten INTEGER NOT NULL       -- how many of those uses were by accounts that are deleted
) STRICT, WITHOUT ROWID;
CREATE INDEX invite_owner ON invite(for_account, created_at);
CREATE INDEX invite_recent ON invite(created_at, code);
CREATE INDEX invite_usage ON invite(used, code);

CREATE TABLE invite_use (
  code TEXT NOT NULL,              -- the code
  did TEXT NOT NULL,               -- who used it
  at INTEGER NOT NULL,             -- when
  PRIMARY KEY (code, did)
) STRICT, WITHOUT ROWID;
CREATE INDEX invite_use_did ON invite_use(did);

CREATE TABLE email_token (
  did TEXT NOT NULL,               -- account
  purpose TEXT NOT NULL,           -- what it is good for
  hash BLOB NOT NULL,              -- SHA-256 of it with its purpose
  created_at INTEGER NOT NULL,     -- when it was asked for
  expires_at INTEGER NOT NULL,     -- when it ends
  tries INTEGER NOT NULL,          -- how often something was tried as it
  PRIMARY KEY (did, purpose)
) STRICT, WITHOUT ROWID;
CREATE INDEX email_token_hash ON email_token(purpose, hash);

CREATE TABLE mail (
  id INTEGER PRIMARY KEY,          -- number
  did TEXT,                        -- account that it is about
  recipient TEXT NOT NULL,         -- where it goes
  kind TEXT NOT NULL,              -- short stable word: what kind of mail
  sealed BLOB NOT NULL,            -- subject and text, encrypted
  created_at INTEGER NOT NULL,     -- when it was written
  next_at INTEGER NOT NULL,        -- when it is tried next
  expires_at INTEGER NOT NULL,     -- when it is no longer worth sending
  tries INTEGER NOT NULL,          -- how often it was tried
  last_error TEXT,                 -- why the last try failed
  given_up_at INTEGER              -- when it was given up
) STRICT;
CREATE INDEX mail_due ON mail(next_at) WHERE given_up_at IS NULL;
CREATE INDEX mail_did ON mail(did) WHERE did IS NOT NULL;

CREATE TABLE preference (
  did TEXT NOT NULL,               -- account
  at INTEGER NOT NULL,             -- place in the order
  name TEXT NOT NULL,              -- its $type
  value TEXT NOT NULL,             -- it, as JSON
  PRIMARY KEY (did, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE takedown (
  did TEXT NOT NULL,               -- account
  subject TEXT NOT NULL,           -- collection/rkey of a record, or CID of a blob
  reference TEXT NOT NULL,         -- the moderator's reference
  at INTEGER NOT NULL,             -- when
  PRIMARY KEY (did, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  id INTEGER PRIMARY KEY,          -- number
  at INTEGER NOT NULL,             -- when
  who TEXT NOT NULL,               -- operator, admin, a moderation service's DID, or node
  what TEXT NOT NULL,              -- method or command
  did TEXT,                        -- account
  subject TEXT NOT NULL,           -- what of it
  detail TEXT NOT NULL             -- in plain words
) STRICT;
CREATE INDEX audit_did ON audit(did, id) WHERE did IS NOT NULL;

CREATE TABLE signup (
  did TEXT PRIMARY KEY,            -- account that is being made
  handle TEXT NOT NULL,            -- its handle
  operation TEXT NOT NULL,         -- CID of its first operation
  at INTEGER NOT NULL              -- when
) STRICT, WITHOUT ROWID;
