-- Hosted accounts: who logs in, and the events that are told to subscribers.

ALTER TABLE account ADD COLUMN hosted INTEGER NOT NULL DEFAULT 0; -- it has a row in login: it is hosted here
CREATE UNIQUE INDEX account_hosted_handle ON account(handle) WHERE hosted = 1 AND handle IS NOT NULL;

CREATE TABLE login (
  account INTEGER PRIMARY KEY REFERENCES account(id), -- the hosted account
  email TEXT NOT NULL,             -- address in lower case; empty for none
  email_confirmed_at INTEGER,      -- when the address was confirmed
  password TEXT NOT NULL,          -- how the password is checked: a PHC string or salt:hash
  created_at INTEGER NOT NULL,     -- when the account was made here
  deactivated_at INTEGER,          -- since when it is switched off by its owner
  delete_after INTEGER,            -- when a deactivated account is deleted
  takedown TEXT,                   -- reference of the takedown, while there is one
  invites_disabled INTEGER NOT NULL, -- it gets no invite codes
  invited_by TEXT,                 -- invite code with which it was made
  signing_key BLOB NOT NULL,       -- its signing key, wrapped with the node's key
  signing_did_key TEXT NOT NULL    -- the same as did:key
) STRICT;
CREATE UNIQUE INDEX login_by_email ON login(email) WHERE email <> '';
CREATE INDEX login_to_delete ON login(delete_after) WHERE delete_after IS NOT NULL;

CREATE TABLE event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, -- its sequence number; never used again
  did TEXT NOT NULL,               -- whom it concerns; need not be an account any more
  kind INTEGER NOT NULL,           -- 0 commit, 1 sync, 2 identity, 3 account
  at INTEGER NOT NULL,             -- when it was made
  frame BLOB NOT NULL              -- the frame as it is sent
) STRICT;
CREATE INDEX event_by_did ON event(did);

CREATE TABLE event_total (
  id INTEGER PRIMARY KEY,          -- 1: there is one row
  events INTEGER NOT NULL,         -- rows in event
  bytes INTEGER NOT NULL           -- bytes of their frames
) STRICT;
INSERT INTO event_total VALUES (1, 0, 0);

CREATE INDEX blob_temporary ON blob(next_try) WHERE state = 3;
