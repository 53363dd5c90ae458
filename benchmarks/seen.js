// What text and pictures a document shows, and where: [key, left, top, right, bottom] in CSS px of the
// page, cut to what overflowing ancestors let through. A text's key is its words; a picture's its address
// or place. `onlyWindow`: only what stands mostly inside the window. A "!" in front: fixed to the window.
(onlyWindow) => {
  const found = [];
  const meet = (a, b) => ({
    left: Math.max(a.left, b.left),
    top: Math.max(a.top, b.top),
    right: Math.min(a.right, b.right),
    bottom: Math.min(a.bottom, b.bottom),
  });
  const area = (box) => Math.max(0, box.right - box.left) * Math.max(0, box.bottom - box.top);

  const note = (key, element, box) => {
    const whole = area(box);
    if (whole < 16 || !element.checkVisibility({ visibilityProperty: true })) return;
    let opacity = 1;
    let fixed = false;
    let shown = box;
    let positioned = getComputedStyle(element).position;
    for (let e = element; e && e !== document.documentElement; e = e.parentElement) {
      const style = getComputedStyle(e);
      opacity *= Number(style.opacity);
      fixed ||= style.position === "fixed" || style.position === "sticky";
      const clips = style.overflowX !== "visible" || style.overflowY !== "visible";
      const escapes = positioned === "absolute" && style.position === "static";
      if (e !== element && e !== document.body && clips && !escapes) shown = meet(shown, e.getBoundingClientRect());
      if (e !== element && style.position !== "static") positioned = style.position;
    }
    if (onlyWindow) shown = meet(shown, { left: 0, top: 0, right: innerWidth, bottom: innerHeight });
    if (opacity < 0.5 || area(shown) < whole * 0.6) return;
    const at = [shown.left + scrollX, shown.top + scrollY, shown.right + scrollX, shown.bottom + scrollY];
    found.push([(fixed ? "!" : "") + key, ...at]);
  };

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const words = texts.currentNode.data.trim().replace(/\s+/g, " ");
    const parent = texts.currentNode.parentElement;
    if (!words || !parent || parent.closest("script, style, noscript, option, title, textarea")) continue;
    const range = document.createRange();
    range.selectNodeContents(texts.currentNode);
    note(`text ${words.slice(0, 80)}`, parent, range.getBoundingClientRect());
  }
  for (const image of document.images) {
    if (image.complete && image.naturalWidth > 0) {
      note(`img ${new URL(image.currentSrc || image.src, location).pathname.slice(-80)}`, image, image.getBoundingClientRect());
    }
  }
  for (const kind of ["canvas", "video", "svg"]) {
    document.querySelectorAll(kind).forEach((element, index) => {
      note(`${kind} ${index}`, element, element.getBoundingClientRect());
    });
  }
  return found;
}
