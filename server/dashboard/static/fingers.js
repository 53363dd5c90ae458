// Dragging with a mouse or a finger, and pinching with two.

// `pan(dx, dy, event)` is told screen px; `zoom(factor, {x, y})`, if given, is told a point within the element.
// Where `mayPan` says no, a finger scrolls the page instead.
export function watchFingers(element, { pan, zoom, mayPan }) {
  const down = new Map();
  const distance = ([one, other]) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || (event.pointerType === "touch" && !mayPan() && !zoom)) return;
    down.set(event.pointerId, event);
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    const last = down.get(event.pointerId);
    if (!last) return;
    const before = [...down.values()];
    down.set(event.pointerId, event);
    if (before.length === 1) {
      pan(last.clientX - event.clientX, last.clientY - event.clientY, event);
    } else if (zoom) {
      const after = [...down.values()], box = element.getBoundingClientRect();
      const middle = { x: (after[0].clientX + after[1].clientX) / 2, y: (after[0].clientY + after[1].clientY) / 2 };
      zoom(distance(after) / distance(before), { x: middle.x - box.left, y: middle.y - box.top });
    }
  });
  for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, (event) => down.delete(event.pointerId));
}
