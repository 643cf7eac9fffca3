// What pages do beyond links and forms: theme, local dates, copied commands, live progress. All of it can be missing.
"use strict";
const RETRY_MILLISECONDS = 5000; // after an answer that was an error
const SPOKEN_MILLISECONDS = 30000; // between two sentences for a screen reader

const root = document.documentElement;
const paint = (theme) => (theme === "system" ? root.removeAttribute("data-theme") : root.setAttribute("data-theme", theme));
const stored = () => { try { return localStorage.getItem("theme") || "system"; } catch { return "system"; } };
paint(stored());

function chooseTheme() {
  const choice = document.querySelector("#theme");
  choice.value = stored();
  choice.closest("label").hidden = false;
  choice.addEventListener("change", () => {
    paint(choice.value);
    try { localStorage.setItem("theme", choice.value); } catch { /* a private window forgets */ }
  });
}

function tellLocalTimes(part) {
  for (const time of part.querySelectorAll("time[datetime]")) {
    time.title = time.dateTime;
    time.textContent = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  }
}

function offerCopies(part) {
  if (!navigator.clipboard) return;
  for (const command of part.querySelectorAll(".cmd")) {
    const text = command.querySelector("code, pre").textContent;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", command.querySelector("pre") ? "Copy the text" : `Copy command: ${text}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    });
    command.append(button);
  }
}

const isTyping = () => document.activeElement.matches("input, textarea");

// The stream of events says when something has changed; what changes on the page is then asked for again. A reader
// who was away, or whose tab was hidden, goes on after the last event that he knows. When the study has come to an end,
// the whole page is loaded anew, but not from under someone who writes a note.
function follow() {
  const place = document.querySelector("#live[data-live]");
  if (!place) return;
  const address = place.dataset.live;
  let known = place.dataset.after, stream = null, asking = false, missed = false, spoken = 0;

  async function refresh() {
    if (asking) { missed = true; return; }
    asking = true;
    try {
      const answer = await fetch(`${address}/live`, { headers: { Accept: "text/html" } });
      if (answer.ok) show(new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#live"));
    } catch { /* the service is away; the stream comes back with it */ }
    asking = false;
    if (missed) { missed = false; refresh(); }
  }

  function show(fresh) {
    const shown = document.querySelector("#live");
    if (!fresh.dataset.live) {
      close();
      if (isTyping()) offerReload(shown);
      else location.reload();
      return;
    }
    tellLocalTimes(fresh);
    if (!shown.contains(document.activeElement)) { shown.replaceWith(fresh); offerCopies(fresh); }
    speak();
  }

  function offerReload(shown) {
    const notice = document.createElement("p"), link = document.createElement("a");
    notice.className = "notice";
    notice.setAttribute("role", "alert");
    link.href = address;
    link.textContent = "The study has come to an end. Load the page anew once your note is saved.";
    notice.append(link);
    shown.replaceChildren(notice);
  }

  function speak() {
    const runs = document.querySelector("#runs");
    if (!runs || Date.now() - spoken < SPOKEN_MILLISECONDS) return;
    spoken = Date.now();
    document.querySelector("#spoken").textContent = runs.textContent;
  }

  function open() {
    stream = new EventSource(`/api/v1${address}/events/stream?after=${known}`);
    stream.addEventListener("event", (event) => { known = event.lastEventId; refresh(); });
    stream.addEventListener("study", refresh);
    stream.addEventListener("gone", () => { close(); location.reload(); });
    stream.addEventListener("error", () => {
      if (stream?.readyState === EventSource.CLOSED) { close(); setTimeout(toggle, RETRY_MILLISECONDS); }
    });
  }

  function close() { stream?.close(); stream = null; }

  // A browser has few connections to one host: tabs that nobody looks at give theirs back.
  function toggle() {
    if (document.hidden) close();
    else if (!stream) open();
  }

  document.addEventListener("visibilitychange", toggle);
  toggle();
}

// The forecast of what is filled in; what is typed, and where, stays as it is.
function forecast() {
  const form = document.querySelector("form[data-forecast]");
  if (!form) return;
  let asked = 0;
  form.addEventListener("change", async () => {
    const turn = ++asked;
    try {
      const answer = await fetch(form.dataset.forecast, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (turn === asked) take(fresh);
    } catch { /* the service is away; the button asks again */ }
  });
  function take(fresh) {
    for (const part of form.querySelectorAll("[data-fresh]")) {
      const found = fresh.getElementById(part.id);
      part.replaceChildren(...(found?.childNodes ?? []));
    }
    for (const input of form.querySelectorAll("input")) {
      const found = fresh.querySelector(`input[name="${input.name}"]`);
      if (found?.hasAttribute("aria-invalid")) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
  }
}

chooseTheme();
tellLocalTimes(document);
offerCopies(document);
follow();
forecast();
