// Runs in every document before the page's own scripts, in the page's world, before `clock.js`.
//
// It keeps what the other scripts need of the real browser in `window[Symbol.for("retestr")]`, among it a
// switch (`hold`) after which the page is told nothing more of resizing or scrolling: taking a picture
// larger than the window makes the browser report both, and pages react to them.
(() => {
  const KEY = Symbol.for("retestr");
  if (KEY in window) return;

  const realTimeout = window.setTimeout.bind(window);
  const realFrame = window.requestAnimationFrame.bind(window);
  const RealObserver = window.IntersectionObserver;
  const realNow = performance.now.bind(performance);
  const sleep = (ms) => new Promise((resolve) => realTimeout(resolve, ms));
  const define = (object, name, value) =>
    Object.defineProperty(object, name, { value, writable: true, configurable: true });

  // --- what the page is not told while its picture is taken ----------------------------------------
  let holding = false;
  const hold = (event) => holding && event.stopImmediatePropagation();
  for (const type of ["resize", "scroll", "scrollend"]) {
    window.addEventListener(type, hold, true);
    window.visualViewport?.addEventListener(type, hold, true);
  }
  // Nor, once its picture is taken, of its end: what it stored then, the next page in its tab would find.
  // Where a policy forbids `unload`, asking for it is reported as an error of the page's.
  const policy = document.featurePolicy;
  for (const type of ["visibilitychange", "pagehide", "unload"]) {
    if (type !== "unload" || policy?.allowsFeature(type)) window.addEventListener(type, hold, true);
  }
  // Leaving a page asks nobody.
  window.addEventListener("beforeunload", (event) => event.stopImmediatePropagation(), true);

  const realMatchMedia = window.matchMedia.bind(window);
  define(window, "matchMedia", function matchMedia(query) {
    const list = realMatchMedia(query);
    list.addEventListener("change", hold);
    return list;
  });
  let isObserved = false; // somebody asked to be told what is in the window
  for (const name of ["ResizeObserver", "IntersectionObserver"]) {
    const Real = window[name];
    const Held = class extends Real {
      constructor(callback, options) {
        super((entries, observer) => holding || callback.call(observer, entries, observer), options);
        isObserved = true;
      }
    };
    Object.defineProperty(Held, "name", { value: name });
    define(window, name, Held);
  }

  // --- whose end is told to nobody ------------------------------------------------------------------
  const workers = []; // the addresses of their scripts
  for (const name of ["Worker", "SharedWorker"]) {
    const Real = window[name];
    if (!Real) continue;
    const Noted = class extends Real {
      constructor(...args) {
        super(...args);
        const url = new URL(args[0], document.baseURI);
        url.hash = "";
        workers.push(url.href);
      }
    };
    Object.defineProperty(Noted, "name", { value: name });
    define(window, name, Noted);
  }

  // --- what is drawn --------------------------------------------------------------------------------
  // The document and every open shadow root in it: neither selectors nor `getAnimations` look inside.
  const roots = () => {
    const found = [document];
    for (let i = 0; i < found.length; i++) {
      for (const element of found[i].querySelectorAll("*")) {
        if (element.shadowRoot) found.push(element.shadowRoot);
      }
    }
    return found;
  };

  // Animations that end arrive at their end, as they would have for a person who waited. Those without
  // an end go on, or with `cancelEndless` back to where they began. Scrolling drives some: left alone.
  // Returns whether there was one.
  const endAnimations = (cancelEndless) => {
    let count = 0;
    for (const animation of roots().flatMap((root) => root.getAnimations())) {
      const timing = animation.effect?.getComputedTiming();
      const runs = animation.playState !== "paused" && animation.playbackRate !== 0;
      if (!timing || !runs || animation.timeline !== document.timeline) continue;
      if (Number.isFinite(timing.endTime)) animation.finish();
      else if (cancelEndless) animation.cancel();
      else continue;
      count++;
    }
    return count > 0;
  };

  const mostMs = window === window.top ? 2000 : 200; // an embedded document may not be drawn at all
  const frames = async (count) => {
    for (let i = 0; i < count; i++) {
      await new Promise((resolve) => {
        realFrame(resolve);
        realTimeout(resolve, mostMs);
      });
    }
  };

  // Resolves when the page is laid out and drawn as it is now, and its observers have been told so.
  const drawn = async () => {
    await frames(2);
    if (!isObserved) return;
    const told = new Promise((resolve) => {
      const observer = new RealObserver(() => {
        observer.disconnect();
        realTimeout(resolve); // it is the newest: others are told before it, or by the same task in any order
      });
      observer.observe(document.documentElement);
    });
    await Promise.race([told, sleep(mostMs)]);
  };

  Object.defineProperty(window, KEY, {
    value: {
      workers,
      drawn,
      roots,
      endAnimations,
      hold: () => void (holding = true),
      // Real time, for our own scripts.
      sleep,
      frames,
      // The page's time: the real one, unless `clock.js` puts its own here.
      isVirtual: false,
      advance: sleep,
      elapsed: realNow,
      isDue: () => true,
    },
  });
})();
