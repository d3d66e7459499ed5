-- The first schema. Times are microseconds since 1970; revs are TIDs as 64-bit integers;
-- a CID column holds the 32-byte digest when the codec is the usual one of that column
-- (DAG-CBOR, for blobs raw), else all 36 bytes.

CREATE TABLE account (
  id INTEGER PRIMARY KEY,          -- surrogate key of the account
  did TEXT NOT NULL UNIQUE,        -- its DID
  handle TEXT,                     -- handle that resolved both ways last
  pds TEXT,                        -- URL of its host as last seen
  status INTEGER NOT NULL,         -- index into AccountStatus::ALL
  origin INTEGER NOT NULL,         -- 0 network, 1 file
  verified INTEGER NOT NULL,       -- 0 nothing, 1 verified, 2 unverified, 3 verbatim
  serve INTEGER NOT NULL,          -- 0 nobody, 1 peers, 2 public
  serve_basis TEXT,                -- recorded reason for serving
  added_at INTEGER NOT NULL,       -- when it was added
  last_sync_at INTEGER,            -- end of the last successful sync
  last_attempt_at INTEGER,         -- last try
  last_sync_error TEXT,            -- why the last try failed
  last_verified_at INTEGER,        -- end of the last verification
  last_verify_ok INTEGER,          -- whether all was in order
  car_bytes INTEGER NOT NULL,      -- size of the last CAR fetched or imported
  blobs_held INTEGER NOT NULL,     -- blobs in state held
  blobs_missing INTEGER NOT NULL,  -- blobs in state missing
  blob_bytes INTEGER NOT NULL,     -- bytes of the held ones
  paused INTEGER NOT NULL,         -- syncing is paused by the operator
  quota INTEGER,                   -- limit on stored bytes
  purging INTEGER NOT NULL         -- a purge is under way: hidden, only purge units accepted
) STRICT;

CREATE TABLE repo (
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- surrogate key; never used again
  account INTEGER NOT NULL REFERENCES account(id), -- its account
  kind INTEGER NOT NULL,           -- 0 tree, 1 space
  role INTEGER NOT NULL,           -- 0 hosted, 1 archived, 2 staging, 3 replaced, 4 evidence
  rev INTEGER NOT NULL,            -- rev of the head, or the one staged for
  data BLOB,                       -- root of the tree; NULL while staged
  head BLOB,                       -- CID of the commit block
  sig BLOB,                        -- compact signature, 64 bytes
  key INTEGER,                     -- signing key, see signing_key
  raw BLOB,                        -- commit block that cannot be re-encoded
  flipped INTEGER,                 -- rev that replaced it; only for role 3
  records INTEGER NOT NULL,        -- number of records
  record_bytes INTEGER NOT NULL,   -- bytes of their bodies before compression
  next_cids INTEGER NOT NULL       -- next number for a row of bucket_cids
) STRICT;
CREATE INDEX repo_by_account ON repo(account);
CREATE UNIQUE INDEX repo_live ON repo(account) WHERE role < 2;

