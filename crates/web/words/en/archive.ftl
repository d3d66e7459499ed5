# The pages of an archived account.
tab-where = Where you are
tab-label = Pages of this account
tab-overview = Overview
tab-time = Records and history
tab-media = Pictures and videos
tab-drills = Drills
tab-identity = Identity
tab-away = Take away

account-removing = This account is being erased.
account-withdrawn = This account was deleted at its source.
account-hosted = This account lives on this node: there is no other server from which anything would be fetched.
account-do-title = What you can do now
account-facts-title = How it stands
account-head-title = What exactly is proved
account-head-words = The account's owner signed one commit. It names the root of a tree, and the tree names every record. All of it was computed again from what is stored here.
account-kept-title = What is kept
account-not-kept-title = What is not kept
account-records-title = Records
account-records-empty = No record is stored yet.
account-findings-title = What is wrong now
account-evidence-title = What was observed
account-evidence-words = Things that contradicted what was known, with the proof that was kept of them.
account-choices-title = What you decide
account-remove-title = Erase this copy
account-remove-words = Everything that this node has of the account is erased and then searched for. Nothing changes at its server.
account-remove-look = See what would be erased

act-sync = Fetch what is new
act-verify = Check and repair
act-drill = Practise a restore
act-pause = Pause
act-resume = Go on fetching
act-hint = Checking reads every stored byte again. Practising restores the account from this archive alone, into a throw-away store.

fact-host = Server
fact-status = State at its server
fact-live = Live updates
fact-sync = Last successful look
fact-sync-error = The last try failed:
fact-verified = Proof
fact-checked = Last checked from the stored bytes
fact-in-order = everything in order
fact-damaged = damage was found
fact-records = Records
fact-records-in = { $count } records, { $size }
fact-media = Pictures and videos
fact-media-in = { $count } files, { $size }
fact-media-missing = { $count ->
    [one] one is missing
   *[other] { $count } are missing
}
fact-rev = Revision
fact-added = Kept since
fact-full = Limit
never = never

head-commit = Commit
head-root = Root of the tree
head-key = Signed by

live-paused = paused by you
live-no = not followed now
live-heard = last heard
live-live = followed live from
live-relay = followed through
live-polled = asked now and then:
live-behind = being fetched anew from
live-waiting = its stream is down:

status-active = active
status-deactivated = deactivated by its owner
status-takendown = taken down by its server
status-suspended = suspended by its server
status-deleted = deleted
status-desynchronized = out of step with its server
status-throttled = throttled by its server
status-unreachable = its server cannot be reached

verified-nothing = nothing is stored yet
verified-verified = every byte is proved to be its owner's
verified-unverified = complete in itself; nothing vouches for who signed it
verified-verbatim = kept as it came, not proved

kept-records = Posts, likes, follows, lists, the profile: every record that is public
kept-history = What was edited or removed from now on, for as long as you decide
kept-media = Pictures and videos that records name
kept-identity = The history of the identity and its keys
not-kept-preferences = Preferences (muted words, saved feeds): they are private to the account at its server
not-kept-messages = Direct messages: the chat service keeps them
not-kept-spaces = Private spaces: they are not public
not-kept-secrets = Password, e-mail address and app passwords

collection = Kind of record
collection-records = Records
finding = What
finding-since = Since
evidence-times = { $count } times
evidence-proof = { $size } of proof are kept with it.
evidence-accepted-head = an older state was accepted
evidence-forged-commit = a commit that the owner did not sign
evidence-host-move = its server changed
evidence-key-change = its signing key changed
evidence-earlier-key = signed with an earlier key
evidence-irreproducible = a tree that cannot be reproduced
evidence-odd-record = an odd record
evidence-plc-fork = two histories of the identity
evidence-serving = you chose to whom it is served
evidence-status = its state at the server changed
evidence-older-head = the server offered an older state
evidence-equivocation = two states of the same revision
evidence-future-rev = a revision from the future

serve-title = To whom this copy is shown
serve-words = Nobody sees it until you choose otherwise. If you do, write down why you may.
serve-declared-refused = Its owner declared that public archives may not show it.
serve-refused = It is not shown now:
serve-nobody = Nobody
serve-peers = Other nodes that you trust
serve-public = Everybody
serve-basis = Why you may
serve-basis-hint = For example: its owner asked me to. Needed unless you choose nobody.
keep-title = What was edited or removed
keep-all = Keep every version that was seen
keep-window = Forget it after the undo window
keep-basis = Why it is kept after its deletion
keep-basis-hint = An account that is deleted at its source is erased here after a while, unless you write down why not. Leave it empty to let that happen.
limits-title = Limits and order
limits-quota = Most that is stored, in megabytes
limits-quota-hint = Empty: the limit of every account counts.
limits-priority = Order
limits-priority-hint = Higher goes first; 0 is usual.
limits-wrong = The limit must be a whole number of megabytes or empty, and the order a whole number.

erase-title = Erase this copy
erase-lead = Nothing is erased yet. This is what this node has of
erase-records = { $count } records ({ $size }) and their history
erase-blobs = { $count } pictures and videos ({ $size })
erase-outside-title = What this node cannot reach
erase-danger = If its server has lost the account, this may be the last copy.
erase-confirm = To go on, type in
erase-confirm-hint = The handle, or the DID.
erase-mistyped = That is not the name of this account. Nothing was changed.
erase-button = Erase it

