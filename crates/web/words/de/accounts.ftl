# Die Liste der archivierten Konten, und viele hinzufügen.
nav-accounts = Konten
home-list = Als Liste ansehen
accounts-title = Alle Konten
accounts-search = Handle oder DID enthält
accounts-show = Zeigen
accounts-show-all = Alle ({ $count })
accounts-show-paused = Angehaltene ({ $count })
accounts-show-failing = Wo etwas gescheitert ist ({ $count })
accounts-show-waiting = Noch nicht bewiesene ({ $count })
accounts-show-served = Anderen gezeigte ({ $count })
accounts-sort = Reihenfolge
accounts-sort-name = Nach Namen
accounts-sort-size = Größte zuerst
accounts-sort-current = Am längsten nicht aktuelle zuerst
accounts-sort-priority = Was zuerst drankommt
accounts-none = Kein Konto ist so.
accounts-tick = Gewählt
accounts-size = Größe
accounts-current = Zuletzt aktuell
accounts-state = Wie es steht
accounts-quota = Grenze
accounts-served = Wem gezeigt, und warum
accounts-removing = wird gerade gelöscht
accounts-waits = wartet auf seine erste Kopie
accounts-verified-nothing = noch nichts gespeichert
accounts-verified-verified = bewiesen
accounts-verified-unverified = vollständig; niemand bürgt dafür, wer es unterschrieben hat
accounts-verified-verbatim = aufbewahrt, wie es kam, nicht bewiesen
basis-declared = der Eigentümer hat es Archiven erlaubt
basis-own = Ihr eigenes Konto
basis-word = Ihr Wort
basis-refused = der Eigentümer hat sich dagegen erklärt
accounts-choose = Für mehrere Konten auf einmal
accounts-whom = Für welche Konten
accounts-whom-ticked = Die angekreuzten
accounts-whom-shown = Alle auf dieser Seite ({ $count })
accounts-whom-matching = Alle gefundenen ({ $count })
accounts-do = Was
accounts-do-choose = Bitte wählen
accounts-do-pause = Anhalten
accounts-do-resume = Weiter holen
accounts-do-priority = Reihenfolge festlegen
accounts-do-quota = Grenze festlegen
accounts-do-serve = Festlegen, wem sie gezeigt werden
accounts-values = Reihenfolge, Grenze, und wem sie gezeigt werden
accounts-act = Ausführen
accounts-done = { $count ->
    [one] Für ein Konto erledigt.
   *[other] Für { $count } Konten erledigt.
}
accounts-failed = { $count ->
    [one] Für ein Konto wurde es nicht getan:
   *[other] Für { $count } Konten wurde es nicht getan:
}
accounts-nobody = Es wurde kein Konto gewählt.
accounts-nothing = Wählen Sie, was geschehen soll.

add-look = Erst ansehen
add-many-title = Viele auf einmal
add-many-words = Sie sehen, wer gefunden wurde, wie viel es ist und ob es passt, bevor etwas beginnt.
add-follows = Alle, denen dieses Konto folgt
add-follows-hint = Sein Handle oder seine DID.
add-list = Alle auf einer Liste
add-list-hint = Die Adresse der Liste: at://… oder https://bsky.app/profile/…/lists/…
add-file = Eine Datei mit Namen
add-file-hint = Reiner Text; Handles und DIDs, dazwischen beliebige Zeichen.

plan-title = Was das wäre
plan-gone = Dieser Plan ist nicht mehr bekannt.
plan-again = Noch einmal ansehen
plan-follows = Alle, denen dieses Konto folgt:
plan-list = Alle auf einer Liste dieses Kontos:
plan-read-at = wie sein Server es sagt:
plan-read-here = wie dieses Archiv es hat
plan-cut = Es sind mehr. Auf einmal werden höchstens { $most } Konten hinzugefügt; fügen Sie die übrigen danach hinzu.
plan-nobody = Es wurde niemand Neues gefunden.
plan-new = Neu
plan-accounts = { $count ->
    [one] ein Konto
   *[other] { $count } Konten
}
plan-size = Größe
plan-from-to = { $low } bis { $high }
plan-at-least = mindestens { $low }; wie viel mehr, weiß niemand
plan-at-most = höchstens { $high }
plan-unknown = nicht bekannt
plan-looked-all = Geschätzt aus der Spitze des Baums jedes Kontos, wie sein Server sie schickt.
plan-looked-some = Geschätzt aus { $some } von { $all } Konten: aus den Spitzen ihrer Bäume, wie ihre Server sie schicken.
plan-looked-none = Kein Server hat gesagt, wie viel es ist.
plan-media = Sie nennen { $listed } Bilder und Videos; { $measured } davon wurden gemessen.
plan-known-here = { $count ->
    [0] Es ist noch kein vollständiges Konto hier, das für die anderen stehen könnte.
    [one] Ein vollständiges Konto, das hier ist, steht für das, was nicht bekannt ist.
   *[other] Die { $count } vollständigen Konten, die hier sind, stehen für das, was nicht bekannt ist.
}
plan-room-now = Platz jetzt
plan-room-kept = Neben { $kept }, die frei bleiben.
plan-room-after = Platz danach
plan-none-left = keiner
plan-fit-fits = Es passt.
plan-fit-unknown = Ob es passt, weiß niemand. Ist die Platte voll, wird nicht weiter geholt; was gespeichert ist, bleibt.
plan-fit-may-not = Es passt vielleicht nicht.
plan-fit-not = Es passt nicht.
plan-anyway = Trotzdem beginnen. Wenn kein Platz mehr ist, wird nicht weiter geholt; was gespeichert ist, bleibt.
plan-start = { $count ->
    [one] Dieses Konto hinzufügen
   *[other] Diese { $count } Konten hinzufügen
}
plan-other = Andere ansehen
plan-order = Sie werden nacheinander geholt, auch nach einem Neustart dieses Knotens.
plan-not-begun = Es wurde nicht begonnen, denn es passt vielleicht nicht. Kreuzen Sie das Kästchen an, wenn Sie es trotzdem wollen.
plan-found-title = Wer gefunden wurde
plan-later = Wer unten keinen Server hat, wird nachgeschlagen, wenn er an der Reihe ist.
plan-not-asked = noch nicht gefragt
plan-lost-title = Wer nicht gefunden wurde
plan-name = Name
plan-why = Warum
plan-look-again = { $count ->
    [one] Den einen noch einmal suchen
   *[other] Die { $count } noch einmal suchen
}
plan-here = { $count ->
    [one] Ein Konto ist schon hier und wird ausgelassen
   *[other] { $count } Konten sind schon hier und werden ausgelassen
}
plan-more = { $count ->
    [one] und eines mehr
   *[other] und { $count } mehr
}

job-plan = Wird ermittelt:
job-plan-done = Das wurde ermittelt.
job-take-in = Mehrere Konten werden geholt:
job-take-in-done = Jedes davon war an der Reihe.
job-stop = Aufhören: was noch nicht hier ist, anhalten
job-asks = Es wurde nicht begonnen, denn es passt vielleicht nicht auf diese Platte.
job-asks-next = Ansehen, wie viel es ist, und entscheiden
