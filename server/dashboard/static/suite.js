// Line numbers beside the suite, and links from what is wrong to its line.

const text = document.getElementById("suite");
const wrong = [...document.querySelectorAll("[data-line]")];

function number(editor, gutter) {
  const bad = new Set(wrong.map((link) => Number(link.dataset.line)));
  const count = text.value.split("\n").length;
  gutter.replaceChildren();
  for (let line = 1; line <= count; line++) {
    const place = document.createElement("span");
    place.textContent = `${line}\n`;
    if (bad.has(line)) place.className = "bad";
    gutter.append(place);
  }
  gutter.scrollTop = text.scrollTop;
}

function goTo(line, column) {
  const lines = text.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
  text.focus();
  text.setSelectionRange(start + column - 1, start + (lines[line - 1] ?? "").length);
  text.scrollTop = (line - 4) * 20;
}

if (text) {
  const gutter = document.createElement("div");
  gutter.className = "gutter";
  gutter.setAttribute("aria-hidden", "true");
  text.parentElement.append(gutter);
  text.parentElement.classList.add("numbered");
  number(text.parentElement, gutter);
  text.addEventListener("input", () => number(text.parentElement, gutter));
  text.addEventListener("scroll", () => { gutter.scrollTop = text.scrollTop; });
  for (const link of wrong) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      goTo(Number(link.dataset.line), Number(link.dataset.column));
    });
  }
}
