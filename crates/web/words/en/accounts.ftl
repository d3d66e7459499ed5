# The list of archived accounts, and adding many.
nav-accounts = Accounts
home-list = See them as a list
accounts-title = All accounts
accounts-search = Handle or DID contains
accounts-show = Show
accounts-show-all = All ({ $count })
accounts-show-paused = Paused ({ $count })
accounts-show-failing = With something that failed ({ $count })
accounts-show-waiting = Not proved yet ({ $count })
accounts-show-served = Shown to others ({ $count })
accounts-sort = Order
accounts-sort-name = By name
accounts-sort-size = Largest first
accounts-sort-current = Longest not current first
accounts-sort-priority = Those that go first
accounts-none = No account is like that.
accounts-tick = Chosen
accounts-size = Size
accounts-current = Last current
accounts-state = How it stands
accounts-quota = Limit
accounts-served = Shown to, and why
accounts-removing = is being erased
accounts-waits = waits for its first copy
accounts-verified-nothing = nothing is stored yet
accounts-verified-verified = proved
accounts-verified-unverified = complete; nobody vouches for who signed it
accounts-verified-verbatim = kept as it came, not proved
basis-declared = its owner declared that archives may
basis-own = your own account
basis-word = your word
basis-refused = its owner declared against it
accounts-choose = For several accounts at once
accounts-whom = For which accounts
accounts-whom-ticked = Those that are ticked
accounts-whom-shown = All on this page ({ $count })
accounts-whom-matching = All that were found ({ $count })
accounts-do = What
accounts-do-choose = Please choose
accounts-do-pause = Pause
accounts-do-resume = Go on fetching
accounts-do-priority = Set the order
accounts-do-quota = Set the limit
accounts-do-serve = Set to whom they are shown
accounts-values = Order, limit, and to whom they are shown
accounts-act = Do it
accounts-done = { $count ->
    [one] Done for one account.
   *[other] Done for { $count } accounts.
}
accounts-failed = { $count ->
    [one] For one account this was not done:
   *[other] For { $count } accounts this was not done:
}
accounts-nobody = No account was chosen.
accounts-nothing = Choose what is to be done.

add-look = Look first
add-many-title = Many at once
add-many-words = You see who was found, how much it is and whether it fits, before anything begins.
add-follows = Everyone whom this account follows
add-follows-hint = Its handle or DID.
add-list = Everyone on a list
add-list-hint = The address of the list: at://… or https://bsky.app/profile/…/lists/…
add-file = A file with names
add-file-hint = Plain text; handles and DIDs, with anything between them.

plan-title = What this would be
plan-gone = This plan is not known any more.
plan-again = Look again
plan-follows = Those whom this account follows:
plan-list = Those on a list of this account:
plan-read-at = as its server says:
plan-read-here = as this archive has it
plan-cut = There are more. At most { $most } accounts are added at once; add the rest afterwards.
plan-nobody = Nobody new was found.
plan-new = New
plan-accounts = { $count ->
    [one] one account
   *[other] { $count } accounts
}
plan-size = Size
plan-from-to = { $low } to { $high }
plan-at-least = at least { $low }; how much more nobody knows
plan-at-most = at most { $high }
plan-unknown = not known
plan-looked-all = Estimated from the top of each account's tree, as its server sends it.
plan-looked-some = Estimated from { $some } of { $all } accounts: the tops of their trees, as their servers send them.
plan-looked-none = No server said how much there is.
plan-media = They list { $listed } pictures and videos; { $measured } of them were measured.
plan-known-here = { $count ->
    [0] No complete account is here yet that could stand for the others.
    [one] One complete account that is here stands for what is not known.
   *[other] The { $count } complete accounts that are here stand for what is not known.
}
plan-room-now = Room now
plan-room-kept = Beside { $kept } that stay free.
plan-room-after = Room afterwards
plan-none-left = none
plan-fit-fits = It fits.
plan-fit-unknown = Nobody can tell whether it fits. When the disk is full, fetching stops and what is stored stays.
plan-fit-may-not = It may not fit.
plan-fit-not = It does not fit.
plan-anyway = Begin all the same. When there is no room left, fetching stops; what is stored stays.
plan-start = { $count ->
    [one] Add this account
   *[other] Add these { $count } accounts
}
plan-other = Look at others
plan-order = They are fetched one after the other, also after a restart of this node.
plan-not-begun = It was not begun: it might not fit. Tick the box if you want it all the same.
plan-found-title = Who was found
plan-later = Those without a server below are looked up when their turn comes.
plan-not-asked = not asked yet
plan-lost-title = Who was not found
plan-name = Name
plan-why = Why
plan-look-again = { $count ->
    [one] Look again for one
   *[other] Look again for { $count }
}
plan-here = { $count ->
    [one] One account is here already and is left out
   *[other] { $count } accounts are here already and are left out
}
plan-more = { $count ->
    [one] and one more
   *[other] and { $count } more
}

job-plan = Finding out about
job-plan-done = This is what was found out.
job-take-in = Fetching several accounts:
job-take-in-done = Each of them has had its turn.
job-stop = Stop: pause those that are not here yet
job-asks = It was not begun: it might not fit on this disk.
job-asks-next = See how much it is, and decide
