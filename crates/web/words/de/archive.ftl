# Die Seiten eines archivierten Kontos.
tab-where = Wo Sie sind
tab-label = Seiten dieses Kontos
tab-overview = Überblick
tab-time = Datensätze und Verlauf
tab-media = Bilder und Videos
tab-drills = Übungen
tab-identity = Identität
tab-away = Mitnehmen

account-removing = Dieses Konto wird gerade gelöscht.
account-withdrawn = Dieses Konto wurde an seiner Quelle gelöscht.
account-hosted = Dieses Konto lebt auf diesem Knoten: Es gibt keinen anderen Server, von dem etwas zu holen wäre.
account-do-title = Was Sie jetzt tun können
account-facts-title = Wie es steht
account-head-title = Was genau bewiesen ist
account-head-words = Der Eigentümer des Kontos hat einen Commit unterschrieben. Er nennt die Wurzel eines Baums, und der Baum nennt jeden Datensatz. All das wurde aus dem hier Gespeicherten neu berechnet.
account-kept-title = Was aufbewahrt wird
account-not-kept-title = Was nicht aufbewahrt wird
account-records-title = Datensätze
account-records-empty = Es ist noch kein Datensatz gespeichert.
account-findings-title = Was jetzt nicht stimmt
account-evidence-title = Was beobachtet wurde
account-evidence-words = Was dem Bekannten widersprach, mit dem Beweis, der davon aufbewahrt wird.
account-choices-title = Was Sie entscheiden
account-remove-title = Diese Kopie löschen
account-remove-words = Alles, was dieser Knoten von dem Konto hat, wird gelöscht und danach gesucht. Auf seinem Server ändert sich nichts.
account-remove-look = Ansehen, was gelöscht würde

act-sync = Neues holen
act-verify = Prüfen und reparieren
act-drill = Wiederherstellung üben
act-pause = Anhalten
act-resume = Weiter holen
act-hint = Beim Prüfen wird jedes gespeicherte Byte neu gelesen. Beim Üben wird das Konto allein aus diesem Archiv in einen Wegwerf-Speicher wiederhergestellt.

fact-host = Server
fact-status = Zustand auf seinem Server
fact-live = Laufende Aktualisierung
fact-sync = Letzter erfolgreicher Blick
fact-sync-error = Der letzte Versuch ist gescheitert:
fact-verified = Beweis
fact-checked = Zuletzt aus den gespeicherten Bytes geprüft
fact-in-order = alles in Ordnung
fact-damaged = es wurden Schäden gefunden
fact-records = Datensätze
fact-records-in = { $count } Datensätze, { $size }
fact-media = Bilder und Videos
fact-media-in = { $count } Dateien, { $size }
fact-media-missing = { $count ->
    [one] eine fehlt
   *[other] { $count } fehlen
}
fact-rev = Revision
fact-added = Aufbewahrt seit
fact-full = Grenze
never = nie

head-commit = Commit
head-root = Wurzel des Baums
head-key = Unterschrieben mit

live-paused = von Ihnen angehalten
live-no = wird gerade nicht verfolgt
live-heard = zuletzt gehört
live-live = laufend verfolgt von
live-relay = verfolgt über
live-polled = wird ab und zu gefragt:
live-behind = wird neu geholt von
live-waiting = sein Strom ist unterbrochen:

status-active = aktiv
status-deactivated = vom Eigentümer stillgelegt
status-takendown = von seinem Server gesperrt
status-suspended = von seinem Server vorübergehend gesperrt
status-deleted = gelöscht
status-desynchronized = nicht im Gleichschritt mit seinem Server
status-throttled = von seinem Server gedrosselt
status-unreachable = sein Server ist nicht erreichbar

verified-nothing = es ist noch nichts gespeichert
verified-verified = von jedem Byte ist bewiesen, dass es vom Eigentümer stammt
verified-unverified = in sich vollständig; nichts bürgt dafür, wer es unterschrieben hat
verified-verbatim = aufbewahrt, wie es kam, nicht bewiesen

