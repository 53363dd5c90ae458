// Scrolls the window to `y` CSS px from the top, at once, and lets the page notice.
async (y) => {
  window.scrollTo({ top: Number(y), behavior: "instant" });
  await window[Symbol.for("retestr")]?.frames(2);
}
