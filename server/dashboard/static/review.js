// The review's keyboard, and what stays where it was when the next snapshot is shown.

import { openStage } from "./stage.js";

let stage = null;
let listTop = 0;

function begin() {
  const root = document.getElementById("stage");
  if (!root || root.dataset.open) return;
  root.dataset.open = "yes";
  stage = root.querySelector(".pane") ? openStage(root) : null;
  const review = document.getElementById("review");
  review.classList.toggle("folded", localStorage.getItem("facts") === "folded");
  for (const button of review.querySelectorAll("[data-keys], [data-fold]")) button.hidden = false;
  const list = review.querySelector(".list");
  list.scrollTop = listTop;
  document.getElementById("current")?.scrollIntoView({ block: "nearest" });
}

function fold() {
  const folded = document.getElementById("review").classList.toggle("folded");
  localStorage.setItem("facts", folded ? "folded" : "open");
}

function press(id) {
  document.getElementById(id)?.click();
}

function send(id) {
  document.getElementById(id)?.requestSubmit();
}

function reject() {
  const reason = document.getElementById("reason");
  if (!reason) return;
  if (document.getElementById("review").classList.contains("folded")) fold();
  reason.focus();
}

const KEYS = {
  j: () => press("after"),
  k: () => press("before"),
  a: () => send("approve"),
  r: reject,
  A: () => press("approve-all"),
  " ": () => stage?.flip(),
  s: () => stage?.setMode("side"),
  w: () => stage?.setMode("swipe"),
  o: () => stage?.setMode("onion"),
  d: () => stage?.setMode("difference"),
  f: () => stage?.zoomTo("fit"),
  1: () => stage?.zoomTo("one"),
  "+": () => stage?.zoomBy(1.25),
  "-": () => stage?.zoomBy(0.8),
  n: () => stage?.nextRegion(),
  b: () => stage?.toggleBoxes(),
  i: fold,
  ArrowLeft: () => stage?.nudge(-1),
  ArrowRight: () => stage?.nudge(1),
  "?": () => document.getElementById("keys").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) return;
  const focused = document.activeElement;
  if (focused.matches("input, textarea, select")) {
    if (event.key === "Escape") focused.blur();
    return;
  }
  if (event.key === " " && focused.matches("button, summary")) return;
  if (event.repeat && ["a", "A", "r"].includes(event.key)) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-keys]")) document.getElementById("keys").showModal();
  if (event.target.closest("[data-fold]")) fold();
});

// htmx would put the focus into the next snapshot's reason, and its keys would be typed there.
document.addEventListener("submit", () => document.activeElement.blur());

document.body.addEventListener("htmx:beforeSwap", () => {
  listTop = document.querySelector(".list")?.scrollTop ?? 0;
});
document.body.addEventListener("htmx:afterSwap", begin);
document.body.addEventListener("htmx:afterSettle", () => {
  for (const button of document.querySelectorAll("#review [data-keys], #review [data-fold]")) button.hidden = false;
});
begin();
