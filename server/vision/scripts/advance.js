// Moves a document's clock on by the first of `slices` (ms) and ends its finite animations; pages often go on from there.
// Returns whether anything stirs: a timer ran or an animation ended, or one is due in the slices to come. Where nothing
// does from the beginning, `isAlone` lets all slices pass at once, and null is returned.
async ({ slices, isAlone, animation }) => {
  const backstage = window[Symbol.for("retestr")];
  if (!backstage) return false;
  const sum = (ms) => ms.reduce((one, other) => one + other, 0);
  const ends = () => animation && backstage.endAnimations(false);
  const mayRest = isAlone && !backstage.isDue(sum(slices));
  const hadEnded = mayRest && ends();
  if (mayRest && !hadEnded) {
    await backstage.advance(sum(slices));
    return null;
  }
  const hasRun = await backstage.advance(slices[0]);
  const hasEnded = ends();
  return hasRun || hadEnded || hasEnded || backstage.isDue(sum(slices.slice(1)));
}
