# Eine Kopie mitnehmen, und ein archiviertes Konto beherbergen.
away-title = Eine Kopie mitnehmen
away-words = Eine Kopie an einem anderen Ort übersteht auch diesen Knoten. Legen Sie sie auf einen Datenträger, der anderswo liegt.
away-nothing = Es ist noch nichts gespeichert, was sich mitnehmen ließe.
away-folder-title = Alles in einem Ordner
away-folder-words = Er öffnet sich in jedem Browser ohne Netz, und jede Software, die das Protokoll kennt, kann das Konto daraus wiederherstellen.
away-folder-repo = Das Repository, genau wie der Eigentümer es unterschrieben hat, und jeder Datensatz zum Lesen
away-folder-media = Bilder und Videos
away-folder-pages = Seiten mit Zeitleiste und Suche, die sich vom Datenträger öffnen
away-folder-text = Ein Text, der sagt, wie man wiederherstellt
away-missing = { $count ->
    [one] Ein Bild oder Video fehlt und wird nicht darin sein.
   *[other] { $count } Bilder und Videos fehlen und werden nicht darin sein.
}
away-pages = Mit Seiten für den Browser
away-room = Er braucht etwa { $size } Platz auf diesem Knoten, bis Sie ihn löschen.
away-prepare = Den Ordner schreiben
away-again = Neu schreiben
away-ready = Der Ordner wurde geschrieben
away-open = Entpacken Sie ihn und öffnen Sie index.html.
away-download = Herunterladen (tar)
away-delete = Hier löschen
away-delete-words = Ihn hier zu löschen ändert nichts am Archiv.
away-car-title = Nur das Repository
away-car-words = Alle Datensätze in einer Datei, etwa { $size }, ohne Bilder: das, was Werkzeuge des Protokolls lesen.
away-car = Herunterladen (CAR)
away-promote-title = Das Konto hier leben lassen
away-promote-words = Wenn sein Server verschwunden ist, kann dieser Knoten sein Server werden. Sie sehen zuerst, was das täte.
away-promote-not = Wenn sein Server verschwunden ist, kann dieser Knoten sein Server werden, sobald er Konten beherbergen darf.
away-promote = Ansehen, was es täte

job-restore = Zurückschreiben eines Datensatzes von
job-restore-done = Der Datensatz steht wieder auf dem Server des Kontos.

promote-title = Sein Server werden
promote-words = Noch geschieht nichts: Das würde es tun.
promote-not-title = Dieser Knoten beherbergt keine Konten
promote-not-words = Setzen Sie einen öffentlichen Namen, schalten Sie das Beherbergen ein, starten Sie den Knoten neu und kommen Sie zu dieser Seite zurück:
promote-hosted = Dieses Konto lebt auf diesem Knoten.
promote-hosted-next = Der Eigentümer braucht ein Passwort, um sich anzumelden. Auf diesem Rechner:
promote-under-way = Es ist unterwegs:
promote-step-held = 1. Was hier ist
promote-whole = Nichts, was die Datensätze nennen, fehlt.
promote-missing-blobs = { $count ->
    [one] Ein Bild oder Video fehlt; es lässt sich später wieder hochladen.
   *[other] { $count } Bilder und Videos fehlen; sie lassen sich später wieder hochladen.
}
promote-missing-records = Die Bytes dieser Datensätze fehlen:
promote-not-held = Nur der alte Server hatte das Passwort, App-Passwörter, Einstellungen und Direktnachrichten.
promote-step-old = 2. Der alte Server
promote-step-identity = 3. Was sich an der Identität ändert
promote-document = Dieses Dokument muss veröffentlichen, wem die Domain gehört, unter
promote-changes = Für alle sichtbar
promote-kept = Was bleibt
promote-called = Das Konto wird heißen:
promote-notes = Was man wissen sollte
promote-overruled = Worüber Sie sich hinwegsetzen
keeper-yours = der Schlüssel, den Sie gegeben haben
keeper-ours = der dieses Knotens
keeper-host = wahrscheinlich der des alten Servers
promote-choices = Ändern, was gewählt ist
promote-handle = Ein anderes Handle
promote-handle-hint = Leer: das, das die Identität nennt, falls es bestehen bleibt.
promote-email = E-Mail-Adresse des Eigentümers
promote-email-hint = Für Codes und für ein neues Passwort.
promote-force = Obwohl der alte Server antwortet oder eine Änderung der Identität nicht erwartet war
promote-no-key = Ohne einen Rotationsschlüssel dieses Knotens
promote-look = Noch einmal ansehen
promote-choose-handle = Unter „{ promote-choices }“ ist das „{ promote-handle }“.
promote-choose-such-as = Zum Beispiel
promote-choose-force = Um trotzdem weiterzugehen, kreuzen Sie unter „{ promote-choices }“ an: „{ promote-force }“.
promote-choose-keys = Um den dieses Knotens wegzulassen, kreuzen Sie unter „{ promote-choices }“ an: „{ promote-no-key }“. Ein anderer wird auf der Kommandozeile herausgenommen.
promote-step-go = 4. Es tun
promote-obstacles = Das steht im Weg:
promote-go-words = Von hier an erfahren Relays und Apps, dass das Konto auf diesem Knoten lebt. Bis das Verzeichnis Bescheid weiß, lässt es sich aufgeben.
promote-go-on-words = Es geht dort weiter, wo es unterbrochen wurde. Der Schlüssel wird nur gebraucht, wenn die Operation neu unterschrieben werden muss.
promote-key = Rotationsschlüssel des Eigentümers
promote-key-hint = Hexadezimale Ziffern, ein Text, der mit z beginnt, oder ein JWK. Er unterschreibt eine Operation und wird nirgends aufbewahrt.
promote-key-file = Oder eine Datei, in der er steht
promote-key-file-hint = Eine Textdatei; sie wird einmal gelesen und nirgends aufbewahrt.
promote-confirm = Zur Bestätigung geben Sie ein:
promote-go = Sein Server werden
promote-go-on = Weiter
promote-cancel = Aufgeben
promote-cancel-words = Das Konto ist dann wieder ein archiviertes. Möglich, bis das Verzeichnis Bescheid weiß.
