home-title = Your accounts
home-empty-title = Nothing is kept here yet
home-empty = Name an account, and this node fetches a complete copy of what is public about it, proves every byte, and keeps it current.
home-empty-button = Add the first account
home-count = { $count ->
    [one] One account is kept here.
   *[other] { $count } accounts are kept here.
}
home-held = { $records } records, { $size }
home-paused = paused
home-claimed = This node has no owner yet.
home-claimed-next = Now sign in with your account, so that this node is yours.
home-alert = Needs your attention:
home-alert-since = First seen
home-alert-account = See the account
home-pages = Pages of this list
home-page = Page { $page } of { $pages }

tone-good = in order
tone-unknown = not known yet
tone-warn = could be better
tone-bad = needs you
tone-theirs = up to its owner

light-data = Data
light-identity = Identity
light-copies = Copies
light-data-good = Everything is here and current; a drill proved { $ago } that it restores.
light-data-nothing = Nothing is stored yet.
light-data-coming = The first copy is being made.
light-data-damaged = The last check found damage in what is stored.
light-data-drill-failed = The drill of { $ago } failed: this copy would not restore as it is.
light-data-unverified = It is stored, and it could not be proved that its owner signed it.
light-data-stale = The last successful look at the account's server was { $ago }.
light-heard = Its server was last heard { $ago }.
light-data-failed = The last try to fetch what is new failed. The last successful look at the account's server was { $ago }.
light-data-silent = The connection over which the account is followed is down. The last successful look at its server was { $ago }.
light-data-undrilled = Everything is here and current; nobody has practised restoring it yet.
light-data-drill-old = Everything is here; the last drill was { $ago }.
light-data-media = { $count ->
    [one] One picture or video is missing.
   *[other] { $count } pictures or videos are missing.
}
light-identity-good = You hold a key above your server's: you can move this account without it.
light-identity-perhaps = There is a key that is not your server's. Is it yours?
light-identity-host = Only the server holds keys. If it disappears, nobody can move this account.
light-identity-host-theirs = Only the server holds keys. Only the owner of this account can change that.
light-identity-perhaps-theirs = There is a key that is not the server's. Whether it is the owner's, nobody said here.
light-identity-frozen = Nobody holds a key: this account stays where it is for ever.
light-identity-tombstone = This identity was given up for good.
light-identity-web = Whoever holds the domain holds this account.
light-identity-unknown = Who can move this account is not known yet.
light-identity-alarm = Somebody changed this identity and nobody announced it. Undo it { $until } at the latest.
light-copies-two = Two places have it: its server and this node. A third would survive this node too.
light-copies-last = Its server does not serve it any more: this node's copy may be the last.
light-copies-none = Only its server has it.
light-copies-hosted = It lives on this node and nowhere else.
light-copies-taken = Its server and this node have it, and a copy was taken out { $ago }. Keep that one in another place.
light-copies-taken-old = Its server and this node have it. The copy that was taken out { $ago } is old.
light-copies-last-taken = Its server does not serve it any more. This node has it, and a copy was taken out { $ago }.
light-copies-hosted-taken = It lives on this node, and a copy was taken out { $ago }.

mend-sync = Fetch it now
mend-watch = Watch
mend-verify = Check and repair
mend-see-drill = See what failed
mend-see = See why
mend-drill = Practise a restore
mend-media = See which
mend-identity = See what changed
mend-confirm-key = Look at the keys
mend-add-key = Add a key of your own
mend-export = Take a copy away
