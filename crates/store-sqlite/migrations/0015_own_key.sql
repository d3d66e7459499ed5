-- Rotation keys that the owner of an identity said are theirs: what the pages say about who can move an account stands on
-- it. Public halves only.

CREATE TABLE own_key (
  did TEXT NOT NULL,                      -- the account
  key TEXT NOT NULL,                      -- as did:key
  at INTEGER NOT NULL,                    -- when it was said, microseconds since 1970
  PRIMARY KEY (did, key)
) STRICT, WITHOUT ROWID;
