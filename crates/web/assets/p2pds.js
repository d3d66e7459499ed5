// p2pds: one small script. Every page works without it; with it, progress moves by itself, times are in the reader's
// own time zone, what should be asked twice is asked twice, and passkeys can be used.
"use strict";

// Times in the reader's own zone, on hovering.
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.valueOf())) {
    time.title = at.toLocaleString(document.documentElement.lang, { dateStyle: "full", timeStyle: "long" });
  }
}

// Progress: the server sends a piece of the page whenever it has changed.
for (const live of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(live.dataset.live);
  source.addEventListener("piece", (event) => {
    const parsed = new DOMParser().parseFromString(event.data, "text/html");
    live.replaceChildren(...parsed.body.childNodes);
  });
  source.addEventListener("end", (event) => {
    source.close();
    if (event.data) location.assign(event.data);
    else location.reload();
  });
}

// What cannot be undone is asked twice.
document.addEventListener("submit", (event) => {
  const asked = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (asked && !window.confirm(asked)) event.preventDefault();
});

// Copying.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const before = button.textContent;
  button.textContent = button.dataset.copied;
  setTimeout(() => { button.textContent = before; }, 1500);
});
for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;

// Forms that send themselves: the answer of an authorization to its application.
for (const form of document.querySelectorAll("form[data-send]")) form.submit();

// Passkeys. The server gives the options as JSON beside the form; the answer goes into a hidden field.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const listed = (list) => (list ?? []).map((each) => ({ ...each, id: bytes(each.id) }));

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.elements.answer.value) return;
    event.preventDefault();
    const said = form.querySelector("[data-said]");
    try {
      const options = JSON.parse(form.dataset.options);
      options.challenge = bytes(options.challenge);
      let answer;
      if (form.dataset.passkey === "create") {
        options.user.id = bytes(options.user.id);
        options.excludeCredentials = listed(options.excludeCredentials);
        const made = await navigator.credentials.create({ publicKey: options });
        answer = {
          id: made.id, type: made.type,
          response: {
            clientDataJSON: text(made.response.clientDataJSON),
            attestationObject: text(made.response.attestationObject),
            transports: made.response.getTransports?.() ?? [],
          },
        };
      } else {
        options.allowCredentials = listed(options.allowCredentials);
        const got = await navigator.credentials.get({ publicKey: options });
        answer = {
          id: got.id, type: got.type,
          response: {
            clientDataJSON: text(got.response.clientDataJSON),
            authenticatorData: text(got.response.authenticatorData),
            signature: text(got.response.signature),
            userHandle: got.response.userHandle ? text(got.response.userHandle) : null,
          },
        };
      }
      form.elements.answer.value = JSON.stringify(answer);
      form.submit();
    } catch (error) {
      if (said) said.textContent = `${said.dataset.said} (${error.name})`;
    }
  });
}
