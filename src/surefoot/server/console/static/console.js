// Keeps a page live: what changed is fetched as the server renders it, and pieces of text are shown as they come.
"use strict";

const main = document.getElementById("main");
let due = 0;

function busy() {
  const active = document.activeElement;
  const typing = active && active.matches("input:not([type=hidden]), textarea") && active.value !== "" && active.closest("form[method=post]");
  return typing || document.querySelector("main details[open]");
}

async function refresh() {
  due = 0;
  if (busy()) { due = setTimeout(refresh, 1000); return; }
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = fresh.getElementById("main");
  const nav = fresh.querySelector("nav");
  if (!next || busy()) { due = due || setTimeout(refresh, 1000); return; }
  const focused = document.activeElement && document.activeElement.name;
  document.title = fresh.title;
  if (nav) document.querySelector("nav").replaceWith(nav);
  main.replaceChildren(...next.childNodes);
  if (focused) { const again = main.querySelector(`[name="${CSS.escape(focused)}"]`); if (again) again.focus(); }
  listen();
}

let pieces = null;
function listen() {
  if (pieces) { pieces.close(); pieces = null; }
  const place = main.querySelector("[data-stream]:not([hidden])");
  if (!place) return;
  pieces = new EventSource(place.dataset.stream);
  pieces.addEventListener("delta", (event) => {
    const delta = JSON.parse(event.data);
    if (delta.kind === "text") place.textContent += delta.text;
  });
  pieces.addEventListener("end", () => { pieces.close(); pieces = null; });
}

function changed() { if (!due) due = setTimeout(refresh, 250); }

if (main && main.dataset.live) {
  const changes = new EventSource(main.dataset.live);
  changes.addEventListener("change", changed);
  // What happened before there was a connection, or while it was lost, is in the page that the server renders now.
  changes.addEventListener("open", changed);
  listen();
}

// What an edit changes is shown before it is sent.
document.addEventListener("input", (event) => {
  const form = event.target.closest("form");
  const shown = form && form.querySelector("output");
  if (!shown) return;
  const changed = [...form.querySelectorAll("[data-was]")].filter((field) => field.value !== field.dataset.was);
  shown.textContent = changed.map((field) => `${field.name.slice(5)}: ${field.dataset.was} → ${field.value}`).join("; ");
});

// How long a question can still be answered, counted down as the server wrote it.
function left(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = Math.max(0, parts.findIndex(([size]) => seconds >= size));
  return parts.slice(first, first + 2).map(([size, unit], index) => `${Math.floor(index ? (seconds % parts[first][0]) / size : seconds / size)} ${unit}`).join(" ");
}
setInterval(() => {
  for (const place of document.querySelectorAll("[data-until]")) {
    const seconds = Math.floor((Number(place.dataset.until) - Date.now()) / 1000);
    place.textContent = seconds > 0 ? left(seconds) : "no time";
  }
}, 1000);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const all = [...document.querySelectorAll("[data-question]")];
  if (!all.length) return;
  const here = all.findIndex((one) => one.contains(document.activeElement));
  if (event.key === "j" || event.key === "k") {
    const next = all[Math.min(all.length - 1, Math.max(0, here + (event.key === "j" ? 1 : -1)))];
    next.tabIndex = -1;
    next.focus();
  } else if (here >= 0) {
    const button = all[here].querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
    if (button) button.click();
  }
});
