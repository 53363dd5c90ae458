// What every page shares: questions in a dialog, copy buttons, forms that are sent once, and saying when the server
// does not answer.
// Without this file the questions are pages of their own.

const dialog = document.getElementById("dialog");
const said = document.getElementById("said");

document.body.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "dialog-content" && !dialog.open) dialog.showModal();
});

document.addEventListener("click", (event) => {
  const close = event.target.closest("dialog [data-close]");
  if (close) {
    event.preventDefault();
    close.closest("dialog").close();
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source); // no clipboard without https: select it instead
    button.textContent = "Selected: press Ctrl+C";
  }
});
for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;

// `/` goes to the page's own search, or to the one in the bar, unless one is writing.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const search = document.querySelector("[data-slash]") ?? document.getElementById("search");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
});

// A picture over a test's name goes with Escape, and comes again when one points at the name anew.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const peek of document.querySelectorAll(".peek:is(:hover, :focus-within)")) peek.classList.add("hushed");
});
for (const kind of ["pointerout", "focusout"]) {
  document.addEventListener(kind, (event) => {
    const peek = event.target.closest?.(".peek");
    if (peek && !peek.contains(event.relatedTarget)) peek.classList.remove("hushed");
  });
}

// A double click makes one key, not two of which only the second is seen. What htmx sends is `defaultPrevented` here.
const ANSWERED_WITHIN_MS = 30_000; // after that one may try again: somebody has stopped the page, or it was a download
let sent = new WeakMap();

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (Date.now() - sent.get(form) < ANSWERED_WITHIN_MS) event.preventDefault();
  else sent.set(form, Date.now());
});
window.addEventListener("pageshow", () => { sent = new WeakMap(); }); // gone back to, as it was left

// A page that nobody sees does not ask what is new.
document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.elt.getAttribute("hx-trigger")?.startsWith("every")) event.preventDefault();
});

function say(text) {
  if (said.textContent.includes(text)) return;
  const line = document.createElement("p");
  line.className = "said notice";
  line.textContent = text;
  said.append(line);
}

document.body.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status !== 401) say("The server refused this. Reload the page to see how things stand now.");
});
document.body.addEventListener("htmx:sendError", () => say("The server does not answer. This page shows what it knew last."));
