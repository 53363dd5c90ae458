// Asks for everything that is loaded late, and waits until it is there to be drawn: fonts, pictures, and of
// films what they need to be played.
async ({ mostMs, lazy, fonts, video }) => {
  const backstage = window[Symbol.for("retestr")];
  if (lazy) {
    for (const element of document.querySelectorAll("img[loading=lazy], iframe[loading=lazy]")) {
      element.loading = "eager";
    }
  }
  const pictures = [...document.images].filter((image) => image.complete || image.loading !== "lazy");
  const awaited = pictures.map((image) => image.decode().catch(() => {}));
  if (fonts) awaited.push(document.fonts?.ready);
  const films = video ? document.querySelectorAll("video") : [];
  for (const film of films) {
    const comes = film.networkState === film.NETWORK_LOADING && (film.autoplay || film.played.length > 0);
    if (!comes || film.readyState >= film.HAVE_FUTURE_DATA) continue;
    awaited.push(
      new Promise((resolve) => {
        for (const type of ["canplay", "error", "abort", "emptied"]) film.addEventListener(type, resolve);
        // A film's own error may be told to its last <source> only.
        for (const source of film.querySelectorAll("source")) source.addEventListener("error", resolve);
      }),
    );
  }
  const ready = Promise.all(awaited).then(() => {});
  await (backstage ? Promise.race([ready, backstage.sleep(mostMs)]) : ready);
}
