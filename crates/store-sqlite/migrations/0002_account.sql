-- What the operator wants kept of an account, and when each head was seen.

ALTER TABLE account ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;       -- 0 normal, higher sooner, lower later
ALTER TABLE account ADD COLUMN keep INTEGER NOT NULL DEFAULT 0;           -- history kept: 0 a window, 1 all
ALTER TABLE account ADD COLUMN keep_basis TEXT;                           -- why data is kept after deletion at source
ALTER TABLE account ADD COLUMN withdrawn_at INTEGER;                      -- since when it is deleted at its source
ALTER TABLE account ADD COLUMN horizon INTEGER;                           -- older revs were pruned; NULL: none were

ALTER TABLE repo ADD COLUMN line INTEGER NOT NULL DEFAULT 0;              -- line of history, see commit_log

ALTER TABLE commit_log ADD COLUMN line INTEGER NOT NULL DEFAULT 0;        -- 0; else the repo with which an older head was accepted
ALTER TABLE commit_log ADD COLUMN seen_at INTEGER;                        -- when this archive saw it; NULL: not recorded
ALTER TABLE commit_log ADD COLUMN since INTEGER;                          -- rev it follows directly; NULL: not known
ALTER TABLE commit_log ADD COLUMN created INTEGER;                        -- records it created; NULL: not counted
ALTER TABLE commit_log ADD COLUMN updated INTEGER;                        -- records it updated
ALTER TABLE commit_log ADD COLUMN deleted INTEGER;                        -- records it deleted