kept-records = Beiträge, Likes, Follows, Listen, das Profil: jeder öffentliche Datensatz
kept-history = Was von jetzt an bearbeitet oder entfernt wird, so lange Sie es bestimmen
kept-media = Bilder und Videos, die Datensätze nennen
kept-identity = Die Geschichte der Identität und ihrer Schlüssel
not-kept-preferences = Einstellungen (stummgeschaltete Wörter, gespeicherte Feeds): Sie sind Sache des Kontos auf seinem Server
not-kept-messages = Direktnachrichten: Der Chat-Dienst bewahrt sie auf
not-kept-spaces = Private Räume: Sie sind nicht öffentlich
not-kept-secrets = Passwort, E-Mail-Adresse und App-Passwörter

collection = Art der Datensätze
collection-records = Datensätze
finding = Was
finding-since = Seit
evidence-times = { $count }-mal
evidence-proof = Ein Beweis von { $size } wird dazu aufbewahrt.
evidence-accepted-head = ein älterer Stand wurde angenommen
evidence-forged-commit = ein Commit, den der Eigentümer nicht unterschrieben hat
evidence-host-move = sein Server hat gewechselt
evidence-key-change = sein Signierschlüssel hat gewechselt
evidence-earlier-key = mit einem früheren Schlüssel unterschrieben
evidence-irreproducible = ein Baum, der sich nicht nachbauen lässt
evidence-odd-record = ein seltsamer Datensatz
evidence-plc-fork = zwei Geschichten der Identität
evidence-serving = Sie haben gewählt, wem es gezeigt wird
evidence-status = sein Zustand auf dem Server hat sich geändert
evidence-older-head = der Server hat einen älteren Stand angeboten
evidence-equivocation = zwei Stände derselben Revision
evidence-future-rev = eine Revision aus der Zukunft

serve-title = Wem diese Kopie gezeigt wird
serve-words = Niemand sieht sie, solange Sie nichts anderes wählen. Wenn Sie es tun, schreiben Sie auf, warum Sie dürfen.
serve-declared-refused = Der Eigentümer hat erklärt, dass öffentliche Archive es nicht zeigen dürfen.
serve-refused = Es wird gerade nicht gezeigt:
serve-nobody = Niemandem
serve-peers = Anderen Knoten, denen Sie vertrauen
serve-public = Allen
serve-basis = Warum Sie dürfen
serve-basis-hint = Zum Beispiel: Der Eigentümer hat mich gebeten. Nötig, außer Sie wählen niemanden.
keep-title = Was bearbeitet oder entfernt wurde
keep-all = Jede gesehene Fassung behalten
keep-window = Nach der Widerrufsfrist vergessen
keep-basis = Warum es nach seiner Löschung aufbewahrt wird
keep-basis-hint = Ein Konto, das an seiner Quelle gelöscht wird, wird nach einer Weile auch hier gelöscht, außer Sie schreiben auf, warum nicht. Leer lassen, damit das geschieht.
limits-title = Grenzen und Reihenfolge
limits-quota = Höchstens gespeichert, in Megabyte
limits-quota-hint = Leer: Es gilt die Grenze für alle Konten.
limits-priority = Reihenfolge
limits-priority-hint = Höher kommt zuerst; 0 ist üblich.
limits-wrong = Die Grenze muss eine ganze Zahl in Megabyte oder leer sein, die Reihenfolge eine ganze Zahl.

erase-title = Diese Kopie löschen
erase-lead = Noch wird nichts gelöscht. Das hat dieser Knoten von
erase-records = { $count } Datensätze ({ $size }) und ihr Verlauf
erase-blobs = { $count } Bilder und Videos ({ $size })
erase-outside-title = Was dieser Knoten nicht erreicht
erase-danger = Wenn sein Server das Konto verloren hat, ist das vielleicht die letzte Kopie.
erase-confirm = Um fortzufahren, geben Sie ein:
erase-confirm-hint = Das Handle oder die DID.
erase-mistyped = Das ist nicht der Name dieses Kontos. Es wurde nichts geändert.
erase-button = Löschen

