// Resolves when the page has been drawn twice.
() => window[Symbol.for("retestr")]?.frames(2)
