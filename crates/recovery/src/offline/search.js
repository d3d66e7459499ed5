// The search of an offline archive. It loads one piece of the index after the other, looks at its records and lets
// go of it, so that any number of records can be searched. All text goes in as text, never as markup.
"use strict";
(function () {
  var SHOWN = 100;
  var AROUND = 80;
  var form = document.getElementById("search");
  var field = document.getElementById("words");
  var which = document.getElementById("which");
  var status = document.getElementById("status");
  var list = document.getElementById("found");
  var more = document.getElementById("more");
  var pieces = Number(form.dataset.pieces);
  var run = 0;
  var arrived = null;

  window.p2pdsPiece = function (shelf, records) {
    arrived = { shelf: shelf, records: records };
  };

  function plain(text) {
    return text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  }

  function load(number, then) {
    var script = document.createElement("script");
    script.src = "search/" + number + ".js";
    script.onload = script.onerror = function () {
      var piece = arrived;
      arrived = null;
      script.remove();
      then(piece);
    };
    document.head.appendChild(script);
  }

  function address(shelf, record) {
    var page = record[0] === 1 && shelf.first ? shelf.first : shelf.folder + record[0] + ".html";
    return page + "#r-" + encodeURIComponent(record[1]);
  }

  // The text around the first word that was found, with that word marked.
  function snippet(text, word) {
    var part = document.createElement("span");
    part.dir = "auto";
    var at = text.toLowerCase().indexOf(word);
    if (at < 0) {
      part.textContent = text.slice(0, 2 * AROUND);
      return part;
    }
    var from = Math.max(0, at - AROUND);
    var mark = document.createElement("mark");
    mark.textContent = text.slice(at, at + word.length);
    part.append((from > 0 ? "…" : "") + text.slice(from, at), mark, text.slice(at + word.length, at + word.length + AROUND));
    return part;
  }

  function show(shelf, record, words) {
    var item = document.createElement("li");
    var link = document.createElement("a");
    link.href = address(shelf, record);
    link.textContent = shelf.name + ", " + record[2];
    item.append(link, document.createElement("br"), snippet(record[3] || record[1], words[0]));
    list.append(item);
  }

  function say(state) {
    var part = state.found === 1 ? "1 record found" : state.found + " records found";
    if (state.next <= pieces) {
      part += ", " + (state.next - 1) + " of " + pieces + " parts searched";
    }
    status.textContent = part + (state.broken ? ". " + state.broken + " parts of the index are missing" : "") + ".";
  }

  function look(state) {
    if (state.run !== run) {
      return;
    }
    say(state);
    more.hidden = true;
    if (state.next > pieces) {
      form.dataset.done = "yes";
      return;
    }
    load(state.next, function (piece) {
      if (state.run !== run) {
        return;
      }
      state.next += 1;
      if (!piece) {
        state.broken += 1;
        return look(state);
      }
      if (!state.only || state.only === piece.shelf.name) {
        piece.records.forEach(function (record) {
          var text = plain(record[3] + "\n" + record[1]);
          if (state.words.every(function (word) { return text.indexOf(word) >= 0; })) {
            state.found += 1;
            state.shown += 1;
            show(piece.shelf, record, state.words);
          }
        });
      }
      if (state.shown >= SHOWN && state.next <= pieces) {
        say(state);
        more.hidden = false;
        more.onclick = function () {
          state.shown = 0;
          look(state);
        };
        return undefined;
      }
      return look(state);
    });
  }

  function start() {
    run += 1;
    list.replaceChildren();
    more.hidden = true;
    delete form.dataset.done;
    var words = plain(field.value).split(/\s+/).filter(Boolean);
    if (words.length === 0) {
      status.textContent = "";
      return;
    }
    look({ run: run, words: words, only: which.value, next: 1, found: 0, shown: 0, broken: 0 });
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    start();
  });
  form.hidden = false;
  // A search can be kept as a bookmark: search.html#q=words
  var kept = /^#q=(.+)/.exec(location.hash);
  if (kept) {
    try {
      field.value = decodeURIComponent(kept[1]);
      start();
    } catch (_) {
      status.textContent = "";
    }
  }
})();
