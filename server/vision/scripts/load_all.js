// Asks for everything that is loaded late, and waits until fonts and pictures are there to be drawn.
async (mostMs) => {
  const clock = window[Symbol.for("retestr")];
  for (const element of document.querySelectorAll("img[loading=lazy], iframe[loading=lazy]")) {
    element.loading = "eager";
  }
  const pictures = [...document.images].map((image) => image.decode().catch(() => {}));
  const ready = Promise.all([document.fonts?.ready, ...pictures]).then(() => {});
  await (clock ? Promise.race([ready, clock.sleep(mostMs)]) : ready);
}
