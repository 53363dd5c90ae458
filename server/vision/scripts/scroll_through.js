// Scrolls through the whole page and back, so that what appears on scrolling appears, and stays.
//
// At each stop the page is drawn once (intersection observers report then) and some virtual time passes
// (the handlers often sit on timers). What grows on the way is followed for `mostGrowth` windows, for
// some pages never end; `mostStops` is the end in any case. Pages that hide again what was scrolled
// past are overruled: an element that was seen at a stop, is not fixed to the window, and shows less
// afterwards gets back the attributes that it had when it was seen.
// Returns the page's height at first and how far it was followed (CSS px), whether it went on growing, and whether
// it may have changed since it was last drawn, as far as can be told.
async ({ mostStops, mostGrowth, stopMs, animation }) => {
  const { advance, drawn, endAnimations, roots } = window[Symbol.for("retestr")];
  const root = document.scrollingElement ?? document.documentElement;
  const top = root.scrollTop;
  const heightAtFirst = root.scrollHeight;

  const isVisible = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const visibleParts = (element) =>
    isVisible(element) ? 1 + [...element.querySelectorAll("*")].slice(0, 100).filter(isVisible).length : 0;
  const visibleSiblings = (element) =>
    [...(element.parentElement?.children ?? [])].filter((other) => other !== element && isVisible(other));
  const isFixed = (element) => {
    for (let e = element; e; e = e.parentElement) {
      if (["fixed", "sticky"].includes(getComputedStyle(e).position)) return true;
    }
    return false;
  };

  const seen = new Map(); // elements whose attributes changed -> what they were like when seen best
  let mayHaveChanged = false;
  const watch = new MutationObserver((records) => {
    mayHaveChanged = true;
    for (const { target, type } of records) if (type === "attributes" && !seen.has(target)) seen.set(target, null);
  });
  watch.observe(document, { subtree: true, attributes: true, childList: true, characterData: true });
  const lookAround = () => {
    if (seen.size && animation && endAnimations(false)) mayHaveChanged = true;
    for (const [element, before] of seen) {
      const box = element.getBoundingClientRect();
      const isReached = box.top < innerHeight && box.width > 0 && box.height > 0;
      const parts = isReached ? visibleParts(element) : 0;
      if (parts === 0 || parts < (before?.parts ?? 0) || isFixed(element)) continue;
      seen.set(element, {
        parts,
        top: box.top + root.scrollTop,
        bottom: box.bottom + root.scrollTop,
        attributes: [...element.attributes].map(({ name, value }) => [name, value]),
        siblings: new Set(visibleSiblings(element)),
      });
    }
  };
  const restore = (element, attributes) => {
    const kept = new Set(attributes.map(([name]) => name));
    for (const { name } of [...element.attributes]) if (!kept.has(name)) element.removeAttribute(name);
    for (const [name, value] of attributes) {
      if (element.getAttribute(name) !== value) element.setAttribute(name, value);
    }
  };
  const goTo = async (y) => {
    mayHaveChanged = roots().length > 1; // what happens in shadows is not observed
    root.scrollTo({ top: y, left: 0, behavior: "instant" });
    await drawn();
    if (await advance(stopMs)) mayHaveChanged = true;
    lookAround();
  };

  const end = heightAtFirst + mostGrowth * innerHeight;
  let y = innerHeight;
  for (let stop = 1; stop <= mostStops && y < Math.min(root.scrollHeight, end); stop++, y += innerHeight) {
    await goTo(y);
  }
  const isEndless = root.scrollHeight > end;
  if (root.scrollTop !== top) await goTo(top);
  watch.disconnect();

  // In a slider another one took its place, which is no hiding.
  const isReplaced = (element, best) =>
    visibleSiblings(element).some((other) => {
      const box = other.getBoundingClientRect();
      const isBeside = box.top + root.scrollTop < best.bottom && box.bottom + root.scrollTop > best.top;
      return isBeside && !best.siblings.has(other);
    });
  const isHidden = ([element, best]) =>
    best &&
    visibleParts(element) < best.parts &&
    !isReplaced(element, best);
  const hidden = [...seen].filter(isHidden);
  for (const [element, best] of hidden) restore(element, best.attributes);
  return { heightAtFirst, followedTo: y, isEndless, mayHaveChanged: mayHaveChanged || hidden.length > 0 };
}
