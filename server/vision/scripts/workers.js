// The addresses of the scripts that a document has started workers with, so far.
() => window[Symbol.for("retestr")]?.workers ?? []
