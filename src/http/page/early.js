// Runs before anything is drawn: the colours that were chosen, and styles that the policy allows.
"use strict";

// A style attribute is an inline style, which the content security policy refuses; the same declarations
// set through the style object are not. Plotly sets attributes.
const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (String(name).toLowerCase() === "style" && this.style) {
    this.style.cssText = value;
  } else {
    setAttribute.call(this, name, value);
  }
};

try {
  const theme = localStorage.getItem("ojad-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing shows the colours of the system.
}
