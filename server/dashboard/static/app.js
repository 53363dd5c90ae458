// What every page shares: questions in a dialog, copy buttons, and saying when the server does not answer.
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
