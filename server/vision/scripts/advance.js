// Moves a document's clock on by `ms` and ends its finite animations; pages often go on from there.
async (ms) => {
  const clock = window[Symbol.for("retestr")];
  await clock?.advance(ms);
  clock?.endAnimations(false);
}
