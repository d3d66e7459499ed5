-- What the authorization server keeps: requests that were pushed, sessions that were granted, browsers, and who is signed in
-- in them. Everything that opens something is here as its SHA-256 only. Times are microseconds since 1970.

CREATE TABLE oauth_request (
  id BLOB PRIMARY KEY,             -- SHA-256 of the request_uri's random part
  client TEXT NOT NULL,            -- client_id
  auth TEXT NOT NULL,              -- thumbprint of the key that the client proved itself with; empty for public clients
  parameters TEXT NOT NULL,        -- what was asked for, as checked, JSON
  device TEXT,                     -- browser that it was opened in; NULL before
  did TEXT,                        -- account that granted it; NULL before
  code BLOB UNIQUE,                -- SHA-256 of the code that was handed out; NULL before
  scope TEXT NOT NULL,             -- what was granted; empty before
  created_at INTEGER NOT NULL,     -- when it was pushed
  expires_at INTEGER NOT NULL      -- when it, or its code, is no longer good
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_request_expiry ON oauth_request(expires_at);
CREATE INDEX oauth_request_did ON oauth_request(did) WHERE did IS NOT NULL;

CREATE TABLE oauth_session (
  id TEXT PRIMARY KEY,             -- name that its tokens carry
  did TEXT NOT NULL,               -- account
  client TEXT NOT NULL,            -- client_id
  name TEXT NOT NULL,              -- what the client called itself then; empty for nothing
  auth TEXT NOT NULL,              -- thumbprint of the client's own key, which it must go on using; empty for public clients
  jkt TEXT NOT NULL,               -- thumbprint of the key that its tokens are bound to
  scope TEXT NOT NULL,             -- what was granted, in the words in which it was asked for
  expanded TEXT NOT NULL,          -- the same with the content of permission sets in their place
  code BLOB NOT NULL,              -- SHA-256 of the code that began it: shown again, it ends the session
  refresh BLOB NOT NULL,           -- SHA-256 of the refresh token that is good now; any other ends the session
  device TEXT,                     -- browser in which it was granted
  created_at INTEGER NOT NULL,     -- when it began
  used_at INTEGER NOT NULL,        -- when it was refreshed last
  expires_at INTEGER NOT NULL      -- when it ends unless it is refreshed before
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_session_did ON oauth_session(did, client);
CREATE INDEX oauth_session_client ON oauth_session(client) WHERE auth <> '';
CREATE INDEX oauth_session_code ON oauth_session(code);
CREATE INDEX oauth_session_expiry ON oauth_session(expires_at);

CREATE TABLE oauth_device (
  id TEXT PRIMARY KEY,             -- random name of a browser, which it never sees
  token BLOB NOT NULL UNIQUE,      -- SHA-256 of its cookie, which changes with each sign-in
  agent TEXT NOT NULL,             -- the browser, as it calls itself
  address TEXT NOT NULL,           -- where it was last seen
  created_at INTEGER NOT NULL,     -- when it came first
  seen_at INTEGER NOT NULL         -- when it came last, to about a minute
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_device_seen ON oauth_device(seen_at);

CREATE TABLE oauth_device_account (
  did TEXT NOT NULL,               -- account
  device TEXT NOT NULL,            -- browser that it is signed in in
  signed_in_at INTEGER NOT NULL,   -- when it last showed its password there
  remembered INTEGER NOT NULL,     -- 1: stays signed in; 0: for a quarter of an hour
  PRIMARY KEY (did, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_device_account_device ON oauth_device_account(device);

CREATE TABLE oauth_consent (
  did TEXT NOT NULL,               -- account
  client TEXT NOT NULL,            -- client_id
  scope TEXT NOT NULL,             -- what was granted to it last
  at INTEGER NOT NULL,             -- when that was last said
  PRIMARY KEY (did, client)
) STRICT, WITHOUT ROWID;

CREATE TABLE oauth_challenge (
  hash BLOB PRIMARY KEY,           -- SHA-256 of a PKCE challenge that a code was redeemed with
  ends_at INTEGER NOT NULL         -- until when it may not be used again
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_challenge_end ON oauth_challenge(ends_at);
