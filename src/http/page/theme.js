// The button of the colours: same as the system, light, dark. early.js applies what was chosen before.
import { byId } from "./dom.js";
import { redrawAll } from "./pictures.js";

const THEMES = { auto: "Auto", light: "Light", dark: "Dark" };
const SPOKEN = { auto: "same as the system", light: "light", dark: "dark" };
const button = byId("theme");

function theme(next) {
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  button.textContent = THEMES[next];
  button.setAttribute("aria-label", `Colours: ${SPOKEN[next]}`);
}

theme(document.documentElement.dataset.theme ?? "auto");
button.addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const now = document.documentElement.dataset.theme ?? "auto";
  const next = names[(names.indexOf(now) + 1) % names.length];
  theme(next);
  try { localStorage.setItem("ojad-theme", next); } catch { /* until the page is closed, then */ }
  redrawAll();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
