// The image stage: modes, zoom, pan, and the way from one changed place to the next. All panes share one scale and one
// corner, so they move in step. Sizes are image px unless a name says otherwise; what a person chose is kept.

import { boxWhenLinedUp, drawSlices, lineUp } from "./align.js";
import { watchFingers } from "./fingers.js";

const kept = {
  get: (name, otherwise) => sessionStorage.getItem(`stage-${name}`) ?? otherwise,
  set: (name, value) => sessionStorage.setItem(`stage-${name}`, value),
};
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const LARGEST = 8, SMALLEST = 0.02;
const narrow = matchMedia("(max-width: 900px)");

// Boxes stand 2 px around what changed; where each stood when the page came, without them.
const aroundOf = (rect) => (rect.classList.contains("region") ? 2 : 0);
const boxesOf = (canvas) => new Map([...canvas.querySelectorAll(".region, .ignored")].map((rect) => {
  const { y, height } = rect.getBBox(), around = aroundOf(rect);
  return [rect, { y: y + around, height: height - 2 * around }];
}));

export function openStage(root) {
  const panes = [...root.querySelectorAll(".pane")].map((element) => {
    const canvas = element.querySelector(".canvas");
    const { width, height } = canvas.dataset;
    return {
      element, canvas, kind: element.dataset.kind, window: element.querySelector(".window"),
      image: canvas.querySelector("img"), boxes: boxesOf(canvas), width: Number(width), height: Number(height), shown: Number(height),
    };
  });
  const paneOf = (kind) => panes.find((pane) => pane.kind === kind);
  const both = Boolean(paneOf("baseline") && paneOf("actual"));
  const shifts = JSON.parse(root.dataset.shifts || "[]");
  const splitLine = root.querySelector(".split");
  const onion = root.querySelector("[data-onion]");
  const view = { zoom: kept.get("zoom", "fit"), scale: 1, x: 0, y: 0, split: 50 };
  const width = Math.max(...panes.map((pane) => pane.width));
  let height = 0, place = -1, waiting = 0, modeBefore = "side";

  const possible = (mode) => mode === "side" || (mode === "difference" ? Boolean(paneOf("difference")) : both);
  const shownPane = () => panes.find((pane) => getComputedStyle(pane.element).visibility !== "hidden") ?? panes[0];
  const frame = () => {
    const { window: shown } = shownPane();
    return { width: shown.clientWidth, height: shown.clientHeight };
  };

  function fitting({ width: w, height: h }) {
    const whole = Math.min(w / width, h / height, 1);
    const across = Math.min(w / width, 1);
    return view.zoom === "width" || whole < across * 0.4 ? across : whole; // a long page fits by its width
  }

  // Side by side, the panes stand in as many columns as let the images be largest; in a row if in doubt.
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
    waiting = 0;
    if (root.dataset.mode === "side") arrange();
    const box = frame();
    if (!box.width || !box.height) return;
    if (view.zoom === "fit" || view.zoom === "width") view.scale = fitting(box);
    if (view.zoom === "one") view.scale = 1 / window.devicePixelRatio;
    const seen = { width: box.width / view.scale, height: box.height / view.scale };
    view.x = width <= seen.width ? (width - seen.width) / 2 : clamp(view.x, 0, width - seen.width);
    view.y = clamp(view.y, 0, Math.max(0, height - seen.height));
    for (const pane of panes) {
      pane.canvas.style.width = `${pane.width * view.scale}px`;
      pane.canvas.style.height = `${pane.shown * view.scale}px`;
      pane.canvas.style.transform = `translate(${Math.round(-view.x * view.scale)}px, ${Math.round(-view.y * view.scale)}px)`;
    }
    root.toggleAttribute("data-pannable", width > seen.width + 1 || height > seen.height + 1);
    showOverview(seen);
    const scale = root.querySelector("[data-scale]");
    scale.textContent = `${Math.round(view.scale * window.devicePixelRatio * 100)} %`;
    for (const button of root.querySelectorAll("[data-zoom-button]")) {
      button.setAttribute("aria-pressed", String(button.dataset.zoomButton === view.zoom));
    }
  }

  // Once per frame, however many events ask for it.
  function applySoon() {
    waiting ||= requestAnimationFrame(apply);
  }

  function zoomTo(zoom) {
    const box = frame();
    const middle = { x: view.x + box.width / view.scale / 2, y: view.y + box.height / view.scale / 2 };
    const wasFitting = view.zoom === "fit" || view.zoom === "width";
    const scale = zoom === "one" ? 1 / window.devicePixelRatio : view.scale;
    const first = zoom === "one" && wasFitting && place < 0 ? places()[0] : null;
    if (first) Object.assign(middle, centre(first));
    view.zoom = zoom;
    kept.set("zoom", zoom);
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
    applySoon();
  }

  function panBy(dx, dy) {
    view.x += dx / view.scale;
    view.y += dy / view.scale;
    applySoon();
  }

  // ---------------------------------------------------------------------------------------------- modes

  function setMode(mode) {
    if (!possible(mode)) return;
    if (mode === "difference" && root.dataset.mode === "difference") mode = modeBefore;
    else modeBefore = root.dataset.mode;
    root.dataset.mode = mode;
    kept.set("mode", mode);
    for (const button of root.querySelectorAll("[data-mode-button]")) {
      button.setAttribute("aria-pressed", String(button.dataset.modeButton === mode));
    }
    if (mode === "flip") {
      root.querySelector(".flip-name").textContent = root.hasAttribute("data-flipped") ? "Actual" : "Baseline";
    }
    apply();
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

  // ---------------------------------------------------------------------------------------------- places that changed

  function rects() {
    return [...(paneOf("actual")?.canvas.querySelectorAll(".region") ?? [])];
  }

  function places() {
    const found = rects().map((rect) => rect.getBBox());
    return found.sort((one, other) => one.y - other.y || one.x - other.x);
  }
  const centre = (box) => ({ x: box.x + box.width / 2, y: box.y + box.height / 2 });

  function goToPlace(step) {
    const all = places();
    if (!all.length) return;
    place = place < 0 && step < 0 ? all.length - 1 : (place + step + all.length) % all.length;
    const at = all[place], box = frame();
    if (view.zoom === "fit" || view.zoom === "width") view.zoom = "one";
    if (view.zoom === "one") view.scale = 1 / window.devicePixelRatio;
    view.x = at.width * view.scale > box.width ? at.x - 16 / view.scale : centre(at).x - box.width / view.scale / 2;
    view.y = at.height * view.scale > box.height ? at.y - 16 / view.scale : centre(at).y - box.height / view.scale / 2;
    apply();
    pulse(at);
    showPlace(all.length);
  }

  function showPlace(count) {
    const said = root.querySelector("[data-place]");
    if (said) said.textContent = place < 0 ? `${count} place${count === 1 ? "" : "s"}` : `${place + 1} of ${count}`;
  }

  function pulse(at) {
    for (const rect of root.querySelectorAll(".region")) {
      const box = rect.getBBox();
      rect.classList.remove("pulsing");
      rect.getBoundingClientRect(); // has the browser see it without the class, so that it pulses again
      rect.classList.toggle("pulsing", box.x === at.x && box.y === at.y);
    }
  }

  // A long page is opened where it changed, if the top of it does not show that.
  function showFirstPlace() {
    const all = places(), seen = frame().height / view.scale;
    if (!all.length || all[0].y < seen * 0.8) return;
    view.y = all[0].y - seen / 4;
    apply();
  }

  // The narrow strip beside a long page: where it changed, and which part of it is seen.
  function showOverview(seen) {
    const overview = root.querySelector(".overview");
    overview.hidden = seen.height >= height;
    const thumb = overview.querySelector(".overview-seen");
    thumb.style.top = `${(view.y / height) * 100}%`;
    thumb.style.height = `${Math.min(1, seen.height / height) * 100}%`;
  }

  function drawOverview() {
    const overview = root.querySelector(".overview");
    for (const old of overview.querySelectorAll(".overview-place")) old.remove();
    for (const at of places()) {
      const tick = document.createElement("span");
      tick.className = "overview-place";
      tick.style.top = `${(at.y / height) * 100}%`;
      tick.style.height = `${(at.height / height) * 100}%`;
      overview.append(tick);
    }
  }

  function setBoxes(on) {
    root.classList.toggle("no-boxes", !on);
    root.querySelector("[data-boxes]")?.setAttribute("aria-pressed", String(on));
    kept.set("boxes", on ? "on" : "off");
  }

  // ---------------------------------------------------------------------------------------------- rows that moved

  function setLined(on) {
    if (!both || !shifts.length) on = false;
    const lined = on ? lineUp(shifts, paneOf("baseline").height, paneOf("actual").height) : null;
    for (const pane of panes) {
      const parts = lined?.[pane.kind];
      for (const old of pane.canvas.querySelectorAll(".slice, .gap")) old.remove();
      pane.canvas.classList.toggle("lined", Boolean(parts));
      if (parts) pane.canvas.append(...drawSlices(pane.image, parts, lined.height, pane.height));
      pane.shown = parts ? lined.height : pane.height;
      moveBoxes(pane, lined);
    }
    height = Math.max(...panes.map((pane) => pane.shown));
    place = -1;
    showPlace(rects().length);
    root.querySelector("[data-lined]")?.setAttribute("aria-pressed", String(on));
    drawOverview();
  }

  function moveBoxes(pane, lined) {
    const boxes = pane.canvas.querySelector(".boxes");
    if (!boxes) return;
    boxes.setAttribute("viewBox", `0 0 ${pane.width} ${pane.shown}`);
    pane.canvas.append(boxes);
    for (const [rect, own] of pane.boxes) {
      const { y, height: rows } = lined ? boxWhenLinedUp(lined, own) : own;
      const around = aroundOf(rect);
      rect.setAttribute("y", y - around);
      rect.setAttribute("height", rows + 2 * around);
    }
  }

  function toggleLined() {
    if (!shifts.length || !both) return;
    const on = root.querySelector("[data-lined]").getAttribute("aria-pressed") !== "true";
    kept.set("lined", on ? "on" : "off");
    setLined(on);
    apply();
  }

  // ---------------------------------------------------------------------------------------------- mouse and fingers

  for (const { window: each } of panes) {
    watchFingers(each, { pan: panBy, zoom: zoomBy, mayPan: () => root.hasAttribute("data-pannable") });
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
    each.addEventListener("dblclick", () => zoomTo(view.zoom === "one" ? "fit" : "one"));
  }
  if (splitLine) {
    watchFingers(splitLine, {
      pan: (dx, dy, event) => {
        const box = panes[0].window.getBoundingClientRect();
        setSplit(((event.clientX - box.left) / box.width) * 100);
      },
      mayPan: () => true,
    });
    onion.addEventListener("input", () => setOnion(Number(onion.value)));
  }
  root.querySelector(".overview").addEventListener("pointerdown", (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    view.y = ((event.clientY - box.top) / box.height) * height - frame().height / view.scale / 2;
    apply();
  });
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { modeButton: mode, zoomButton: zoom } = button.dataset;
    if (mode === "flip" && root.dataset.mode === "flip") flip();
    else if (mode) setMode(mode);
    if (zoom) zoomTo(zoom);
    if ("boxes" in button.dataset) toggleBoxes();
    if ("lined" in button.dataset) toggleLined();
    if (button.dataset.goTo) goToPlace(Number(button.dataset.goTo));
    if (event.detail) button.blur(); // pressed by mouse: the space bar flips, it does not press again
  });

  function nudge(dx, dy) {
    if (dx && root.dataset.mode === "swipe") setSplit(view.split + dx * 2);
    else if (dx && root.dataset.mode === "onion") setOnion(Number(onion.value) + dx * 5);
    else panBy(dx * 60, dy * 60);
  }

  function toggleBoxes() {
    setBoxes(root.classList.contains("no-boxes"));
  }

  root.classList.add("live");
  for (const tools of root.querySelectorAll(".tools")) tools.hidden = false;
  setBoxes(kept.get("boxes", "on") === "on");
  setLined(kept.get("lined", "on") === "on");
  const mode = kept.get("mode", narrow.matches ? "swipe" : "side");
  root.dataset.mode = "side";
  setMode(possible(mode) ? mode : "side");
  showFirstPlace();
  const resized = new ResizeObserver(applySoon);
  resized.observe(root);
  return { setMode, flip, zoomTo, zoomBy, nudge, goToPlace, toggleBoxes, toggleLined, close: () => resized.disconnect() };
}
