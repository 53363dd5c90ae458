// Lays our own stylesheet over the document and its open shadow roots: `css` as it is, and rules that make what
// the selectors in `hide` find invisible. Adopted stylesheets are open to no content security policy.
// Returns the selectors that are none.
({ css, hide }) => {
  const unseen = "{ visibility: hidden !important; transition: none !important; animation: none !important; }";
  const KEY = Symbol.for("retestr.sheet");
  if (!(KEY in document)) Object.defineProperty(document, KEY, { value: new CSSStyleSheet() });
  const sheet = document[KEY];
  sheet.replaceSync(css);
  const wrong = hide.filter((selector) => {
    try {
      document.querySelector(selector); // so that nothing but a selector becomes part of a rule
      sheet.insertRule(`${selector} ${unseen}`, sheet.cssRules.length);
      sheet.insertRule(`:is(${selector}) * ${unseen}`, sheet.cssRules.length);
    } catch {
      return true;
    }
  });
  const roots = window[Symbol.for("retestr")]?.roots() ?? [document];
  for (const root of roots) {
    const others = [...root.adoptedStyleSheets].filter((other) => other !== sheet);
    root.adoptedStyleSheets = [...others, sheet];
  }
  return wrong;
}
