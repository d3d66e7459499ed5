authorize-title = Eine Anwendung bittet um Zugang
authorize-wants = möchte für ein Konto von Ihnen handeln.
authorize-from = Wie sie sich nennt, beweist nichts; ihre Adresse schon:
authorize-local = Eine Anwendung auf Ihrem eigenen Gerät
authorize-from-local = Sie hat keine Adresse, die bewiese, von wem sie ist. Stimmen Sie nur zu, wenn Sie sie gerade selbst gestartet haben.
authorize-policy = Ihre Datenschutzerklärung
authorize-terms = Ihre Bedingungen
authorize-refuse = Ablehnen und zurück zur Anwendung
authorize-back-title = Zurück zur Anwendung
authorize-back = Weiter
authorize-incomplete = Diese Adresse ist nicht vollständig: Gehen Sie zurück zur Anwendung und beginnen Sie von vorn.
authorize-wrong-title = Diese Anfrage kann nicht beantwortet werden
authorize-wrong = Es wurde nichts erlaubt. Gehen Sie zurück zur Anwendung und beginnen Sie von vorn.
log-in-title = Anmelden
log-in-name = Handle oder E-Mail-Adresse
log-in-password = Passwort
log-in-password-hint = Das Ihres Kontos, kein App-Passwort.
log-in-remember = In diesem Browser angemeldet bleiben
log-in-button = Anmelden
log-in-no-account = Noch kein Konto hier? Legen Sie eines an.
log-in-wrong = Der Name oder das Passwort ist falsch.
log-in-factor-wrong = Dieser Code stimmt nicht oder wurde schon benutzt.
log-in-takendown = Dieses Konto wurde gesperrt. Fragen Sie den Betreiber dieses Servers.
log-in-too-many = Zu viele Fehlversuche. Warten Sie { $seconds } Sekunden.
log-in-unavailable = Das lässt sich gerade nicht prüfen. Versuchen Sie es gleich noch einmal.
factor-title = Noch ein Schritt
factor-passkey = Passkey benutzen
factor-passkey-failed = Der Passkey wurde nicht benutzt.
factor-code = Code
factor-app = Aus Ihrer Authenticator-App.
factor-email = Oder der, der Ihnen per E-Mail geschickt wurde.
factor-backup = Oder einer Ihrer Ersatzcodes.
factor-button = Weiter
choose-title = Welches Konto?
choose-other = Ein anderes Konto
consent-title = Sind Sie einverstanden?
consent-as = Als
consent-other = nicht Sie?
consent-asked = Sie darf
consent-grave = Das reicht weit.
consent-untick = Nehmen Sie das Häkchen weg, wo sie etwas nicht bekommen soll. Vielleicht geht dann manches nicht.
consent-accept = Einverstanden
consent-theirs = In den Worten dessen, der es geschrieben hat:
scope-atproto = wissen, welches Konto Sie sind
scope-transition-generic = fast alles mit Ihrem Konto tun: alle Datensätze lesen und schreiben, Dateien hochladen, jeden Dienst benutzen, aber nicht Ihre Nachrichten, Ihre E-Mail-Adresse oder das Konto selbst
scope-transition-email = Ihre E-Mail-Adresse sehen
scope-transition-chat = Ihre privaten Nachrichten lesen und schreiben
scope-repo = { $actions ->
    [all] Datensätze dieser Art anlegen, ändern und löschen:
    [create] Datensätze dieser Art anlegen:
    [update] Datensätze dieser Art ändern:
    [delete] Datensätze dieser Art löschen:
    [create-update] Datensätze dieser Art anlegen und ändern:
    [create-delete] Datensätze dieser Art anlegen und löschen:
   *[other] Datensätze dieser Art ändern und löschen:
}
scope-repo-all = { $actions ->
    [all] Datensätze jeder Art anlegen, ändern und löschen
    [create] Datensätze jeder Art anlegen
    [update] Datensätze jeder Art ändern
    [delete] Datensätze jeder Art löschen
    [create-update] Datensätze jeder Art anlegen und ändern
    [create-delete] Datensätze jeder Art anlegen und löschen
   *[other] Datensätze jeder Art ändern und löschen
}
scope-rpc = diese Methode dieses Dienstes in Ihrem Namen aufrufen:
scope-rpc-any-service = diese Methode jedes Dienstes in Ihrem Namen aufrufen:
scope-rpc-any-method = jede Methode dieses Dienstes in Ihrem Namen aufrufen:
scope-blob = Dateien dieser Art hochladen:
scope-blob-kind = { $kind ->
    [image] Bilder hochladen
    [video] Videos hochladen
    [audio] Töne hochladen
   *[other] Dateien einer Art hochladen
}
scope-blob-any = Dateien jeder Art hochladen
scope-account-email-read = Ihre E-Mail-Adresse sehen
scope-account-email-manage = Ihre E-Mail-Adresse sehen und ändern
scope-account-repo-read = den Zustand Ihres Repositorys sehen
scope-account-repo-manage = Ihr ganzes Repository ersetzen
scope-account-status-read = sehen, ob Ihr Konto aktiv ist
scope-account-status-manage = Ihr Konto abschalten und wieder einschalten
scope-identity-handle = Ihr Handle ändern
scope-identity-all = Ihre Identität ändern: ihre Schlüssel, ihren Server, ihr Handle
scope-include = was diese Sammlung von Erlaubnissen nennt:
scope-include-at = was diese Sammlung von Erlaubnissen nennt, bei diesem Dienst:

