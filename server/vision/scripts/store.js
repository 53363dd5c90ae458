// Runs in every document before the page's own scripts, in a world of its own: fills the local storage of the
// document's origin. What is there already stays, for the page may have changed it since.
(storage) => {
  try {
    for (const [key, value] of storage[location.origin] ?? []) {
      if (localStorage.getItem(key) === null) localStorage.setItem(key, value);
    }
  } catch {} // a document without storage, such as a sandboxed one
}