media-title = Bilder und Videos
media-held = { $count } sind hier ({ $size }).
media-missing = { $count ->
    [0] Keines fehlt.
    [one] Eines fehlt.
   *[other] { $count } fehlen.
}
media-absent-title = Nicht hier
media-absent-words = Datensätze nennen diese Dateien, und sie waren noch nicht zu bekommen. Eine Wiederherstellung käme ohne sie aus.
media-file = Datei
media-why = Warum
media-tries = Versuche
media-next = Nächster Versuch
media-never = wird nicht mehr versucht
media-soon = bald
media-here-title = Hier
media-here-words = Nur Sie sehen sie.
media-empty = Es ist noch kein Bild oder Video gespeichert.

drills-title = Übungen
drills-words = Eine Übung stellt das Konto allein aus diesem Archiv wieder her und vergleicht jedes Byte. Sie ändert nichts.
drills-now = Jetzt üben
drills-empty-title = Noch niemand hat geübt
drills-empty = Ob eine Kopie taugt, zeigt sich erst beim Wiederherstellen. Eine Übung tut das, ohne das Konto anzurühren.
drills-last = Die letzte Übung
drills-history = Alle Übungen
drills-chart = Wie lange jede Übung gedauert hat
drills-when = Wann
drills-seconds = Sekunden
drills-verified = Zuletzt aus den gespeicherten Bytes geprüft
drills-ok = es lässt sich wiederherstellen
drills-failed = es ließ sich nicht wiederherstellen
drills-ok-long = Es lässt sich allein aus diesem Archiv wiederherstellen.
drills-failed-long = So, wie es damals war, ließe es sich nicht vollständig wiederherstellen.
drills-counts = { $records } Datensätze, { $blobs } Bilder und Videos ({ $size }).
drills-missing = { $count ->
    [one] Ein Bild oder Video fehlt im Archiv.
   *[other] { $count } Bilder oder Videos fehlen im Archiv.
}
drills-holds = stimmt.
drills-does-not-hold = stimmt nicht.
drills-not-proved = Was eine Übung nicht beweist
drill-step-export = Herausschreiben
drill-step-manifest = Inhaltsverzeichnis
drill-step-repo = Repository
drill-step-root = Wurzel des Baums
drill-step-records = Datensätze
drill-step-blobs = Bilder und Videos
drill-step-plc-log = Geschichte der Identität
drill-step-signature = Unterschrift
drill-step-text = Anleitung zum Wiederherstellen
drill-step-head = Neueste Revision
drill-step-restore = Wiederherstellen
drill-step-promote = Beherbergen
drill-step-identity = Identität danach
drill-step-re-export = Erneutes Herausschreiben
drill-step-re-blobs = Bilder danach
drill-step-owner = Der Eigentümer kann sich anmelden

