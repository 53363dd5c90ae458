// Runs in every document before the page's own scripts, in the page's world.
//
// It gives the document one fixed time that moves only when we move it (`advance`), and seeded random
// numbers. `backstage.js` ran before it, and is told how to move this clock.
(() => {
  const backstage = window[Symbol.for("retestr")];
  if (backstage.isVirtual) return;

  const START_MS = Date.UTC(2026, 0, 15, 10, 30);
  const FRAME_MS = 1000 / 60;
  // Per advance: a page that arms more and more timers must not hang us. Not counted in real time, of which a busy
  // machine needs more for the same.
  const MOST_CALLBACKS = 20000;
  const MOST_ANSWER_MS = 10000; // how long time stands still for an answer of the network

  const RealDate = Date;
  const realNow = performance.now.bind(performance);
  const channel = new MessageChannel();
  const define = (object, name, value) =>
    Object.defineProperty(object, name, { value, writable: true, configurable: true });

  // --- the virtual clock -------------------------------------------------------------------------
  let now = 0; // virtual ms since the document began
  let lastId = 0;
  const timers = new Map(); // id -> {at, every, run}
  const wall = () => START_MS + Math.floor(now);

  const arm = (delay, run, every) => {
    const id = ++lastId;
    timers.set(id, { id, at: now + delay, every, run });
    return id;
  };
  const disarm = (id) => void timers.delete(Number(id));
  const callbackOf = (code, args) =>
    typeof code === "function" ? () => code.apply(window, args) : () => (0, eval)(String(code));
  const delayOf = (ms) => Math.max(1, Number(ms) || 0);

  define(window, "setTimeout", function setTimeout(code, ms, ...args) {
    return arm(delayOf(ms), callbackOf(code, args));
  });
  define(window, "setInterval", function setInterval(code, ms, ...args) {
    const every = Math.max(4, delayOf(ms));
    return arm(every, callbackOf(code, args), every);
  });
  define(window, "requestAnimationFrame", function requestAnimationFrame(callback) {
    const next = (Math.floor(now / FRAME_MS + 1e-6) + 1) * FRAME_MS;
    return arm(next - now, () => callback(now));
  });
  define(window, "requestIdleCallback", function requestIdleCallback(callback) {
    return arm(1, () => callback({ didTimeout: false, timeRemaining: () => 50 }));
  });
  for (const name of ["clearTimeout", "clearInterval", "cancelAnimationFrame", "cancelIdleCallback"]) {
    define(window, name, disarm);
  }

  const earliest = (until) => {
    let first = null;
    for (const timer of timers.values()) {
      if (timer.at <= until && (!first || timer.at < first.at)) first = timer;
    }
    return first;
  };

  // Each callback is a task of its own, as in the real browser: promises it settles run before the next.
  let resume = null;
  channel.port1.onmessage = () => resume();
  const nextTask = () =>
    new Promise((resolve) => {
      resume = resolve;
      channel.port2.postMessage(0);
    });

  let advancing = Promise.resolve();
  const advanceAlone = async (ms) => {
    const until = now + ms;
    let hasRun = false;
    for (let count = 0; count < MOST_CALLBACKS; count++) {
      if (awaited > givenUp) await answers();
      const timer = earliest(until);
      if (!timer) break;
      hasRun = true;
      now = Math.max(now, timer.at);
      if (timer.every) timer.at += timer.every;
      else timers.delete(timer.id);
      try {
        timer.run();
      } catch (error) {
        window.reportError(error);
      }
      await nextTask();
    }
    now = until;
    return hasRun;
  };
  const advance = (ms) => (advancing = advancing.then(() => advanceAlone(ms)));

  // --- the network takes no time in the page -------------------------------------------------------
  // How soon an answer comes varies; what the page does with it shall not. So its time stands still
  // while it awaits one, except for those that never come (`givenUp` many: streams).
  let awaited = 0;
  let givenUp = 0;
  const awaiting = (promise) => {
    awaited++;
    const over = () => {
      awaited--;
      givenUp = Math.min(givenUp, awaited);
    };
    promise.then(over, over);
    return promise;
  };
  const answers = async () => {
    const began = realNow();
    while (awaited > givenUp && realNow() - began < MOST_ANSWER_MS) await backstage.sleep(2);
    givenUp = awaited;
    await nextTask(); // what the answer sets off
  };
  const wrap = (object, name, wrapped) => define(object, name, wrapped(object[name]));
  wrap(window, "fetch", (real) => function fetch(...args) {
    return awaiting(real.apply(this, args));
  });
  for (const name of ["arrayBuffer", "blob", "formData", "json", "text"]) {
    wrap(Response.prototype, name, (real) => function (...args) {
      return awaiting(real.apply(this, args));
    });
  }
  wrap(XMLHttpRequest.prototype, "send", (real) => function send(...args) {
    real.apply(this, args);
    if (this.readyState === XMLHttpRequest.DONE) return; // it was synchronous
    awaiting(new Promise((resolve) => this.addEventListener("loadend", resolve, { once: true })));
  });

  // --- what tells the time -----------------------------------------------------------------------
  function VirtualDate(...args) {
    if (!new.target) return new RealDate(wall()).toString();
    return Reflect.construct(RealDate, args.length ? args : [wall()], new.target);
  }
  Object.setPrototypeOf(VirtualDate, RealDate);
  Object.defineProperty(VirtualDate, "name", { value: "Date" });
  Object.defineProperty(VirtualDate, "length", { value: 7 });
  VirtualDate.prototype = RealDate.prototype;
  define(VirtualDate, "now", function now() {
    return wall();
  });
  define(RealDate.prototype, "constructor", VirtualDate);
  define(window, "Date", VirtualDate);
  define(Performance.prototype, "now", () => now);
  Object.defineProperty(Performance.prototype, "timeOrigin", { get: () => START_MS, configurable: true });
  // Frameworks compare an event's time with performance.now().
  Object.defineProperty(Event.prototype, "timeStamp", { get: () => now, configurable: true });

  for (const name of ["format", "formatToParts"]) {
    const prototype = Intl.DateTimeFormat.prototype;
    const real = Object.getOwnPropertyDescriptor(prototype, name);
    if (real.get) {
      const get = function () {
        const format = real.get.call(this);
        return (date = wall()) => format(date);
      };
      Object.defineProperty(prototype, name, { ...real, get });
    } else {
      define(prototype, name, function (date = wall()) {
        return real.value.call(this, date);
      });
    }
  }
  if (window.Temporal) {
    const clock = Temporal.Now;
    const instant = () => Temporal.Instant.fromEpochMilliseconds(wall());
    const zoned = (zone = clock.timeZoneId()) => instant().toZonedDateTimeISO(zone);
    define(clock, "instant", instant);
    define(clock, "zonedDateTimeISO", zoned);
    define(clock, "plainDateTimeISO", (zone) => zoned(zone).toPlainDateTime());
    define(clock, "plainDateISO", (zone) => zoned(zone).toPlainDate());
    define(clock, "plainTimeISO", (zone) => zoned(zone).toPlainTime());
  }

  // --- random numbers: mulberry32, the same sequence in every document -----------------------------
  let seed = 0x5eed;
  define(Math, "random", function random() {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  });

  // Whether anything is to happen within the next `ms`, as far as this clock knows.
  const isDue = (ms) => awaited > givenUp || earliest(now + ms) !== null;

  Object.assign(backstage, { isVirtual: true, advance, elapsed: () => now, isDue });
})();
