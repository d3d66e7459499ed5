-- What people told the operator of this node: reports of hosted accounts, and requests of strangers that data be removed.
-- Open ones wait for the operator; closed ones are kept for a while.

CREATE TABLE report (
  id INTEGER PRIMARY KEY AUTOINCREMENT,   -- its number; none is given twice
  at INTEGER NOT NULL,                    -- when it came, microseconds since 1970
  by_did TEXT,                            -- the hosted account that sent it; NULL: a stranger, or an account that is gone
  contact TEXT NOT NULL,                  -- how the sender wants to be answered; empty: not at all
  did TEXT,                               -- whose account it is about, if it is known here
  subject TEXT NOT NULL,                  -- what it is about: a DID, a record's at:// address, or a handle as it was typed
  cid TEXT,                               -- the version of the record, as text
  kind TEXT NOT NULL,                     -- com.atproto.moderation.defs#reasonSpam and so on; removal, unlawful, other from the form
  words TEXT NOT NULL,                    -- what the sender wrote
  closed_at INTEGER,                      -- when it was settled; NULL: it is open
  note TEXT NOT NULL                      -- how, in the operator's words
) STRICT;
CREATE INDEX report_open ON report(id) WHERE closed_at IS NULL;
CREATE INDEX report_closed ON report(closed_at, id) WHERE closed_at IS NOT NULL;
CREATE INDEX report_by_sender ON report(by_did) WHERE by_did IS NOT NULL;
CREATE INDEX report_by_subject ON report(did) WHERE did IS NOT NULL;
