// The review's keyboard, and what stays where it was when the next snapshot is shown: focus, scroll, a folded column.

import { openStage } from "./stage.js";

const byId = (id) => document.getElementById(id);
const announced = byId("announced");
let stage = null;
let listTop = 0;
let saidLast = null; // nothing is announced of the page that was just opened
let toSubject = false;
let hadFocus = false;

function begin() {
  const root = byId("stage");
  dress();
  watchThumbs();
  byId("snapshots").scrollTop = listTop;
  if (!root || root.dataset.open) return;
  root.dataset.open = "yes";
  stage?.close();
  stage = root.querySelector(".pane") ? openStage(root) : null;
  document.querySelector("[data-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  announce();
  fetchNext();
}

// What only works with JavaScript is hidden until here.
function dress() {
  const review = byId("review");
  const folded = localStorage.getItem("facts") === "folded";
  review.classList.add("dressed");
  review.classList.toggle("folded", folded);
  for (const button of review.querySelectorAll("[data-keys], [data-fold]")) button.hidden = false;
  byId("fold")?.setAttribute("aria-expanded", String(!folded));
}

// A run may have thousands of images: only those in view are asked for. (`loading=lazy` asks for some 2,500 px more.)
const inView = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    if (!isIntersecting) continue;
    target.src = target.dataset.src;
    inView.unobserve(target);
  }
});

function watchThumbs() {
  for (const image of document.querySelectorAll(".thumb > img:not([src])")) inView.observe(image);
}

// Says what was decided and what is shown now, to those who cannot see it.
function announce() {
  const words = byId("undo-words")?.textContent ?? "";
  const news = words !== saidLast ? words : "";
  const subject = byId("subject")?.textContent.replace(/\s+/g, " ").trim();
  const state = document.querySelector(".facts-mark")?.textContent.replace(/\s+/g, " ").trim();
  if (saidLast !== null) announced.textContent = [news, subject && `${subject}: ${state}.`].filter(Boolean).join(" ");
  saidLast = words;
}

// The images of the change that comes next, so that it is there at once.
function fetchNext() {
  const next = byId("after")?.dataset.images?.trim().split(" ") ?? [];
  (window.requestIdleCallback ?? setTimeout)(() => next.forEach((address) => { new Image().src = address; }));
}

function fold() {
  const folded = localStorage.getItem("facts") !== "folded";
  localStorage.setItem("facts", folded ? "folded" : "open");
  dress();
}

const press = (id) => byId(id)?.click();

function undo() {
  (byId("undo-button") ?? byId("undo-this-button"))?.click();
}

function askWhy() {
  if (!byId("reject")) return;
  byId("reject").closest(".decisions").classList.add("asking");
  byId("reason").focus();
}

function keep() {
  document.querySelector(".asking")?.classList.remove("asking");
  byId("reject-button")?.focus();
}

const KEYS = {
  j: () => press("after"),
  k: () => press("before"),
  g: () => press("open-group"),
  a: () => byId("approve")?.requestSubmit(), // sent once: htmx leaves a form alone that is on its way
  r: askWhy,
  u: undo,
  A: () => press("approve-all"),
  " ": () => stage?.flip(),
  s: () => stage?.setMode("side"),
  w: () => stage?.setMode("swipe"),
  o: () => stage?.setMode("onion"),
  d: () => stage?.setMode("difference"),
  f: () => stage?.zoomTo("fit"),
  v: () => stage?.zoomTo("width"),
  1: () => stage?.zoomTo("one"),
  "+": () => stage?.zoomBy(1.25),
  "-": () => stage?.zoomBy(0.8),
  n: () => stage?.goToPlace(1),
  p: () => stage?.goToPlace(-1),
  b: () => stage?.toggleBoxes(),
  l: () => stage?.toggleLined(),
  i: fold,
  ArrowLeft: () => stage?.nudge(-1, 0),
  ArrowRight: () => stage?.nudge(1, 0),
  ArrowUp: () => stage?.nudge(0, -1),
  ArrowDown: () => stage?.nudge(0, 1),
  "?": () => byId("keys").showModal(),
};
const ONCE = new Set(["a", "A", "r", "u", "g"]); // not again and again while the key is held down

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) return;
  const focused = document.activeElement;
  if (focused.matches("input:not([type=checkbox], [type=range]), textarea, select")) {
    if (event.key !== "Escape") return;
    if (focused.id === "reason") keep();
    else focused.blur();
    return;
  }
  if (event.key === " " && focused.matches("button, summary, input, [role=button]")) return;
  if (event.key.startsWith("Arrow") && focused.closest(".list, .facts, input")) return;
  if (event.repeat && ONCE.has(event.key)) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-keys]")) byId("keys").showModal();
  if (event.target.closest("[data-fold]")) fold();
  if (event.target.closest("[data-keep]")) keep();
  const rejects = event.target.closest("#reject-button");
  if (rejects && !rejects.closest(".asking")) {
    event.preventDefault();
    askWhy();
  }
});

// ------------------------------------------------------------------------------------------------ filters

let typing = 0;
const narrowing = (event) => event.target.closest?.(".list-narrow");

document.addEventListener("change", (event) => {
  if (narrowing(event) && event.target.type !== "search") narrowing(event).requestSubmit();
});
document.addEventListener("input", (event) => {
  if (!narrowing(event) || event.target.type !== "search") return;
  clearTimeout(typing);
  typing = setTimeout(() => document.querySelector(".list-narrow")?.requestSubmit(), 350); // the list may be another by then
});
document.body.addEventListener("htmx:configRequest", (event) => {
  if (!event.target.matches(".list-narrow")) return;
  for (const [name, value] of Object.entries(event.detail.parameters)) {
    if (value === "") delete event.detail.parameters[name]; // an address to share says only what is set
  }
});

// ------------------------------------------------------------------------------------------------ while a run is going

// What somebody types, chooses or has scrolled to is not taken away by a list that is two seconds newer. The last list,
// of a run that is over, is always shown.
document.body.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  if (target.id !== "list-body") return;
  const list = byId("snapshots");
  const followed = list.querySelectorAll(".row").length > Number(list.dataset.rows);
  if (fragment.querySelector("[data-unfinished]")) event.detail.shouldSwap = !followed && !document.activeElement.closest(".list-narrow");
  else if (byId("name") && fragment.querySelector("#name")) fragment.querySelector("#name").value = byId("name").value;
});

// ------------------------------------------------------------------------------------------------ from one to the next

document.addEventListener("submit", (event) => {
  // else the focus would wait on a button that now decides about something else
  if (event.target.closest(".facts")) toSubject = true;
});
document.body.addEventListener("htmx:beforeSwap", () => {
  listTop = byId("snapshots")?.scrollTop ?? 0;
  hadFocus = document.activeElement !== document.body;
});
document.body.addEventListener("htmx:afterSwap", begin);
document.body.addEventListener("htmx:afterSettle", () => {
  dress();
  const lost = hadFocus && document.activeElement === document.body && !document.querySelector("dialog[open]");
  if (toSubject || lost) byId("subject")?.focus({ preventScroll: true });
  toSubject = false;
});
for (const failure of ["htmx:responseError", "htmx:sendError"]) {
  document.body.addEventListener(failure, () => { toSubject = false; });
}
begin();
