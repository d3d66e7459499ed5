-- Whose node this is, who is signed in to its pages, and the node's own sessions at hosts of others. Codes and cookies are
-- digests of random text; tokens of others are sealed with a key that lies outside of the database.

CREATE TABLE claim (
  id INTEGER PRIMARY KEY CHECK (id = 1),  -- there is one at a time
  code BLOB NOT NULL,                     -- SHA-256 of the code that was printed
  again INTEGER NOT NULL,                 -- 1: taking it ends the rights of the owner that the node has
  created_at INTEGER NOT NULL             -- microseconds since 1970
) STRICT;

CREATE TABLE owner (
  id INTEGER PRIMARY KEY CHECK (id = 1),  -- there is one
  did TEXT NOT NULL,                      -- their account, hosted anywhere
  since INTEGER NOT NULL                  -- microseconds since 1970
) STRICT;

CREATE TABLE web_session (
  token BLOB PRIMARY KEY,                 -- SHA-256 of the cookie
  did TEXT,                               -- the owner; NULL: who claimed the node and has not signed in yet
  created_at INTEGER NOT NULL,            -- microseconds since 1970
  used_at INTEGER NOT NULL,               -- last use, to about a minute
  ends_at INTEGER NOT NULL,               -- unless it is used before
  address TEXT NOT NULL,                  -- of the last use
  agent TEXT NOT NULL                     -- the browser, as it calls itself
) STRICT, WITHOUT ROWID;

CREATE TABLE agent_session (
  did TEXT PRIMARY KEY,                   -- the account
  version INTEGER NOT NULL,               -- counts up with each change
  kind TEXT NOT NULL,                     -- oauth, password
  host TEXT NOT NULL,                     -- https://pds.example
  scope TEXT NOT NULL,                    -- what was granted; empty for passwords
  sealed BLOB NOT NULL,                   -- tokens and keys, sealed for this account
  created_at INTEGER NOT NULL,            -- microseconds since 1970
  updated_at INTEGER NOT NULL             -- last renewal
) STRICT, WITHOUT ROWID;
