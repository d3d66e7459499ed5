-- Service tokens that were used: each works once, also after a restart. Rows go when their tokens have ended.

CREATE TABLE spent_token (
  token BLOB PRIMARY KEY,          -- first 16 bytes of the SHA-256 of issuer and identifier
  issuer BLOB NOT NULL,            -- first 8 bytes of the SHA-256 of the issuer
  ends_at INTEGER NOT NULL         -- when the token ends by itself, microseconds since 1970
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_token_by_end ON spent_token(ends_at);
