// Moves a document's clock on by `ms` and ends its finite animations; pages often go on from there.
async ({ ms, animation }) => {
  const backstage = window[Symbol.for("retestr")];
  await backstage?.advance(ms);
  if (animation) backstage?.endAnimations(false);
}
