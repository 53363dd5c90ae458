// Brings everything that moves by itself to rest, in this document, for good.
//
// Each word says whether to: end what is animated; take the focus away (`blur`); draw no `caret`; let nothing
// react to the mouse (`hover`), which the browser believes to be in the top left corner; stop each `video`.
async ({ animation, blur, caret, hover, video }) => {
  const backstage = window[Symbol.for("retestr")];
  if (!backstage) return;
  const roots = backstage.roots();
  const everywhere = (selector) => roots.flatMap((root) => [...root.querySelectorAll(selector)]);

  backstage.hold();
  if (blur) document.activeElement?.blur?.();

  // Constructed sheets, because a page's content security policy forbids <style>.
  const still = new CSSStyleSheet();
  still.replaceSync(
    "* { scroll-behavior: auto !important; }" +
      (caret ? "*, ::before, ::after { caret-color: transparent !important; }" : "") +
      (animation ? "*, ::before, ::after { transition: none !important; }" : "") +
      // What the mouse is over is looked up anew after a layout only: `order` asks for one and changes nothing.
      (hover ? "* { pointer-events: none !important; } html { order: 1 !important; }" : ""),
  );
  for (const root of roots) root.adoptedStyleSheets = [...root.adoptedStyleSheets, still];

  if (video) await Promise.all(everywhere("video, audio").map((media) => toStart(media, backstage)));
  if (animation) {
    for (const svg of everywhere("svg")) {
      svg.pauseAnimations?.();
      svg.setCurrentTime?.(0);
    }
    for (const progress of everywhere("progress:indeterminate")) progress.value = 0;
    for (const marquee of everywhere("marquee")) {
      const box = document.createElement("div");
      for (const { name, value } of marquee.attributes) box.setAttribute(name, value);
      box.style.overflow = "hidden";
      box.append(...marquee.childNodes);
      marquee.replaceWith(box);
    }
    // What the browser draws over a film that loads, or did, turns on for a second, where `getAnimations` does not look.
    const films = everywhere("video[controls]");
    for (const film of films) film.controls = false;
    if (films.length) await backstage.frames(1);
    for (const film of films) film.controls = true;
    // Ending one animation may start another: a few rounds.
    for (let round = 0; round < 3 && backstage.endAnimations(true); round++) await backstage.frames(1);
  }
  await backstage.frames(2);

  // A film that plays, or is about to, shows its first frame instead of its poster. What is drawn comes after
  // what was asked for, also after "seeked", and what comes while the frame before is being drawn is lost: ask
  // again until the same frame was drawn twice in a row. Asked for the time where it is, it draws nothing.
  async function toStart(media, { frames, sleep }) {
    const begins = media.played.length > 0 || (media.autoplay && media.muted);
    media.autoplay = false;
    media.pause();
    if (!begins || media.readyState < media.HAVE_CURRENT_DATA) return;
    let drawn = null;
    const look = (_, frame) => {
      drawn = frame.mediaTime;
      media.requestVideoFrameCallback(look);
    };
    media.requestVideoFrameCallback?.(look);
    const drawnAt = async (time) => {
      const sought = new Promise((resolve) => media.addEventListener("seeked", resolve, { once: true }));
      drawn = null;
      media.currentTime = time;
      await Promise.race([sought, sleep(1000)]);
      if (!media.requestVideoFrameCallback) return 0; // it only sounds
      for (let wait = 0; wait < 20 && drawn === null; wait++) await frames(1);
      await frames(2);
      return drawn;
    };
    for (let round = 0; round < 3; round++) {
      const before = await drawnAt(0.001);
      if ((await drawnAt(0)) === before && before !== null) return;
    }
  }
}
