home-title = Ihre Konten
home-empty-title = Hier wird noch nichts aufbewahrt
home-empty = Nennen Sie ein Konto, und dieser Knoten holt eine vollständige Kopie von allem, was daran öffentlich ist, prüft jedes Byte und hält sie aktuell.
home-empty-button = Das erste Konto hinzufügen
home-count = { $count ->
    [one] Hier wird ein Konto aufbewahrt.
   *[other] Hier werden { $count } Konten aufbewahrt.
}
home-held = { $records } Datensätze, { $size }
home-paused = angehalten
home-claimed = Dieser Knoten gehört noch niemandem.
home-claimed-next = Melden Sie sich jetzt mit Ihrem Konto an, damit dieser Knoten Ihnen gehört.
home-alert = Braucht Ihre Aufmerksamkeit:
home-alert-since = Zuerst gesehen
home-alert-account = Zum Konto
home-pages = Seiten dieser Liste
home-page = Seite { $page } von { $pages }

tone-good = in Ordnung
tone-unknown = noch nicht bekannt
tone-warn = könnte besser sein
tone-bad = Sie sind gefragt
tone-theirs = Sache des Eigentümers

light-data = Daten
light-identity = Identität
light-copies = Kopien
light-data-good = Alles ist da und aktuell; eine Übung hat { $ago } bewiesen, dass es sich wiederherstellen lässt.
light-data-nothing = Es ist noch nichts gespeichert.
light-data-coming = Die erste Kopie entsteht gerade.
light-data-damaged = Die letzte Prüfung hat Schäden im Gespeicherten gefunden.
light-data-drill-failed = Die Übung { $ago } ist gescheitert: So ließe sich diese Kopie nicht wiederherstellen.
light-data-unverified = Es ist gespeichert, aber nicht bewiesen, dass der Eigentümer es unterschrieben hat.
light-data-stale = Der letzte erfolgreiche Blick auf den Server des Kontos war { $ago }.
light-heard = Von seinem Server zuletzt gehört: { $ago }.
light-data-failed = Der letzte Versuch, Neues zu holen, ist gescheitert. Der letzte erfolgreiche Blick auf den Server des Kontos war { $ago }.
light-data-silent = Die Verbindung, über die das Konto verfolgt wird, ist unterbrochen. Der letzte erfolgreiche Blick auf seinen Server war { $ago }.
light-data-undrilled = Alles ist da und aktuell; das Wiederherstellen hat noch niemand geübt.
light-data-drill-old = Alles ist da; die letzte Übung war { $ago }.
light-data-media = { $count ->
    [one] Ein Bild oder Video fehlt.
   *[other] { $count } Bilder oder Videos fehlen.
}
light-identity-good = Sie haben einen Schlüssel über dem Ihres Servers: Sie können dieses Konto ohne ihn umziehen.
light-identity-perhaps = Es gibt einen Schlüssel, der nicht Ihrem Server gehört. Ist es Ihrer?
light-identity-host = Nur der Server hat Schlüssel. Verschwindet er, kann niemand dieses Konto umziehen.
light-identity-host-theirs = Nur der Server hat Schlüssel. Nur der Eigentümer dieses Kontos kann das ändern.
light-identity-perhaps-theirs = Es gibt einen Schlüssel, der nicht dem Server gehört. Ob er dem Eigentümer gehört, hat hier niemand gesagt.
light-identity-frozen = Niemand hat einen Schlüssel: Dieses Konto bleibt für immer, wo es ist.
light-identity-tombstone = Diese Identität wurde endgültig aufgegeben.
light-identity-web = Wem die Domain gehört, dem gehört dieses Konto.
light-identity-unknown = Wer dieses Konto umziehen kann, ist noch nicht bekannt.
light-identity-alarm = Jemand hat diese Identität geändert, und niemand hat es angekündigt. Rückgängig zu machen ist es nur noch { $until }.
light-copies-two = Zwei Orte haben es: sein Server und dieser Knoten. Ein dritter würde auch diesen Knoten überstehen.
light-copies-last = Sein Server gibt es nicht mehr heraus: Die Kopie dieses Knotens ist vielleicht die letzte.
light-copies-none = Nur sein Server hat es.
light-copies-hosted = Es liegt auf diesem Knoten und sonst nirgends.
light-copies-taken = Sein Server und dieser Knoten haben es, und eine Kopie wurde { $ago } mitgenommen. Bewahren Sie sie an einem anderen Ort auf.
light-copies-taken-old = Sein Server und dieser Knoten haben es. Die Kopie, die { $ago } mitgenommen wurde, ist alt.
light-copies-last-taken = Sein Server gibt es nicht mehr heraus. Dieser Knoten hat es, und eine Kopie wurde { $ago } mitgenommen.
light-copies-hosted-taken = Es liegt auf diesem Knoten, und eine Kopie wurde { $ago } mitgenommen.

mend-sync = Jetzt holen
mend-watch = Zusehen
mend-verify = Prüfen und ausbessern
mend-see-drill = Ansehen, was scheiterte
mend-see = Ansehen, warum
mend-drill = Wiederherstellung üben
mend-media = Ansehen, welche
mend-identity = Ansehen, was sich änderte
mend-confirm-key = Schlüssel ansehen
mend-add-key = Eigenen Schlüssel hinzufügen
mend-export = Kopie mitnehmen
