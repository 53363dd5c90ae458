// Takes what a document keeps for its tab alone: the next page in this tab shall not find it. Its picture has been
// taken, and so it will not hear of its end, where pages like to store something (`hold` in `backstage.js`).
() => {
  const nothing = new CSSStyleSheet();
  nothing.replaceSync(":root { display: none !important; }"); // frees what was drawn, while the next page loads
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, nothing];
  window.name = "";
  try {
    sessionStorage.clear();
  } catch {} // a document without storage, such as a sandboxed one
}
