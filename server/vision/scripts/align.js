// Moves the clock on to the next multiple of `quantumMs`: how soon we notice that a wait is over varies with
// the machine's load, and a clock on the page shall not show it. In slices, for one advance is bounded.
async (quantumMs) => {
  const clock = window[Symbol.for("retestr")];
  if (!clock) return;
  await clock.advance(0); // what is still under way
  const until = clock.elapsed() + quantumMs - (clock.elapsed() % quantumMs);
  while (clock.elapsed() < until) await clock.advance(Math.min(1000, until - clock.elapsed()));
}
