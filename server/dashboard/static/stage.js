// The image stage: modes, zoom and pan. All panes share one scale and one corner, so they move in step.
// Sizes are image px unless a name says otherwise; what a person chose is kept for the next snapshot.

const kept = {
  get: (name, otherwise) => sessionStorage.getItem(`stage-${name}`) ?? otherwise,
  set: (name, value) => sessionStorage.setItem(`stage-${name}`, value),
};
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const LARGEST = 8, SMALLEST = 0.02;

export function openStage(root) {
  const panes = [...root.querySelectorAll(".pane")];
  const canvases = panes.map((pane) => pane.querySelector(".canvas"));
  const windows = panes.map((pane) => pane.querySelector(".window"));
  const width = Math.max(...canvases.map((canvas) => Number(canvas.dataset.width)));
  const height = Math.max(...canvases.map((canvas) => Number(canvas.dataset.height)));
  const has = (kind) => panes.some((pane) => pane.dataset.kind === kind);
  const splitLine = root.querySelector(".split");
  const onion = root.querySelector("[data-onion]");
  const flipName = root.querySelector(".flip-name");
  const view = { zoom: kept.get("zoom", "fit"), scale: 1, x: 0, y: 0, split: 50 };
  let region = -1;

  const possible = (mode) =>
    mode === "side" || (mode === "difference" ? has("difference") : has("baseline") && has("actual"));
  const frame = () => {
    const shown = windows.find((each) => getComputedStyle(each).visibility !== "hidden") ?? windows[0];
    return { width: shown.clientWidth, height: shown.clientHeight };
  };

  function fitting({ width: w, height: h }) {
    const whole = Math.min(w / width, h / height, 1);
    const across = Math.min(w / width, 1);
    return whole < across * 0.4 ? across : whole; // a long page fits by its width and is scrolled
  }

  // Side by side, the panes stand in as many columns as let the images be largest; three if in doubt.
  function arrange() {
    const grid = root.querySelector(".panes");
    const count = panes.length, caption = 36;
    let best = count, largest = 0;
    for (let columns = count; columns >= 1; columns--) {
      const rows = Math.ceil(count / columns);
      const scale = Math.min((grid.clientWidth / columns - 16) / width, (grid.clientHeight / rows - caption) / height, 1);
      if (scale > largest * 1.2) [best, largest] = [columns, scale];
    }
    grid.dataset.columns = best;
  }

  function apply() {
    if (root.dataset.mode === "side") arrange();
    const box = frame();
    if (!box.width || !box.height) return;
    if (view.zoom === "fit") view.scale = fitting(box);
    if (view.zoom === "one") view.scale = 1 / window.devicePixelRatio;
    const seen = { width: box.width / view.scale, height: box.height / view.scale };
    view.x = width <= seen.width ? (width - seen.width) / 2 : clamp(view.x, 0, width - seen.width);
    view.y = clamp(view.y, 0, Math.max(0, height - seen.height));
    for (const canvas of canvases) {
      canvas.style.width = `${canvas.dataset.width * view.scale}px`;
      canvas.style.height = `${canvas.dataset.height * view.scale}px`;
      canvas.style.transform = `translate(${Math.round(-view.x * view.scale)}px, ${Math.round(-view.y * view.scale)}px)`;
    }
    root.toggleAttribute("data-pannable", width > seen.width + 1 || height > seen.height + 1);
    const scale = root.querySelector("[data-scale]");
    if (scale) scale.textContent = `${Math.round(view.scale * window.devicePixelRatio * 100)} %`;
    for (const button of root.querySelectorAll("[data-zoom-button]")) {
      button.setAttribute("aria-pressed", String(button.dataset.zoomButton === view.zoom));
    }
  }

  function zoomTo(zoom) {
    const box = frame();
    const middle = { x: view.x + box.width / view.scale / 2, y: view.y + box.height / view.scale / 2 };
    const wasFit = view.zoom === "fit";
    view.zoom = zoom;
    kept.set("zoom", zoom);
    const scale = zoom === "one" ? 1 / window.devicePixelRatio : view.scale;
    const first = zoom === "one" && wasFit && region < 0 ? regions()[0] : null;
    if (first) Object.assign(middle, centre(first));
    view.x = middle.x - box.width / scale / 2;
    view.y = middle.y - box.height / scale / 2;
    apply();
  }

  function zoomBy(factor, at) {
    const box = frame();
    const point = at ?? { x: box.width / 2, y: box.height / 2 };
    const scale = clamp(view.scale * factor, SMALLEST, LARGEST);
    view.x += point.x / view.scale - point.x / scale;
    view.y += point.y / view.scale - point.y / scale;
    view.scale = scale;
    view.zoom = "free";
    apply();
  }

  function panBy(dx, dy) {
    view.x += dx / view.scale;
    view.y += dy / view.scale;
    apply();
  }

  function setMode(mode) {
    if (!possible(mode)) return;
    root.dataset.mode = mode;
    kept.set("mode", mode);
    for (const button of root.querySelectorAll("[data-mode-button]")) {
      button.setAttribute("aria-pressed", String(button.dataset.modeButton === mode));
    }
    if (mode === "flip") nameFlip();
    apply();
  }

  function nameFlip() {
    flipName.textContent = root.hasAttribute("data-flipped") ? "Actual" : "Baseline";
  }

  function flip() {
    if (!possible("flip")) return;
    if (root.dataset.mode === "flip") root.toggleAttribute("data-flipped");
    else root.setAttribute("data-flipped", "");
    setMode("flip");
  }

  function setSplit(percent) {
    view.split = clamp(percent, 0, 100);
    root.style.setProperty("--split", view.split);
    splitLine.setAttribute("aria-valuenow", String(Math.round(view.split)));
  }

  function setOnion(percent) {
    onion.value = String(clamp(percent, 0, 100));
    root.style.setProperty("--onion", String(onion.value / 100));
  }

  function regions() {
    return [...root.querySelectorAll('[data-kind="actual"] .region')].map((rect) => rect.getBBox());
  }
  const centre = (box) => ({ x: box.x + box.width / 2, y: box.y + box.height / 2 });

  function nextRegion() {
    const all = regions();
    if (!all.length) return;
    region = (region + 1) % all.length;
    if (view.zoom === "fit") view.zoom = "one";
    apply();
    const box = frame(), at = centre(all[region]);
    view.x = at.x - box.width / view.scale / 2;
    view.y = at.y - box.height / view.scale / 2;
    apply();
  }

  function setBoxes(on) {
    root.classList.toggle("no-boxes", !on);
    root.querySelector("[data-boxes]")?.setAttribute("aria-pressed", String(on));
    kept.set("boxes", on ? "on" : "off");
  }

  function drag(element, move) {
    let last = null;
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || (event.pointerType === "touch" && element !== splitLine && !root.hasAttribute("data-pannable"))) return;
      last = event;
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => {
      if (!last) return;
      move(event.clientX - last.clientX, event.clientY - last.clientY, event);
      last = event;
    });
    for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, () => { last = null; });
  }

  for (const each of windows) {
    drag(each, (dx, dy) => panBy(-dx, -dy));
    each.addEventListener("wheel", (event) => {
      const box = each.getBoundingClientRect();
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        zoomBy(Math.exp(-event.deltaY / 300), { x: event.clientX - box.left, y: event.clientY - box.top });
      } else if (root.hasAttribute("data-pannable")) {
        event.preventDefault();
        panBy(event.shiftKey ? event.deltaY : event.deltaX, event.shiftKey ? 0 : event.deltaY);
      }
    }, { passive: false });
    each.addEventListener("dblclick", () => zoomTo(view.zoom === "fit" ? "one" : "fit"));
  }
  if (splitLine) {
    drag(splitLine, (dx, dy, event) => {
      const box = windows[0].getBoundingClientRect();
      setSplit(((event.clientX - box.left) / box.width) * 100);
    });
    onion.addEventListener("input", () => setOnion(Number(onion.value)));
  }
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const mode = button.dataset.modeButton;
    if (mode === "flip" && root.dataset.mode === "flip") flip();
    else if (mode) setMode(mode);
    if (button.dataset.zoomButton) zoomTo(button.dataset.zoomButton);
    if ("boxes" in button.dataset) setBoxes(root.classList.contains("no-boxes"));
    if (event.detail) button.blur(); // pressed by mouse: the space bar flips, it does not press again
  });

  function nudge(step) {
    if (root.dataset.mode === "swipe") setSplit(view.split + step * 2);
    else if (root.dataset.mode === "onion") setOnion(Number(onion.value) + step * 5);
    else panBy(step * 60, 0);
  }

  root.classList.add("live");
  const tools = root.querySelector(".tools");
  if (tools) tools.hidden = false;
  setBoxes(kept.get("boxes", "on") === "on");
  setMode(possible(kept.get("mode", "side")) ? kept.get("mode", "side") : "side");
  new ResizeObserver(apply).observe(root);
  apply();
  return {
    setMode, flip, zoomTo, zoomBy, nudge, nextRegion, panBy,
    toggleBoxes: () => setBoxes(root.classList.contains("no-boxes")),
  };
}
