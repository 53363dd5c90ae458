// Brings everything that moves by itself to rest, in this document, for good.
//
// `blur`: take the focus (and its ring or caret) away. `pointer`: leave the mouse where a step put
// it; else nothing reacts to it, because the browser believes it to be in the top left corner.
async ({ blur, pointer }) => {
  const clock = window[Symbol.for("retestr")];
  if (!clock) return;
  const roots = clock.roots();
  const everywhere = (selector) => roots.flatMap((root) => [...root.querySelectorAll(selector)]);

  clock.hold();
  if (blur) document.activeElement?.blur?.();

  // Constructed sheets, because a page's content security policy forbids <style>.
  const still = new CSSStyleSheet();
  still.replaceSync(
    "*, ::before, ::after { caret-color: transparent !important; transition: none !important;" +
      " scroll-behavior: auto !important; }" +
      (pointer ? "" : "* { pointer-events: none !important; }"),
  );
  for (const root of roots) root.adoptedStyleSheets = [...root.adoptedStyleSheets, still];

  for (const media of everywhere("video, audio")) {
    media.autoplay = false;
    media.pause();
    if (media.currentTime > 0) media.currentTime = 0;
  }
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

  // Ending one animation may start another: a few rounds.
  for (let round = 0; round < 3; round++) {
    clock.endAnimations(true);
    await clock.frames(1);
  }
  await clock.frames(1);
}
