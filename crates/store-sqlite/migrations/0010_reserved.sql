-- Signing keys that were promised to accounts that are about to move here.

CREATE TABLE reserved_key (
  did_key TEXT PRIMARY KEY,        -- the key as did:key
  did TEXT,                        -- account it is kept for, if it was named
  signing_key BLOB NOT NULL,       -- the key, wrapped for its own name
  created_at INTEGER NOT NULL      -- when it was promised
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX reserved_key_by_did ON reserved_key(did) WHERE did IS NOT NULL;
CREATE INDEX reserved_key_by_age ON reserved_key(created_at);
