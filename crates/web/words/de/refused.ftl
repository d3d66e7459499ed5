# Warum etwas nicht getan wurde, nach der Regel, um die es geht.
refused-said = In den Worten des Dienstes
refused-password-missing = Es braucht ein Passwort.
refused-password-short = Das Passwort ist zu kurz: Es braucht mindestens { $least } Zeichen. Mehrere Wörter hintereinander sind leicht zu merken und schwer zu erraten.
refused-password-long = Das Passwort ist zu lang: höchstens { $most } Zeichen.
refused-password-wrong = Das ist nicht das Passwort des Kontos.
refused-password-tries = { $minutes ->
    [one] Zu viele falsche Passwörter. Warten Sie eine Minute oder setzen Sie per E-Mail ein neues. Wo Sie angemeldet sind, bleiben Sie es.
   *[other] Zu viele falsche Passwörter. Warten Sie { $minutes } Minuten oder setzen Sie per E-Mail ein neues. Wo Sie angemeldet sind, bleiben Sie es.
}
refused-code-wrong = Dieser Code stimmt nicht oder wurde schon benutzt. Prüfen Sie ihn oder lassen Sie sich einen neuen schicken.
refused-code-expired = Dieser Code ist zu alt. Lassen Sie sich einen neuen schicken.
refused-code-needed = Dafür braucht es den Code, der an Ihre jetzige Adresse geht.
refused-code-tries = { $minutes ->
    [one] Zu viele falsche Codes. Warten Sie eine Minute. Wenn Sie das nicht waren, kennt jemand Ihr Passwort: Setzen Sie per E-Mail ein neues.
   *[other] Zu viele falsche Codes. Warten Sie { $minutes } Minuten. Wenn Sie das nicht waren, kennt jemand Ihr Passwort: Setzen Sie per E-Mail ein neues.
}
refused-app-code-wrong = Die App zeigt einen anderen Code. Sehen Sie nach, ob die Uhr Ihres Geräts stimmt, und nehmen Sie den nächsten.
refused-page-expired = Das hat zu lange gedauert. Laden Sie die Seite neu und beginnen Sie von vorn.
refused-email-missing = Es braucht eine E-Mail-Adresse.
refused-email-unfit = Diese E-Mail-Adresse geht hier nicht. Prüfen Sie sie oder nehmen Sie eine andere.
refused-email-taken = Diese E-Mail-Adresse gehört einem anderen Konto.
refused-email-none = Dieses Konto hat keine E-Mail-Adresse.
refused-email-other = Das ist nicht die Adresse des Kontos. Vielleicht wurde sie in einem anderen Fenster geändert: Laden Sie die Seite neu.
refused-email-unconfirmed = Bestätigen Sie zuerst Ihre E-Mail-Adresse: Codes gehen nur an eine Adresse, von der bekannt ist, dass sie Ihre ist.
refused-invite-missing = Es braucht einen Einladungscode.
refused-invite-unfit = Dieser Einladungscode gilt nicht mehr. Prüfen Sie ihn oder bitten Sie, wer ihn Ihnen gab, um einen anderen.
refused-handle-unfit = Das ist kein Handle. Eines besteht aus Buchstaben, Ziffern und Bindestrichen, in Teilen mit Punkten dazwischen.
refused-handle-ending = Kein Handle kann auf .{ $ending } enden: Niemand sonst fände es.
refused-handle-dots = Vor der Domain dieses Servers darf kein Punkt stehen.
refused-handle-short = Der Name ist zu kurz: Er braucht mindestens { $least } Zeichen.
refused-handle-long = Der Name ist zu lang: höchstens { $most } Zeichen.
refused-handle-reserved = Dieser Name wird freigehalten. Wählen Sie einen anderen.
refused-handle-taken = Dieser Name ist vergeben. Wählen Sie einen anderen.
refused-handle-domain = Namen gibt es hier unter { $domains }. Eine eigene Domain kann danach Ihr Handle werden.
refused-handle-elsewhere = { $handle } führt noch nicht zu diesem Konto. Setzen Sie einen TXT-Eintrag mit dem Namen _atproto.{ $handle }, der did= und die DID dieses Kontos sagt, und versuchen Sie es noch einmal, sobald er sichtbar ist.
refused-handle-document = Das Dokument dieser Identität nennt { $handle } nicht. Setzen Sie dort, wo es veröffentlicht ist, at://{ $handle } an die erste Stelle von alsoKnownAs und versuchen Sie es noch einmal.
refused-recovery-key = Das ist kein öffentlicher Schlüssel, der sich benutzen lässt: Einer beginnt mit did:key:z und ist von der Art K-256 oder P-256.
refused-passkey-unknown = Dieser Passkey ist hier nicht bekannt. Vielleicht wurde er entfernt, oder er gehört zu einem anderen Server.
refused-passkey = Der Passkey wurde nicht angenommen.
refused-passkey-copied = Der Passkey wurde nicht angenommen, weil es eine Kopie davon geben könnte. Melden Sie sich auf andere Weise an, entfernen Sie ihn und legen Sie einen neuen an.
refused-passkey-there = Diesen Passkey gibt es schon.
refused-passkey-name = Ein Passkey braucht einen Namen aus 1 bis { $most } Zeichen.
refused-passkey-many = Es gibt schon { $most } Passkeys. Entfernen Sie die, die Sie nicht benutzen.
refused-passkey-gone = Diesen Passkey gibt es nicht mehr. Vielleicht wurde er in einem anderen Fenster entfernt.
refused-backup-for-nothing = Ersatzcodes springen für eine App, einen Passkey oder einen Code per E-Mail ein: Richten Sie zuerst eines davon ein.
refused-app-name = Ein App-Passwort braucht einen Namen aus 1 bis 100 Zeichen.
refused-app-name-taken = Ein App-Passwort dieses Namens gibt es schon. Wählen Sie einen anderen Namen.
refused-app-many = Es gibt schon { $most } App-Passwörter. Entfernen Sie die, die Sie nicht benutzen.
refused-takendown = Dieses Konto wurde gesperrt. Nur der Betreiber dieses Servers kann das rückgängig machen.
refused-not-here = Dieses Konto gibt es hier nicht mehr.
refused-identity-elsewhere = Die Identität dieses Kontos nennt einen anderen Server oder einen anderen Schlüssel, deshalb lässt es sich hier nicht einschalten.
refused-identity-locked = Dieser Server hat keinen Schlüssel, der die Identität dieses Kontos ändern darf. Wer einen hat, kann es.
refused-changed-meanwhile = Mit dem Konto geschah inzwischen etwas anderes. Versuchen Sie es noch einmal.
refused-outside = Etwas außerhalb dieses Servers hat nicht geantwortet. Versuchen Sie es gleich noch einmal.
refused-too-much = { $minutes ->
    [one] Das war zu viel auf einmal. Warten Sie eine Minute.
   *[other] Das war zu viel auf einmal. Warten Sie { $minutes } Minuten.
}
refused-disk-full = Der Speicherplatz dieses Servers ist voll, und es wurde nichts geändert. Es geht wieder, sobald der Betreiber Platz geschaffen hat.
refused-not-now = Das geht gerade nicht. Versuchen Sie es in einer Minute noch einmal.
refused-busy = Es ist schon so viel im Gange, dass nichts weiter begonnen wurde. Warten Sie, bis etwas davon zu Ende ist.
refused-name = Das ist weder ein Handle (wie alice.example.com) noch eine DID: { $name }
refused-account-unknown = Es gibt kein Konto namens { $name }, oder der Name führt nirgendwohin.
refused-account-unreachable = Wer { $name } ist, ließ sich gerade nicht herausfinden. Versuchen Sie es gleich noch einmal.
refused-account-no-host = Diese Identität nennt keinen Server, also gibt es nichts zu holen.
refused-account-hosted = Dieses Konto lebt auf diesem Knoten: Es gibt niemanden, von dem es zu holen wäre.
refused-account-not-archived = Dieses Konto wird hier nicht aufbewahrt.
refused-account-host-silent = Der Server des Kontos hat nicht geantwortet. Was gespeichert ist, bleibt; versuchen Sie es später noch einmal, es geht weiter, wo es war.
refused-account-host-limits = Der Server des Kontos bittet um Geduld. Was gespeichert ist, bleibt; versuchen Sie es später noch einmal, es geht weiter, wo es war.
refused-account-host-refuses = Der Server des Kontos gibt es nicht heraus. Was gespeichert ist, bleibt.
refused-account-rejected = Was geschickt wurde, ist keine gültige Kopie dieses Kontos und wurde nicht gespeichert. Was gespeichert ist, bleibt.
refused-room = Der Platz reicht nicht: Etwa { $need } werden gebraucht, { $free } sind frei, und { $keep } bleiben frei.
refused-quota = Was gespeichert werden darf, ist gespeichert. Heben Sie die Grenze an oder schaffen Sie Platz.
refused-account-busy = Mit diesem Konto geschieht gerade etwas anderes. Warten Sie, bis es zu Ende ist.
refused-stopping = Der Knoten wird angehalten. Die Arbeit geht weiter, wenn er wieder läuft.
refused-reason = Es braucht eine Begründung: Sie wird festgehalten und ist das, was andere später lesen.
refused-announced-too-long = Eine Ankündigung gilt höchstens 30 Tage, weil in dieser Zeit kein Alarm kommt.
refused-serving = So wird es nicht herausgegeben, und es wurde nichts geändert.
refused-moment = Das ist kein Zeitpunkt: { $moment }. Nennen Sie ein Datum (2026-11-20), eine Zeit (2026-11-20T18:30:00Z) oder eine Revision.
refused-never-seen = Zu dieser Zeit hatte dieser Knoten von dem Konto nichts gesehen.
refused-not-then = Den Datensatz gab es damals nicht.
refused-record-unknown = Diesen Datensatz gibt es hier nicht. Er existiert nicht oder wurde gelöscht.
refused-defect = Das ist ein Fehler im Programm. Bitte melden Sie ihn mit den Worten unten.
refused-key-unreadable = Das ist kein privater Schlüssel, der sich lesen lässt: 64 hexadezimale Ziffern, ein Text, der mit z beginnt, oder ein JWK.
refused-public-key = Das ist kein öffentlicher Schlüssel: Einer beginnt mit did:key:z.
refused-two-keys = Geben Sie den Schlüssel im Feld oder als Datei, nicht beides.
refused-file-long = Diese Datei ist zu lang für einen Schlüssel.
