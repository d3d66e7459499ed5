-- Superseded versions in the order in which they were superseded, for pruning.

CREATE INDEX past_by_until ON past(account, until);
