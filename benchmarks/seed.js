// Makes one small change in what the first window shows; returns what was changed, or null where nothing fits.
(kind) => {
  const inside = (box) => box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
  const isShown = (element) => {
    const box = element.getBoundingClientRect();
    if (!inside(box) || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return false;
    const hit = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
    return element === hit || element.contains(hit);
  };
  const find = (selector, fits) => [...document.body.querySelectorAll(selector)].find((e) => fits(e) && isShown(e));
  const size = (element) => element.getBoundingClientRect();
  const text = () =>
    find("p, h1, h2, h3, h4, a, span, td, label, li, div", (e) =>
      [...e.childNodes].some((node) => node.nodeType === 3 && /[a-z]{4}/i.test(node.data)),
    );
  const box = () => find("div, section, a, button, table", (e) => size(e).width >= 100 && size(e).height >= 30);
  const change = {
    word: () => {
      const element = text();
      const node = [...element.childNodes].find((n) => n.nodeType === 3 && /[a-z]{4}/i.test(n.data));
      node.data = node.data.replace(/[a-z]{4,}/i, (word) => [...word].reverse().join(""));
      return element;
    },
    border: () => {
      const element = box();
      element.style.setProperty("border", "1px solid #bbb", "important");
      return element;
    },
    colour: () => {
      // A step of Bootstrap's palette mixes in 20 % black: two of them, as from blue-500 to blue-700.
      const parts = (e) => getComputedStyle(e).backgroundColor.match(/[\d.]+/g).map(Number);
      const fits = (e) => parts(e)[3] !== 0 && Math.max(...parts(e).slice(0, 3)) > 80 && size(e).width >= 8;
      const element = find("*", fits);
      const [red, green, blue] = parts(element);
      element.style.setProperty("background-color", `rgb(${red * 0.6} ${green * 0.6} ${blue * 0.6})`, "important");
      return element;
    },
    icon: () => {
      const isSmall = (e) => size(e).width >= 8 && size(e).width <= 80 && size(e).height >= 8;
      const element = find("svg, i[class], img, button, input", isSmall) ?? find("img, a", (e) => size(e).width >= 8);
      element.style.setProperty("visibility", "hidden", "important");
      return element;
    },
    moved: () => {
      const element = text();
      element.style.setProperty("position", "relative", "important");
      element.style.setProperty("left", "3px", "important");
      return element;
    },
    banner: () => {
      const banner = document.createElement("div");
      banner.style.cssText = "height: 20px; font: 12px/20px sans-serif; background: #fec; color: #000";
      banner.textContent = "Closed on Monday";
      document.body.prepend(banner);
      return banner;
    },
  }[kind];
  try {
    return change().tagName;
  } catch {
    return null;
  }
}
