-- What owners of hosted accounts prove themselves with beside the password. The TOTP secret is sealed, backup codes and
-- challenges are digests, passkeys are public keys.

CREATE TABLE factor (
  did TEXT PRIMARY KEY,            -- account
  email INTEGER NOT NULL,          -- 1: a sign-in with the password asks for a code that is sent by e-mail
  totp BLOB,                       -- secret of TOTP, sealed for this account
  totp_at INTEGER,                 -- when that was set up
  totp_step INTEGER NOT NULL,      -- newest time step whose code was taken
  codes_at INTEGER,                -- when backup codes were made
  tries INTEGER NOT NULL,          -- tries since tries_since that were not right
  tries_since INTEGER NOT NULL     -- when they began
) STRICT, WITHOUT ROWID;

CREATE TABLE passkey (
  id BLOB PRIMARY KEY,             -- credential id
  did TEXT NOT NULL,               -- account
  key BLOB NOT NULL,               -- public key, as COSE writes it
  count INTEGER NOT NULL,          -- signature counter; 0 when it has none
  name TEXT NOT NULL,              -- name that its owner gave it
  transports TEXT NOT NULL,        -- how it is reached, as the browser said
  copyable INTEGER NOT NULL,       -- 1: it may be copied to other devices
  copied INTEGER NOT NULL,         -- 1: it is
  discoverable INTEGER NOT NULL,   -- 1: it names its account by itself
  created_at INTEGER NOT NULL,     -- when it was made
  used_at INTEGER                  -- when it was used last
) STRICT, WITHOUT ROWID;
CREATE INDEX passkey_by_did ON passkey(did, created_at);

CREATE TABLE backup_code (
  did TEXT NOT NULL,               -- account
  hash BLOB NOT NULL,              -- SHA-256 of it with its account
  PRIMARY KEY (did, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE spent_challenge (
  hash BLOB PRIMARY KEY,           -- SHA-256 of a challenge that a passkey has answered
  ends_at INTEGER NOT NULL         -- when the challenge ends by itself
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_challenge_by_end ON spent_challenge(ends_at);
