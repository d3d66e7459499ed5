-- How many records of each collection a repo holds, so that the index of lexicons needs no count.

CREATE TABLE lexicon (
  repo INTEGER NOT NULL,           -- the repo; staged and replaced ones are counted too
  coll INTEGER NOT NULL,           -- the collection, see collection
  records INTEGER NOT NULL,        -- records of it in this repo
  first INTEGER NOT NULL,          -- first rev at which one was seen
  last INTEGER NOT NULL,           -- last rev at which one was fetched, written, changed or deleted
  PRIMARY KEY (repo, coll)
) STRICT, WITHOUT ROWID;

INSERT INTO lexicon SELECT repo, coll, count(*), min(since), max(since) FROM record GROUP BY repo, coll;
