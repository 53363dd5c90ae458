// Scrolls through the whole page and back, so that what appears on scrolling appears.
//
// At each stop two real frames pass (intersection observers report on frames) and some virtual time
// (the handlers often sit on timers). `mostStops` ends an infinite scroll.
async ({ mostStops, stopMs }) => {
  const { advance, frames } = window[Symbol.for("retestr")];
  const root = document.scrollingElement ?? document.documentElement;
  const top = root.scrollTop;
  for (let stop = 1; stop <= mostStops; stop++) {
    const y = stop * window.innerHeight;
    if (y >= root.scrollHeight) break;
    root.scrollTo({ top: y, left: 0, behavior: "instant" });
    await frames(2);
    await advance(stopMs);
  }
  if (root.scrollTop !== top) {
    root.scrollTo({ top, left: 0, behavior: "instant" });
    await frames(2);
    await advance(stopMs);
  }
}
