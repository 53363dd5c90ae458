// Where one of the values is to be read, in texts and fields: CSS px from the page's own top left corner.
(values) => {
  const has = (text) => typeof text === "string" && values.some((value) => text.includes(value));
  const found = [];
  for (const root of window[Symbol.for("retestr")].roots()) {
    for (const element of root.querySelectorAll("*")) {
      const inField = has(element.value) || has(element.placeholder);
      const inText = has(element.textContent) && ![...element.children].some((child) => has(child.textContent));
      if (inField || inText) found.push(element.getBoundingClientRect());
    }
  }
  return found
    .filter((box) => box.width > 0 && box.height > 0)
    .map((box) => ({ x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height }));
}
