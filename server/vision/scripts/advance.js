// Moves a document's clock on by `ms` and ends its finite animations; pages often go on from there.
// Returns whether anything stirs: a timer ran or an animation ended, or one is due in the `nextMs` to come.
async ({ ms, nextMs, animation }) => {
  const backstage = window[Symbol.for("retestr")];
  if (!backstage) return false;
  const hasRun = await backstage.advance(ms);
  const hasEnded = animation && backstage.endAnimations(false);
  return hasRun || hasEnded || backstage.isDue(nextMs);
}
