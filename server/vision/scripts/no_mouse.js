// Runs in every document before the page's own scripts, after `backstage.js`.
//
// Without a mouse the browser believes it to be in the window's top left corner, and tells a new tab so: at whichever
// moment it gets round to it, and more than once. Pages react for good: particles flee, a node of a graph is held on
// to. So what comes from there is told to nobody. Where a step puts the mouse is somewhere else.
(() => {
  const drop = (event) => {
    if (event.isTrusted && event.screenX === 0 && event.screenY === 0) event.stopImmediatePropagation();
  };
  for (const kind of ["mouse", "pointer"]) {
    for (const what of ["over", "enter", "move", "out", "leave"]) window.addEventListener(kind + what, drop, true);
  }
})();
