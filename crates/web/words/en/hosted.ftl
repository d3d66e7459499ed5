authorize-title = An application asks for access
authorize-wants = wants to act for an account of yours.
authorize-from = What it calls itself proves nothing; its address does:
authorize-local = An application on your own machine
authorize-from-local = It has no address that would prove who made it. Agree only if you have just started it yourself.
authorize-policy = Its privacy policy
authorize-terms = Its terms
authorize-refuse = Refuse and go back to the application
authorize-back-title = Back to the application
authorize-back = Continue
authorize-incomplete = This address is not complete: go back to the application and begin again.
authorize-wrong-title = This request cannot be answered
authorize-wrong = Nothing was granted. Go back to the application and begin again.
log-in-title = Sign in
log-in-name = Handle or e-mail address
log-in-password = Password
log-in-password-hint = The one of your account, not an app password.
log-in-remember = Stay signed in in this browser
log-in-button = Sign in
log-in-no-account = You have no account here? Make one.
log-in-wrong = The name or the password is wrong.
log-in-factor-wrong = That code is not right, or it was used already.
log-in-takendown = This account was taken down. Ask the operator of this server.
log-in-too-many = Too many wrong tries. Wait { $seconds } seconds.
log-in-unavailable = This cannot be checked just now. Try again in a moment.
factor-title = One more step
factor-passkey = Use a passkey
factor-passkey-failed = The passkey was not used.
factor-code = Code
factor-app = From your authenticator app.
factor-email = Or the one that was sent to you by e-mail.
factor-backup = Or one of your backup codes.
factor-button = Continue
choose-title = Which account?
choose-other = Another account
consent-title = Do you agree?
consent-as = As
consent-other = not you?
consent-asked = It may
consent-grave = This reaches far.
consent-untick = Untick what it should not have. It may work less well then.
consent-accept = Agree
consent-theirs = In the words of whoever wrote it:
scope-atproto = know which account you are
scope-transition-generic = do nearly everything with your account: read and write all records, upload files, use every service, but not your messages, your e-mail address or the account itself
scope-transition-email = see your e-mail address
scope-transition-chat = read and write your private messages
scope-repo = { $actions ->
    [all] create, edit and delete records of this kind:
    [create] create records of this kind:
    [update] edit records of this kind:
    [delete] delete records of this kind:
    [create-update] create and edit records of this kind:
    [create-delete] create and delete records of this kind:
   *[other] edit and delete records of this kind:
}
scope-repo-all = { $actions ->
    [all] create, edit and delete records of every kind
    [create] create records of every kind
    [update] edit records of every kind
    [delete] delete records of every kind
    [create-update] create and edit records of every kind
    [create-delete] create and delete records of every kind
   *[other] edit and delete records of every kind
}
scope-rpc = call this method of this service in your name:
scope-rpc-any-service = call this method of any service in your name:
scope-rpc-any-method = call every method of this service in your name:
scope-blob = upload files of this kind:
scope-blob-kind = { $kind ->
    [image] upload pictures
    [video] upload videos
    [audio] upload sounds
   *[other] upload files of one kind
}
scope-blob-any = upload files of every kind
scope-account-email-read = see your e-mail address
scope-account-email-manage = see and change your e-mail address
scope-account-repo-read = see the state of your repository
scope-account-repo-manage = replace your whole repository
scope-account-status-read = see whether your account is active
scope-account-status-manage = deactivate and reactivate your account
scope-identity-handle = change your handle
scope-identity-all = change your identity: its keys, its server, its handle
scope-include = what this set of permissions names:
scope-include-at = what this set of permissions names, at this service:

hosted-title = Your account here
hosted-another = Another account
hosted-passkey = Sign in with a passkey
hosted-forgot = Forgot the password?
hosted-address = The address was changed, and all sessions ended. Sign in again.
hosted-deleted = The account was deleted.
hosted-reset = The password was changed. Sign in with the new one.
hosted-sent = It was sent.
hosted-signed-out = You are signed out.
sign-up-title = Make an account
sign-up-lead = You get an identity of your own: it stays yours when you move to another server.
sign-up-handle = Name
sign-up-handle-hint = 3 to 18 letters, digits or hyphens. You can change it later, also to a domain of your own.
sign-up-domain = Under
sign-up-email = E-mail address
sign-up-email-hint = Only for codes and notices of this server.
sign-up-password-hint = At least 8 characters; a sentence is best.
sign-up-invite = Invite code
sign-up-invite-hint = The operator of this server gives them out.
sign-up-key-title = A recovery key of your own
sign-up-key = Paste the public half of a key that you keep. It stands above this server's key, so that you can move your account even if this server is gone.
sign-up-key-label = Public key
sign-up-button = Make the account
sign-up-terms = Terms
sign-up-policy = Privacy policy
sign-up-known = You have one already? Sign in.
forgot-title = Forgot the password
forgot-sent = If there is an account with that address, a code is on its way to it.
forgot-send = Send a code
forgot-code-title = You have a code?
forgot-code = Code from the e-mail
forgot-code-hint = As it stands in the mail, groups of five characters; good for 15 minutes.
forgot-new = New password
forgot-button = Set the password
forgot-end-apps = Also end all app passwords. Applications that use one need a new one then.

own-title = Your account
own-inactive = This account is switched off: nobody sees it.
own-activate = Switch it on
own-once = This is shown only now. Write it down.
own-app-made = The app password of
own-codes-made = Your backup codes. Each is good once, when you have nothing else at hand.
own-totp-type = Scan this with your authenticator app, or type the letters into it:
own-totp-qr = QR code: the same letters, for the camera of your authenticator app
own-totp-open = Or open it in an app on this device
own-totp-finish = Set it up
own-apps-title = Connected applications
own-apps-none = No application may act for this account.
own-app = Application
own-since = Since
own-used = Last used
own-may = It may
own-act = What to do
own-remove = Remove
own-devices-title = Browsers in which you are signed in
own-device = Browser
own-device-here = this one
own-app-passwords-title = App passwords
own-app-passwords = For applications that cannot ask for permission in the way above. They can do nearly everything but change the account itself.
own-app-privileged = reads private messages
own-app-privileged-label = It may read private messages
own-app-name = For which application?
own-app-add = Make an app password
own-factors-title = Signing in
own-factors-some = Signing in takes more than the password.
own-factors-none = Signing in takes the password alone. A passkey or a code makes a stolen password worthless.
own-passkeys = Passkeys
own-passkey-name = Name of the new passkey
own-passkey-add = Add a passkey
own-passkey-script = Adding a passkey needs JavaScript.
own-totp = Authenticator app
own-totp-since = Set up
own-totp-begin = Set up an app
own-email-factor = Codes by e-mail
own-email-factor-on = Ask for a code by e-mail
own-email-factor-off = Ask for no code by e-mail
own-codes = Backup codes
own-codes-left = { $count ->
    [one] One is left. They were made
   *[other] { $count } are left. They were made
}
own-codes-renew = Make new ones
own-email-title = E-mail address
own-email-confirmed = confirmed
own-email-unconfirmed = not confirmed yet
own-email-confirm-send = Send the code that confirms it
own-email-confirm = Confirm
own-email-change = Change the address
own-email-change-how = A code is sent to the present address first.
own-send-code = Send me a code
own-password-title = Password
own-password-how = A code is sent to your address; all other sessions end.
own-app-passwords-left = { $count ->
    [one] This account has one app password.
   *[other] This account has { $count } app passwords.
}
own-handle-title = Handle
own-handle-how = A name under this server, or a domain of your own that points to this account.
own-handle = New handle
own-handle-ending = A name without a dot gets the ending of this server:
own-handle-endings = Names under this server end in one of these:
own-handle-made = Handle
own-handle-change = Change the handle
own-export-title = Take your data with you
own-export = All your records as one signed file, as other servers take them.
own-export-button = Download the repository
own-deactivate-title = Switch the account off
own-deactivate-how = Nobody sees it until you switch it on again. Nothing is lost.
own-deactivate = Switch it off
own-delete-title = Delete the account
own-delete-how = All of it is erased from this server.
own-delete = Delete for good
own-done-activated = The account is switched on.
own-done-app-removed = The app password is void.
own-done-deactivated = The account is switched off.
own-done-device-removed = That browser is signed out.
own-done-email-confirmed = The address is confirmed.
own-done-factor-added = It is set up.
own-done-factor-removed = It was removed.
own-done-grant-removed = That application cannot act for this account any more.
own-done-handle-changed = The handle was changed.
own-done-sent = A code was sent by e-mail.
