# Was auf jeder Seite steht.
product = p2pds
skip = Zum Inhalt springen
nav-label = Seiten
nav-home = Übersicht
nav-add = Konten hinzufügen
nav-lexicons = Datensatzarten
nav-operator = Betrieb
nav-account = Mein Konto
nav-about = Über diesen Knoten
nav-sign-out = Abmelden
nav-sign-in = Anmelden
language = Sprache
footer-what = Dieser Knoten bewahrt geprüfte Kopien von Konten auf.
footer-privacy = Datenschutz
footer-remove = Meine Daten entfernen lassen
error-title = Das hat nicht geklappt
error-not-found-title = Hier ist nichts
error-not-found-address = Gefragt wurde nach:
error-not-found-home = Zum Anfang
error-not-found = Unter dieser Adresse gibt es keine Seite. Vielleicht wurde sie verschoben, oder das Konto, um das es ging, wird hier nicht mehr archiviert.
form-stale = Dieses Formular ist veraltet, oder eine andere Seite hat es geschickt. Gehen Sie zurück, laden Sie die Seite neu, und schicken Sie es noch einmal.
error-again = Noch einmal versuchen
error-internal = In diesem Knoten ist etwas schiefgegangen. Was es war, steht im Protokoll des Betreibers.
error-forbidden-title = Nicht für Sie
error-forbidden = Diese Seite ist für den Eigentümer dieses Knotens.
back = Zurück
cancel = Abbrechen
save = Speichern
close = Schließen
show-raw = Wie gespeichert
yes = ja
no = nein
none = keine
loading = Wird geladen…
copied = Kopiert
copy = Kopieren
more = Mehr
older = Ältere
newer = Neuere
search = Suchen
danger = Das lässt sich nicht rückgängig machen.

date = { $day }. { $month } { $year }
month-01 = Januar
month-02 = Februar
month-03 = März
month-04 = April
month-05 = Mai
month-06 = Juni
month-07 = Juli
month-08 = August
month-09 = September
month-10 = Oktober
month-11 = November
month-12 = Dezember
ago-now = gerade eben
ago-minutes = { $n ->
    [one] vor { $n } Minute
   *[other] vor { $n } Minuten
}
ago-hours = { $n ->
    [one] vor { $n } Stunde
   *[other] vor { $n } Stunden
}
ago-days = { $n ->
    [one] vor { $n } Tag
   *[other] vor { $n } Tagen
}
ahead-now = gleich
ahead-minutes = { $n ->
    [one] in { $n } Minute
   *[other] in { $n } Minuten
}
ahead-hours = { $n ->
    [one] in { $n } Stunde
   *[other] in { $n } Stunden
}
ahead-days = { $n ->
    [one] in { $n } Tag
   *[other] in { $n } Tagen
}
span-seconds = { $n } s
span-minutes = { $n } min
span-hours = { $n } Std.
span-days = { $n ->
    [one] { $n } Tag
   *[other] { $n } Tage
}
