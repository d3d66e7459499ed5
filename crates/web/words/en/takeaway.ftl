# Taking a copy away, and becoming the host of an archived account.
away-title = Take a copy away
away-words = A copy in another place survives this node too. Put it on a disk that lies elsewhere.
away-nothing = Nothing is stored yet that could be taken away.
away-folder-title = Everything in one folder
away-folder-words = It opens in any browser without a network, and any software that knows the protocol can restore the account from it.
away-folder-repo = The repository, exactly as its owner signed it, and each record to read
away-folder-media = Pictures and videos
away-folder-pages = Pages with a timeline and a search, which open from the disk
away-folder-text = A text that says how to restore
away-missing = { $count ->
    [one] One picture or video is missing and will not be in it.
   *[other] { $count } pictures and videos are missing and will not be in it.
}
away-pages = With pages for a browser
away-room = It needs about { $size } of room on this node's disk until you delete it.
away-prepare = Write the folder
away-again = Write it again
away-ready = The folder was written
away-open = Unpack it and open index.html.
away-download = Download (tar)
away-delete = Delete it here
away-delete-words = Deleting it here changes nothing in the archive.
away-car-title = Only the repository
away-car-words = All records in one file, about { $size }, without pictures: what tools of the protocol read.
away-car = Download (CAR)
away-promote-title = Let the account live here
away-promote-words = If its server is gone, this node can become its server. You see first what that would do.
away-promote-not = If its server is gone, this node can become its server, once it is set up to host accounts.
away-promote = Look at what it would do

job-restore = Putting back a record of
job-restore-done = The record stands at the account's server again.

promote-title = Become its server
promote-words = Nothing happens yet: this is what it would do.
promote-not-title = This node hosts no accounts
promote-not-words = Set a public name and switch hosting on, start the node again, and come back to this page:
promote-hosted = This account lives on this node.
promote-hosted-next = Its owner needs a password to sign in. On this machine:
promote-under-way = It is under way:
promote-step-held = 1. What is held here
promote-whole = Nothing that the records name is missing.
promote-missing-blobs = { $count ->
    [one] One picture or video is missing; it can be uploaded again later.
   *[other] { $count } pictures and videos are missing; they can be uploaded again later.
}
promote-missing-records = The bytes of these records are missing:
promote-not-held = Only the old server had the password, app passwords, preferences and direct messages.
promote-step-old = 2. The old server
promote-step-identity = 3. What changes in the identity
promote-document = This document is to be published by whoever holds the domain, at
promote-changes = For everybody to see
promote-kept = What stays
promote-called = The account will be called
promote-notes = What to know
promote-overruled = What you overrule
keeper-yours = the key that you gave
keeper-ours = this node's
keeper-host = probably the old server's
promote-choices = Change what was chosen
promote-handle = Another handle
promote-handle-hint = Empty: the one that the identity names, if it survives.
promote-email = E-mail address of its owner
promote-email-hint = For codes and for a new password.
promote-force = Although the old server answers, or a change of the identity was not expected
promote-no-key = Without a rotation key of this node
promote-look = Look again
promote-choose-handle = Under “{ promote-choices }” it is “{ promote-handle }”.
promote-choose-such-as = Such as
promote-choose-force = To go on all the same, tick under “{ promote-choices }”: “{ promote-force }”.
promote-choose-keys = To leave this node's out, tick under “{ promote-choices }”: “{ promote-no-key }”. Another is taken out with the command line.
promote-step-go = 4. Do it
promote-obstacles = This stands in the way:
promote-go-words = From here on relays and apps learn that the account lives on this node. Until the directory is told, it can be given up.
promote-go-on-words = It goes on where it was interrupted. The key is needed only if the operation has to be signed again.
promote-key = Rotation key of the owner
promote-key-hint = Hexadecimal digits, a text that begins with z, or a JWK. It signs one operation and is kept nowhere.
promote-key-file = Or a file that holds it
promote-key-file-hint = A text file; it is read once and kept nowhere.
promote-confirm = To confirm, type in
promote-go = Become its server
promote-go-on = Go on
promote-cancel = Give it up
promote-cancel-words = The account is an archived one again. Possible until the directory has been told.
