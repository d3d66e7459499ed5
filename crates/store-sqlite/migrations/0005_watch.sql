-- What the node watches of itself: alerts that were raised, and sizes over time.

CREATE TABLE alert (
  id TEXT PRIMARY KEY,             -- unique name, given by whoever raised it
  did TEXT,                        -- account that it concerns; NULL for the node
  kind TEXT NOT NULL,              -- short stable word, as a finding's
  subject TEXT NOT NULL,           -- what it is about; empty for the account or the node
  detail TEXT NOT NULL,            -- in plain words
  opened_at INTEGER NOT NULL,      -- when it was raised
  closed_at INTEGER,               -- when the fault was found gone; NULL while it lasts
  told INTEGER NOT NULL            -- who was told: 1 of the fault, 2 of the recovery
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_open ON alert(opened_at) WHERE closed_at IS NULL;
CREATE INDEX alert_by_did ON alert(did) WHERE did IS NOT NULL;

CREATE TABLE sample (
  did TEXT NOT NULL,               -- account; empty for the node as a whole
  at INTEGER NOT NULL,             -- when it was measured
  record_bytes INTEGER NOT NULL,   -- bytes of the current records
  blob_bytes INTEGER NOT NULL,     -- bytes of the blobs held
  db_bytes INTEGER NOT NULL,       -- bytes of the database file; 0 for an account
  disk_free INTEGER NOT NULL,      -- bytes free on the disk; 0 for an account
  PRIMARY KEY (did, at)
) STRICT, WITHOUT ROWID;
