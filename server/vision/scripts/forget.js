// Takes what a document keeps for its tab alone: the next page in this tab shall not find it. Its picture has been
// taken, and so it will not hear of its end, where pages like to store something (`hold` in `backstage.js`).
() => {
  window.name = "";
  try {
    sessionStorage.clear();
  } catch {} // a document without storage, such as a sandboxed one
}
