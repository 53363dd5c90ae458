// Where rows of two images of one page stand when what moved is lined up. All numbers are image px.

// `shifts` are [y, rows] from top to bottom: that many rows were inserted at y of the later image; negative: removed.
// Answers how high both are together, and of which slices and gaps each is made: {out, from, count} or {out, gap}.
export function lineUp(shifts, beforeHeight, afterHeight) {
  const baseline = [], actual = [];
  let before = 0, after = 0, out = 0;
  function both(count) {
    if (count <= 0) return;
    slice(baseline, out, before, count);
    slice(actual, out, after, count);
    before += count, after += count, out += count;
  }
  for (const [y, rows] of shifts) {
    both(y - after);
    if (rows > 0) {
      slice(actual, out, after, rows);
      baseline.push({ out, gap: rows, kind: "inserted" });
      after += rows;
    } else {
      slice(baseline, out, before, -rows);
      actual.push({ out, gap: -rows, kind: "removed", y });
      before -= rows;
    }
    out += Math.abs(rows);
  }
  both(Math.min(beforeHeight - before, afterHeight - after));
  return { height: out, baseline, actual };
}

// Neighbouring rows stay one slice: fewer elements, and no seams between them.
function slice(parts, out, from, count) {
  const last = parts.at(-1);
  if (last && !last.gap && last.from + last.count === from && last.out + last.count === out) last.count += count;
  else parts.push({ out, from, count });
}

// A box of the later image where it stands when lined up; the line that marks removed rows becomes their gap.
export function boxWhenLinedUp(lined, { y, height }) {
  const gap = height === 1 && lined.actual.find((part) => part.kind === "removed" && part.y === y);
  if (gap) return { y: gap.out, height: gap.gap };
  const at = (row) => {
    const part = lined.actual.findLast((each) => !each.gap && each.from <= row) ?? { out: 0, from: 0 };
    return part.out + row - part.from;
  };
  return { y: at(y), height: at(y + Math.max(height, 1) - 1) - at(y) + 1 };
}

// The slices of an image as elements, in percent of the whole, so that they grow and shrink with it.
export function drawSlices(image, parts, height, whole) {
  return parts.map((part) => {
    const rows = part.gap ?? part.count;
    const element = document.createElement("div");
    element.className = part.gap ? `gap ${part.kind}` : "slice";
    element.style.top = `${(part.out / height) * 100}%`;
    element.style.height = `${(rows / height) * 100}%`;
    if (part.gap) return element;
    const copy = image.cloneNode();
    copy.alt = "";
    copy.style.height = `${(whole / rows) * 100}%`;
    copy.style.top = `${(-part.from / rows) * 100}%`;
    element.append(copy);
    return element;
  });
}
