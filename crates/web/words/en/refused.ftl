# Why something was not done, by the rule that it is about.
refused-said = In the words of the service
refused-password-missing = A password is needed.
refused-password-short = The password is too short: it needs { $least } characters at least. Several words in a row are easy to remember and hard to guess.
refused-password-long = The password is too long: { $most } characters at most.
refused-password-wrong = This is not the password of the account.
refused-password-tries = { $minutes ->
    [one] Too many wrong passwords were tried. Wait for a minute, or set a new password by e-mail. Where you are signed in, you stay so.
   *[other] Too many wrong passwords were tried. Wait for { $minutes } minutes, or set a new password by e-mail. Where you are signed in, you stay so.
}
refused-code-wrong = This is not the code, or it was used already. Check it, or have a new one sent.
refused-code-expired = This code is too old. Have a new one sent.
refused-code-needed = This needs the code that is sent to your present address.
refused-code-tries = { $minutes ->
    [one] Too many wrong codes were tried. Wait for a minute. If that was not you, somebody knows your password: set a new one by e-mail.
   *[other] Too many wrong codes were tried. Wait for { $minutes } minutes. If that was not you, somebody knows your password: set a new one by e-mail.
}
refused-app-code-wrong = The app shows another code. See that the clock of your device is right, and take the next code.
refused-page-expired = This took too long. Load the page again and begin anew.
refused-email-missing = An e-mail address is needed.
refused-email-unfit = This e-mail address cannot be used here. Check it, or take another one.
refused-email-taken = This e-mail address belongs to another account.
refused-email-none = This account has no e-mail address.
refused-email-other = This is not the address of the account. It may have been changed in another window: load the page again.
refused-email-unconfirmed = Confirm your e-mail address first: codes go only to an address that is known to be yours.
refused-invite-missing = An invite code is needed.
refused-invite-unfit = This invite code is not good any more. Check it, or ask whoever gave it to you for another one.
refused-handle-unfit = This is no handle. One is made of letters, digits and hyphens, in parts with dots between them.
refused-handle-ending = No handle can end in .{ $ending }: nobody else could find it.
refused-handle-dots = Before the domain of this server there may be no dot.
refused-handle-short = The name is too short: it needs { $least } characters at least.
refused-handle-long = The name is too long: { $most } characters at most.
refused-handle-reserved = This name is kept free. Choose another one.
refused-handle-taken = This name is taken. Choose another one.
refused-handle-domain = Names are given out under { $domains } here. A domain of your own can become your handle after that.
refused-handle-elsewhere = { $handle } does not lead to this account yet. Set a TXT record with the name _atproto.{ $handle } that says did= and the DID of this account, and try again once it is visible.
refused-handle-document = The document of this identity does not name { $handle }. Put at://{ $handle } first into its alsoKnownAs, where it is served, and try again.
refused-recovery-key = This is no public key that can be used: one begins with did:key:z and is of the kind K-256 or P-256.
refused-passkey-unknown = This passkey is not known here. It may have been removed, or it belongs to another server.
refused-passkey = The passkey was not accepted.
refused-passkey-copied = The passkey was not accepted, because there may be a copy of it. Sign in another way, remove it, and make a new one.
refused-passkey-there = This passkey is there already.
refused-passkey-name = A passkey needs a name of 1 to { $most } characters.
refused-passkey-many = There are { $most } passkeys already. Remove those that you do not use.
refused-passkey-gone = This passkey is not there any more. It may have been removed in another window.
refused-backup-for-nothing = Backup codes stand in for an app, a passkey or a code by e-mail: set one of these up first.
refused-app-name = An app password needs a name of 1 to 100 characters.
refused-app-name-taken = There is an app password of this name already. Choose another name.
refused-app-many = There are { $most } app passwords already. Remove those that you do not use.
refused-takendown = This account was taken down. Only the operator of this server can undo that.
refused-not-here = This account is not here any more.
refused-identity-elsewhere = The identity of this account names another server or another key, so it cannot be switched on here.
refused-identity-locked = This server holds no key that may change the identity of this account. Whoever holds one can.
refused-changed-meanwhile = Something else happened to the account meanwhile. Try again.
refused-outside = Something outside this server did not answer. Try again in a moment.
refused-too-much = { $minutes ->
    [one] That was too much at a time. Wait for a minute.
   *[other] That was too much at a time. Wait for { $minutes } minutes.
}
refused-disk-full = The disk of this server is full, and nothing was changed. It works again as soon as the operator has made room.
refused-not-now = This cannot be done just now. Try again in a minute.
refused-busy = So much is being done already that nothing more was begun. Wait until something has ended.
refused-name = This is neither a handle (such as alice.example.com) nor a DID: { $name }
refused-account-unknown = There is no account called { $name }, or its name leads nowhere.
refused-account-unreachable = Who { $name } is could not be found out just now. Try again in a moment.
refused-account-no-host = This identity names no server, so there is nothing to fetch.
refused-account-hosted = This account lives on this node: there is nobody to fetch it from.
refused-account-not-archived = This account is not kept here.
refused-account-host-silent = The account's server did not answer. What is stored stays; try again later, it goes on where it was.
refused-account-host-limits = The account's server asks for patience. What is stored stays; try again later, it goes on where it was.
refused-account-host-refuses = The account's server does not give it out. What is stored stays.
refused-account-rejected = What was sent is not a valid copy of this account, and was not stored. What is stored stays.
refused-room = There is not enough room on the disk: about { $need } are needed, { $free } are free, and { $keep } stay free.
refused-quota = What may be stored is stored. Raise the limit, or make room.
refused-account-busy = Something else is being done with this account. Wait until it has ended.
refused-stopping = The node is being stopped. The work goes on when it starts again.
refused-reason = A reason is needed: it is noted, and is what others will read later.
refused-announced-too-long = An announcement holds for 30 days at most, because no alarm is raised meanwhile.
refused-serving = It is not served in this way, and nothing was changed.
refused-moment = This is no point in time: { $moment }. Give a date (2026-11-20), a time (2026-11-20T18:30:00Z) or a revision.
refused-never-seen = This node has seen nothing of the account at that time.
refused-not-then = The record did not exist then.
refused-record-unknown = There is no such record here. It does not exist, or was deleted.
refused-defect = This is a defect of the program. Please report it with the words below.
refused-key-unreadable = This is no private key that can be read: 64 hexadecimal digits, a text that begins with z, or a JWK.
refused-public-key = This is no public key: one begins with did:key:z.
refused-two-keys = Give the key in the field or as a file, not both.
refused-file-long = This file is too long to be a key.
