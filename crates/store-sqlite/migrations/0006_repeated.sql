-- What is observed again is counted, not repeated.

ALTER TABLE evidence ADD COLUMN times INTEGER NOT NULL DEFAULT 1; -- how often it was observed
ALTER TABLE evidence ADD COLUMN last_at INTEGER;                  -- when it was observed last; NULL: once