time-title = Datensätze und Verlauf
time-words = Sehen Sie das Konto, wie es war. Was entfernt wurde, sehen nur Sie.
time-at = Stand vom
time-at-hint = Ein Datum (2026-11-20), eine Zeit oder eine Revision. Leer: jetzt.
time-show = Zeigen
time-as-of = Stand vom
time-look = Diesen Datensatz ansehen
time-empty = Es gibt noch nichts zu zeigen.
time-none-then = Damals gab es keinen solchen Datensatz.
post-reply = Als Antwort auf
post-link = Link:
post-quote = Zitiert
record-more = und { $count } weitere
record-damaged = Die gespeicherten Bytes dieses Datensatzes sind beschädigt. Prüfen und reparieren Sie das Konto.
record-unreadable = Die Bytes dieses Datensatzes lassen sich nicht zeigen.
revisions-title = Revisionen
revisions-all = Jede gesehene Fassung wird behalten.
revisions-window = Was bearbeitet oder entfernt wurde, wird nach der Widerrufsfrist vergessen.
revisions-empty = Es wurde noch keine Revision gesehen.
revisions-when = Wann
revisions-changes = Was sich änderte
revisions-kept = Noch da
revisions-see = Ansehen
revisions-seen = gesehen
revisions-counts = { $created } geschrieben, { $updated } bearbeitet, { $deleted } entfernt
revisions-not-counted = nicht gezählt
revisions-browse = Durchsehen
revisions-compare = Mit der vorigen vergleichen
kept-current = das ist die aktuelle
kept-whole = alles
kept-left = alles; sie wurde für eine ältere verlassen
kept-pruned = vergessen
compare-title = Zwei Zeitpunkte vergleichen
compare-from = Früher
compare-to = Später
compare-button = Vergleichen
compare-back = Zurück zu Datensätzen und Verlauf
compare-earlier = Der frühere Stand
compare-later = Der spätere Stand
compare-before = Vorher
compare-after = Nachher
compare-same = Es gibt keinen Unterschied.
compare-only = Nur die ersten { $count } Unterschiede sind aufgeführt.
change-created = Geschrieben
change-edited = Bearbeitet
change-deleted = Entfernt

record-title = Ein Datensatz
record-now-nothing = Dort steht jetzt nichts: Dieser Datensatz wurde entfernt.
record-now-same = Dort steht jetzt dieselbe Fassung.
record-now-other = Dort steht jetzt eine andere Fassung.
versions-title = Aufbewahrte Fassungen
versions-since = Seit
versions-until = Bis
versions-now = jetzt
proof-title = Beweis
proof-words = Der Baum wird aus allen Datensätzen dieser Revision neu gebaut, jeder wird gehasht, und mit der Wurzel verglichen, die der Eigentümer unterschrieben hat.
proof-button = Jetzt beweisen
proof-ok = Bewiesen
proof-failed = Nicht bewiesen
proof-download = Den Datensatz mit seinem Beweis herunterladen (CAR)
restore-title = Diese Fassung zurückschreiben
restore-words = Sie wird auf dem eigenen Server des Kontos geschrieben, anstelle dessen, was jetzt dort steht. Bilder, die der Server aufgegeben hat, werden von hier hochgeladen.
restore-lost = { $count ->
    [one] Ein Bild ist auch hier nicht; hat der Server es ebenfalls verloren, lässt sich der Datensatz nicht zurückschreiben.
   *[other] { $count } Bilder sind auch hier nicht; hat der Server sie ebenfalls verloren, lässt sich der Datensatz nicht zurückschreiben.
}
restore-hosted = Dieses Konto lebt auf diesem Knoten: Schreiben Sie den Datensatz mit einer beliebigen App.
restore-session = Dieser Knoten darf solche Datensätze für das Konto schreiben.
restore-password = App-Passwort
restore-password-hint = Es wird einmal benutzt und nirgends aufbewahrt.
restore-sure = Diese Fassung jetzt auf dem Server des Kontos schreiben?
restore-button = Zurückschreiben
restore-or = Oder ohne Passwort:
restore-consent = Diesem Knoten zu schreiben erlauben:
restore-needs = Geben Sie ein App-Passwort an, oder erlauben Sie diesem Knoten, solche Datensätze zu schreiben.

lexicons-title = Arten von Datensätzen
lexicons-totals = { $kinds } Arten, { $records } Datensätze aus allen Konten, die hier aufbewahrt werden.
lexicons-search = Name beginnt mit
lexicons-search-hint = Jede Anwendung benennt ihre Arten unter ihrer eigenen Domain, rückwärts gelesen.
lexicons-empty = Es ist noch kein Datensatz gespeichert.
lexicons-none = Keine Art beginnt so.
lexicons-repos = Konten
lexicons-first = Zuerst gesehen
lexicons-last = Zuletzt gesehen
lexicons-authority = Wem sie gehört