CREATE TABLE signing_key (
  account INTEGER NOT NULL,        -- account whose commits it signed
  id INTEGER NOT NULL,             -- number within the account
  did_key TEXT NOT NULL,           -- did:key, empty when unknown
  PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE collection (
  account INTEGER NOT NULL,        -- account that uses it
  id INTEGER NOT NULL,             -- number within the account
  name TEXT NOT NULL,              -- NSID and a slash, so that its order is tree order
  PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX collection_by_name ON collection(account, name);

CREATE TABLE record (
  repo INTEGER NOT NULL,           -- its repo
  coll INTEGER NOT NULL,           -- its collection, see collection
  rkey TEXT NOT NULL,              -- its record key
  since INTEGER NOT NULL,          -- rev at which this version appeared
  cid BLOB NOT NULL,               -- CID of its block
  body BLOB,                       -- form byte and block, see body.rs; NULL: block never received
  PRIMARY KEY (repo, coll, rkey)
) STRICT, WITHOUT ROWID;

CREATE TABLE past (
  account INTEGER NOT NULL,        -- its account
  coll INTEGER NOT NULL,           -- its collection
  rkey TEXT NOT NULL,              -- its record key
  until INTEGER NOT NULL,          -- rev at which it was superseded
  since INTEGER NOT NULL,          -- rev at which it appeared
  cid BLOB NOT NULL,               -- CID of its block
  body BLOB,                       -- as in record
  PRIMARY KEY (account, coll, rkey, until)
) STRICT, WITHOUT ROWID;

CREATE TABLE bucket (
  repo INTEGER NOT NULL,           -- its repo
  lo BLOB NOT NULL,                -- first key; empty for the first bucket
  lo_cid BLOB,                     -- record at lo when it is a key of the spine
  n INTEGER NOT NULL,              -- records, the one at lo included; not valid while dirty
  layer INTEGER,                   -- layer of the subtree after lo; NULL for an empty run
  root BLOB,                       -- CID of that subtree
  dirty INTEGER NOT NULL,          -- records changed since it was computed
  rev INTEGER NOT NULL,            -- rev of its last change
  cids INTEGER,                    -- its row of bucket_cids, as number within the repo
  PRIMARY KEY (repo, lo)
) STRICT, WITHOUT ROWID;

CREATE TABLE bucket_cids (
  id INTEGER PRIMARY KEY,          -- repo * 2^32 + number within the repo
  cids BLOB NOT NULL               -- 4-byte digest prefixes of the bucket's nodes and records
) STRICT;

CREATE TABLE commit_log (
  account INTEGER NOT NULL,        -- its account
  rev INTEGER NOT NULL,            -- its rev
  data BLOB NOT NULL,              -- root of the tree
  sig BLOB NOT NULL,               -- compact signature
  key INTEGER NOT NULL,            -- signing key
  raw BLOB,                        -- commit block that cannot be re-encoded
  PRIMARY KEY (account, rev)
) STRICT, WITHOUT ROWID;

CREATE TABLE blob (
  account INTEGER NOT NULL,        -- its account; blobs are never shared between accounts
  cid BLOB NOT NULL,               -- its CID
  size INTEGER NOT NULL,           -- true size when held, else as the record states it
  mime TEXT NOT NULL,              -- MIME type as stated by the record that named it first
  state INTEGER NOT NULL,          -- 0 missing, 1 held, 2 gone at the source
  tries INTEGER NOT NULL,          -- failed tries
  next_try INTEGER NOT NULL,       -- when to try next
  note TEXT,                       -- last error, or why it is gone
  PRIMARY KEY (account, cid)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_due ON blob(account, next_try) WHERE state = 0;

CREATE TABLE blob_ref (
  repo INTEGER NOT NULL,           -- repo of the record that names it; minus the account for past versions
  cid BLOB NOT NULL,               -- the blob
  coll INTEGER NOT NULL,           -- that record's collection
  rkey TEXT NOT NULL,              -- that record's key
  PRIMARY KEY (repo, cid, coll, rkey)
) STRICT, WITHOUT ROWID;

CREATE TABLE plc (
  did TEXT PRIMARY KEY,            -- whose log is mirrored; need not be an account
  ops INTEGER NOT NULL,            -- number of operations
  fetched_at INTEGER NOT NULL      -- when it was fetched last
) STRICT, WITHOUT ROWID;

CREATE TABLE plc_op (
  did TEXT NOT NULL,               -- whose log
  idx INTEGER NOT NULL,            -- position in the log
  operation BLOB NOT NULL,         -- JSON as received
  cid TEXT NOT NULL,               -- its CID
  nullified INTEGER NOT NULL,      -- made void by a later fork
  created_at TEXT NOT NULL,        -- the directory's timestamp
  PRIMARY KEY (did, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE identity (
  did TEXT PRIMARY KEY,            -- whose document
  doc BLOB NOT NULL,               -- JSON as received
  handle TEXT,                     -- handle that resolved both ways
  fetched_at INTEGER NOT NULL      -- when it was fetched
) STRICT, WITHOUT ROWID;

CREATE TABLE evidence (
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival
  did TEXT NOT NULL,               -- whom it concerns
  at INTEGER NOT NULL,             -- when it was observed
  kind TEXT NOT NULL,              -- short stable word
  detail TEXT NOT NULL,            -- JSON
  data BLOB                        -- bytes that prove it
) STRICT;
CREATE INDEX evidence_by_did ON evidence(did);

CREATE TABLE finding (
  did TEXT NOT NULL,               -- whom it concerns
  kind TEXT NOT NULL,              -- short stable word
  subject TEXT NOT NULL,           -- what it is about; empty for the account
  detail TEXT NOT NULL,            -- in plain words
  first_at INTEGER NOT NULL,       -- seen first
  last_at INTEGER NOT NULL,        -- seen last
  PRIMARY KEY (did, kind, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE worker (
  name TEXT PRIMARY KEY,           -- unique name
  did TEXT,                        -- account it works for
  state TEXT NOT NULL,             -- what it is doing
  done INTEGER NOT NULL,           -- progress
  total INTEGER NOT NULL,          -- of this many; 0 unknown
  notes TEXT NOT NULL,             -- its notes for resuming, JSON
  last_error TEXT,                 -- last error in plain words
  next_run INTEGER,                -- when it runs next
  updated_at INTEGER NOT NULL      -- when this row was written
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
  name TEXT PRIMARY KEY,           -- name of the setting
  value TEXT NOT NULL              -- its value
) STRICT, WITHOUT ROWID;

CREATE TABLE purge (
  id INTEGER PRIMARY KEY,          -- order
  did TEXT NOT NULL,               -- who was purged
  basis TEXT NOT NULL,             -- why
  began_at INTEGER NOT NULL,       -- when it began
  ended_at INTEGER,                -- when the search for traces had ended
  rows INTEGER NOT NULL,           -- rows deleted
  report TEXT                      -- what the search found
) STRICT;