media-title = Pictures and videos
media-held = { $count } are here ({ $size }).
media-missing = { $count ->
    [0] None is missing.
    [one] One is missing.
   *[other] { $count } are missing.
}
media-absent-title = Not here
media-absent-words = Records name these, and they could not be had yet. A restore would go without them.
media-file = File
media-why = Why
media-tries = Tries
media-next = Next try
media-never = not tried any more
media-soon = soon
media-here-title = Here
media-here-words = Only you see these.
media-empty = No picture or video is stored yet.

drills-title = Drills
drills-words = A drill restores the account from this archive alone and compares every byte. It changes nothing.
drills-now = Practise now
drills-empty-title = Nobody has practised yet
drills-empty = Whether a copy is good shows only when it is restored. A drill does that without touching the account.
drills-last = The last drill
drills-history = All drills
drills-chart = How long each drill took
drills-when = When
drills-seconds = Seconds
drills-verified = Last checked from the stored bytes
drills-ok = it restores
drills-failed = it did not restore
drills-ok-long = It restores from this archive alone.
drills-failed-long = As it was then, it would not have restored completely.
drills-counts = { $records } records, { $blobs } pictures and videos ({ $size }).
drills-missing = { $count ->
    [one] One picture or video is missing from the archive.
   *[other] { $count } pictures or videos are missing from the archive.
}
drills-holds = holds.
drills-does-not-hold = does not hold.
drills-not-proved = What a drill does not prove
drill-step-export = Writing it out
drill-step-manifest = List of contents
drill-step-repo = Repository
drill-step-root = Root of the tree
drill-step-records = Records
drill-step-blobs = Pictures and videos
drill-step-plc-log = History of the identity
drill-step-signature = Signature
drill-step-text = Text on how to restore
drill-step-head = Newest revision
drill-step-restore = Restoring
drill-step-promote = Becoming its host
drill-step-identity = Identity afterwards
drill-step-re-export = Writing it out again
drill-step-re-blobs = Pictures afterwards
drill-step-owner = The owner can sign in

time-title = Records and history
time-words = See the account as it was. What was removed is shown to you alone.
time-at = As of
time-at-hint = A date (2026-11-20), a time, or a revision. Empty: now.
time-show = Show
time-as-of = As of
time-look = See this record
time-empty = There is nothing to show yet.
time-none-then = There was no such record then.
post-reply = In answer to
post-link = Link:
post-quote = Quotes
record-more = and { $count } more
record-damaged = The stored bytes of this record are damaged. Check and repair the account.
record-unreadable = The bytes of this record cannot be shown.
revisions-title = Revisions
revisions-all = Every version that was seen is kept.
revisions-window = What was edited or removed is forgotten after the undo window.
revisions-empty = No revision has been seen yet.
revisions-when = When
revisions-changes = What changed
revisions-kept = Still there
revisions-see = See
revisions-seen = seen
revisions-counts = { $created } written, { $updated } edited, { $deleted } removed
revisions-not-counted = not counted
revisions-browse = Browse
revisions-compare = Compare with the one before
kept-current = this is the current one
kept-whole = all of it
kept-left = all of it; it was left for an older one
kept-pruned = forgotten
compare-title = Compare two times
compare-from = Earlier
compare-to = Later
compare-button = Compare
compare-back = Back to records and history
compare-earlier = The earlier state
compare-later = The later state
compare-before = Before
compare-after = After
compare-same = Nothing differs.
compare-only = Only the first { $count } differences are listed.
change-created = Written
change-edited = Edited
change-deleted = Removed

record-title = A record
record-now-nothing = Nothing stands there now: this record was removed.
record-now-same = The same version stands there now.
record-now-other = Another version stands there now.
versions-title = Versions that are kept
versions-since = Since
versions-until = Until
versions-now = now
proof-title = Proof
proof-words = The tree is built anew from all records of that revision, each hashed, and compared with the root that the owner signed.
proof-button = Prove it now
proof-ok = Proved
proof-failed = Not proved
proof-download = Download the record with its proof (CAR)
restore-title = Put this version back
restore-words = It is written at the account's own server, in place of what stands there now. Pictures that the server has given up are uploaded from here.
restore-lost = { $count ->
    [one] One picture is not here either; if the server has lost it too, the record cannot be put back.
   *[other] { $count } pictures are not here either; if the server has lost them too, the record cannot be put back.
}
restore-hosted = This account lives on this node: write the record with any app.
restore-session = This node may write this kind of record for the account.
restore-password = App password
restore-password-hint = It is used once and kept nowhere.
restore-sure = Write this version at the account's server now?
restore-button = Put it back
restore-or = Or without a password:
restore-consent = Let this node write
restore-needs = Give an app password, or let this node write this kind of record.

lexicons-title = Kinds of records
lexicons-totals = { $kinds } kinds, { $records } records, of all accounts that are kept here.
lexicons-search = Name begins with
lexicons-search-hint = Each application names its kinds under its own domain, read backwards.
lexicons-empty = No record is stored yet.
lexicons-none = No kind of record begins like that.
lexicons-repos = Accounts
lexicons-first = First seen
lexicons-last = Last seen
lexicons-authority = Whose it is