hosted-title = Ihr Konto hier
hosted-another = Ein anderes Konto
hosted-passkey = Mit einem Passkey anmelden
hosted-forgot = Passwort vergessen?
hosted-address = Die Adresse wurde geändert, und alle Sitzungen sind beendet. Melden Sie sich neu an.
hosted-deleted = Das Konto wurde gelöscht.
hosted-reset = Das Passwort wurde geändert. Melden Sie sich mit dem neuen an.
hosted-sent = Es wurde geschickt.
hosted-signed-out = Sie sind abgemeldet.
sign-up-title = Konto anlegen
sign-up-lead = Sie bekommen eine eigene Identität: Sie bleibt Ihre, auch wenn Sie auf einen anderen Server ziehen.
sign-up-handle = Name
sign-up-handle-hint = 3 bis 18 Buchstaben, Ziffern oder Bindestriche. Sie können ihn später ändern, auch in eine eigene Domain.
sign-up-domain = Unter
sign-up-email = E-Mail-Adresse
sign-up-email-hint = Nur für Codes und Mitteilungen dieses Servers.
sign-up-password-hint = Mindestens 8 Zeichen; am besten ein Satz.
sign-up-invite = Einladungscode
sign-up-invite-hint = Der Betreiber dieses Servers gibt sie aus.
sign-up-key-title = Ein eigener Wiederherstellungsschlüssel
sign-up-key = Fügen Sie die öffentliche Hälfte eines Schlüssels ein, den Sie aufbewahren. Er steht über dem dieses Servers, sodass Sie Ihr Konto auch umziehen können, wenn es diesen Server nicht mehr gibt.
sign-up-key-label = Öffentlicher Schlüssel
sign-up-button = Konto anlegen
sign-up-terms = Bedingungen
sign-up-policy = Datenschutzerklärung
sign-up-known = Sie haben schon eines? Anmelden.
forgot-title = Passwort vergessen
forgot-sent = Wenn es ein Konto mit dieser Adresse gibt, ist ein Code dorthin unterwegs.
forgot-send = Code schicken
forgot-code-title = Sie haben einen Code?
forgot-code = Code aus der E-Mail
forgot-code-hint = Wie er in der Mail steht, Gruppen zu fünf Zeichen; 15 Minuten lang gültig.
forgot-new = Neues Passwort
forgot-button = Passwort setzen
forgot-end-apps = Auch alle App-Passwörter beenden. Anwendungen, die eines benutzen, brauchen dann ein neues.

