# What stands on every page.
product = p2pds
skip = Skip to content
nav-label = Pages
nav-home = Home
nav-add = Add accounts
nav-lexicons = Record types
nav-operator = Operate
nav-account = My account
nav-about = About this node
nav-sign-out = Sign out
nav-sign-in = Sign in
language = Language
footer-what = This node keeps verified copies of accounts.
footer-privacy = Privacy
footer-remove = Have my data removed
error-title = This did not work
error-not-found-title = Nothing here
error-not-found-address = This was asked for:
error-not-found-home = To the start
error-not-found = There is no page at this address. It may have been moved, or the account it was about is no longer archived here.
form-stale = This form is out of date, or another page has sent it. Go back, load the page again, and send it again.
error-again = Try again
error-internal = Something went wrong inside this node. The operator's log says what.
error-forbidden-title = Not yours
error-forbidden = This page is for the owner of this node.
back = Back
cancel = Cancel
save = Save
close = Close
show-raw = As stored
yes = yes
no = no
none = none
loading = Loading…
copied = Copied
copy = Copy
more = More
older = Older
newer = Newer
search = Search
danger = This cannot be undone.

date = { $day } { $month } { $year }
month-01 = January
month-02 = February
month-03 = March
month-04 = April
month-05 = May
month-06 = June
month-07 = July
month-08 = August
month-09 = September
month-10 = October
month-11 = November
month-12 = December
ago-now = just now
ago-minutes = { $n ->
    [one] { $n } minute ago
   *[other] { $n } minutes ago
}
ago-hours = { $n ->
    [one] { $n } hour ago
   *[other] { $n } hours ago
}
ago-days = { $n ->
    [one] { $n } day ago
   *[other] { $n } days ago
}
ahead-now = in a moment
ahead-minutes = { $n ->
    [one] in { $n } minute
   *[other] in { $n } minutes
}
ahead-hours = { $n ->
    [one] in { $n } hour
   *[other] in { $n } hours
}
ahead-days = { $n ->
    [one] in { $n } day
   *[other] in { $n } days
}
span-seconds = { $n } s
span-minutes = { $n } min
span-hours = { $n } h
span-days = { $n ->
    [one] { $n } day
   *[other] { $n } days
}
