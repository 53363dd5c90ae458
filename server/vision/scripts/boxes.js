// Where elements are: CSS px from the page's own top left corner, empty ones left out.
(elements) =>
  elements
    .map((element) => element.getBoundingClientRect())
    .filter((box) => box.width > 0 && box.height > 0)
    .map((box) => ({ x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height }))