own-title = Ihr Konto
own-inactive = Dieses Konto ist abgeschaltet: Niemand sieht es.
own-activate = Einschalten
own-once = Das wird nur jetzt gezeigt. Schreiben Sie es auf.
own-app-made = Das App-Passwort für
own-codes-made = Ihre Ersatzcodes. Jeder gilt einmal, wenn Sie nichts anderes zur Hand haben.
own-totp-type = Scannen Sie das mit Ihrer Authenticator-App, oder geben Sie dort die Buchstaben ein:
own-totp-qr = QR-Code: dieselben Buchstaben, für die Kamera Ihrer Authenticator-App
own-totp-open = Oder öffnen Sie es in einer App auf diesem Gerät
own-totp-finish = Einrichten
own-apps-title = Verbundene Anwendungen
own-apps-none = Keine Anwendung darf für dieses Konto handeln.
own-app = Anwendung
own-since = Seit
own-used = Zuletzt benutzt
own-may = Sie darf
own-act = Was zu tun ist
own-remove = Entfernen
own-devices-title = Browser, in denen Sie angemeldet sind
own-device = Browser
own-device-here = dieser
own-app-passwords-title = App-Passwörter
own-app-passwords = Für Anwendungen, die nicht auf die Weise oben um Erlaubnis bitten können. Sie können fast alles, nur nicht das Konto selbst ändern.
own-app-privileged = liest private Nachrichten
own-app-privileged-label = Sie darf private Nachrichten lesen
own-app-name = Für welche Anwendung?
own-app-add = App-Passwort anlegen
own-factors-title = Anmelden
own-factors-some = Zum Anmelden braucht es mehr als das Passwort.
own-factors-none = Zum Anmelden genügt das Passwort. Mit einem Passkey oder Code nützt ein gestohlenes Passwort nichts.
own-passkeys = Passkeys
own-passkey-name = Name des neuen Passkeys
own-passkey-add = Passkey hinzufügen
own-passkey-script = Um einen Passkey hinzuzufügen, braucht es JavaScript.
own-totp = Authenticator-App
own-totp-since = Eingerichtet
own-totp-begin = App einrichten
own-email-factor = Codes per E-Mail
own-email-factor-on = Nach einem Code per E-Mail fragen
own-email-factor-off = Nicht mehr nach einem Code per E-Mail fragen
own-codes = Ersatzcodes
own-codes-left = { $count ->
    [one] Einer ist übrig. Angelegt wurden sie
   *[other] { $count } sind übrig. Angelegt wurden sie
}
own-codes-renew = Neue anlegen
own-email-title = E-Mail-Adresse
own-email-confirmed = bestätigt
own-email-unconfirmed = noch nicht bestätigt
own-email-confirm-send = Den Code schicken, der sie bestätigt
own-email-confirm = Bestätigen
own-email-change = Adresse ändern
own-email-change-how = Zuerst geht ein Code an die jetzige Adresse.
own-send-code = Code schicken
own-password-title = Passwort
own-password-how = Ein Code geht an Ihre Adresse; alle anderen Sitzungen enden.
own-app-passwords-left = { $count ->
    [one] Dieses Konto hat ein App-Passwort.
   *[other] Dieses Konto hat { $count } App-Passwörter.
}
own-handle-title = Handle
own-handle-how = Ein Name unter diesem Server oder eine eigene Domain, die auf dieses Konto zeigt.
own-handle = Neues Handle
own-handle-ending = Ein Name ohne Punkt bekommt die Endung dieses Servers:
own-handle-endings = Namen unter diesem Server haben eine dieser Endungen:
own-handle-made = Handle
own-handle-change = Handle ändern
own-export-title = Nehmen Sie Ihre Daten mit
own-export = Alle Ihre Datensätze als eine unterschriebene Datei, wie andere Server sie annehmen.
own-export-button = Repository herunterladen
own-deactivate-title = Konto abschalten
own-deactivate-how = Niemand sieht es, bis Sie es wieder einschalten. Nichts geht verloren.
own-deactivate = Abschalten
own-delete-title = Konto löschen
own-delete-how = Alles davon wird auf diesem Server gelöscht.
own-delete = Endgültig löschen
own-done-activated = Das Konto ist eingeschaltet.
own-done-app-removed = Das App-Passwort gilt nicht mehr.
own-done-deactivated = Das Konto ist abgeschaltet.
own-done-device-removed = Dieser Browser ist abgemeldet.
own-done-email-confirmed = Die Adresse ist bestätigt.
own-done-factor-added = Es ist eingerichtet.
own-done-factor-removed = Es wurde entfernt.
own-done-grant-removed = Diese Anwendung kann nicht mehr für dieses Konto handeln.
own-done-handle-changed = Das Handle wurde geändert.
own-done-sent = Ein Code wurde per E-Mail geschickt.
