-- Marks of subjects: of follows, likes, reposts and blocks in hosted repos, so that a newer one can take the place of
-- an older one.

CREATE TABLE link (
  repo INTEGER NOT NULL,           -- repo
  coll INTEGER NOT NULL,           -- collection of the record
  rkey TEXT NOT NULL,              -- its key
  target BLOB NOT NULL,            -- what it is about: first 16 bytes of the SHA-256 of that
  PRIMARY KEY (repo, coll, rkey)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_target ON link(repo, coll, target);
