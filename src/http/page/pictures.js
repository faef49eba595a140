// Pictures: drawn by Plotly in the colours of the page, described in words, and given away as files.
import { byId, make } from "./dom.js";

/** Colours that people with any colour vision tell apart, on light and on dark. */
const SERIES = {
  light: ["#1f5fbf", "#c2500a", "#0b7a5c", "#9a3a8c", "#8a6d00", "#0082a8", "#b3263a", "#5a4fcf", "#5d6b2f", "#6b4a3a"],
  dark: ["#6aa8ff", "#ff9a52", "#3fc79f", "#e08ad2", "#e0c040", "#5ccdee", "#ff7d88", "#a79cff", "#b4c870", "#cda58f"],
};
const PNG_SCALE = 2;

const pictures = new Map();
let plotly = null;

/** Plotly comes after the numbers: it is large, and they do not need it. */
function library() {
  plotly ??= new Promise((done, failed) => {
    const script = make("script", { src: "/assets/plotly.min.js" });
    script.addEventListener("load", () => done(window.Plotly));
    script.addEventListener("error", () => { plotly = null; script.remove(); failed(new Error("Plotly.js could not be loaded")); });
    document.head.append(script);
  });
  return plotly;
}

/** The colours of the page now. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  const isDark = of("--is-dark") === "1";
  return {
    isDark, text: of("--text"), quiet: of("--quiet"), grid: of("--grid"), surface: of("--surface"),
    accent: of("--accent"), bad: of("--bad"), series: isDark ? SERIES.dark : SERIES.light,
    // Blue is negative, orange positive, nothing is the surface.
    signed: isDark
      ? [[0, "#6aa8ff"], [0.5, of("--surface")], [1, "#ff9a52"]]
      : [[0, "#1f5fbf"], [0.5, of("--surface")], [1, "#c2500a"]],
  };
}

/** Makes the figure that has `data-picture="id"`: a title, buttons, a place to draw, a sentence. */
export function picture(id, title) {
  const figure = document.querySelector(`[data-picture="${id}"]`);
  const plot = make("div", { id, class: "plot", role: "img", "aria-label": `${title}: nothing to show yet` });
  const words = make("figcaption", {}, "Nothing to show yet.");
  const buttons = make("div", { class: "downloads", role: "group", "aria-label": `Download: ${title}` });
  const heading = make("h3", {}, title);
  figure.append(make("div", { class: "figure-head" }, heading, buttons), plot, words);
  const one = { id, title, plot, words, heading, buttons, draw: null, data: null, isDirty: false, isDrawing: false };
  for (const kind of ["svg", "png", "csv", "json"]) {
    const button = make("button", { type: "button", "data-kind": kind, "aria-label": `${title} as ${kind.toUpperCase()}` }, kind.toUpperCase());
    button.addEventListener("click", () => give(one, kind));
    buttons.append(button);
  }
  buttons.hidden = true;
  pictures.set(id, one);
  return one;
}

/**
 * Shows something else. `draw(colours, width)` gives {traces, layout, height}; `words` is what the picture
 * says, in a sentence; `data()` is {columns: [names], rows: [[values]]}. Nothing to draw: `draw` is null.
 */
export function show(one, { draw, words, data, title }) {
  Object.assign(one, { draw, data });
  if (title) { one.title = title; one.heading.textContent = title; }
  if (one.words.textContent !== words) one.words.textContent = words;
  one.plot.setAttribute("aria-label", `${one.title}. ${words}`);
  one.buttons.hidden = draw === null;
  redraw(one);
}

async function redraw(one) {
  one.isDirty = true;
  if (document.hidden || one.isDrawing) return;
  one.isDrawing = true;
  try {
    const library_ = await library();
    while (one.isDirty) {
      one.isDirty = false;
      if (one.draw === null) { library_.purge(one.plot); one.plot.replaceChildren(); continue; }
      const { traces, layout, height } = dressed(one);
      one.plot.style.height = `${height}px`;
      await library_.react(one.plot, traces, layout, { displayModeBar: false, responsive: false, showTips: false, scrollZoom: false });
    }
  } catch (error) {
    one.words.textContent = `This picture could not be drawn: ${error.message}`;
  } finally {
    one.isDrawing = false;
  }
}

/** A picture with the fonts and colours of the page. */
function dressed(one) {
  const c = colours();
  const width = Math.max(200, one.plot.clientWidth);
  const { traces, layout = {}, height = 260 } = one.draw(c, width);
  const axis = (own) => ({
    gridcolor: c.grid, linecolor: c.grid, zerolinecolor: c.grid, tickcolor: c.grid, automargin: true, fixedrange: true,
    exponentformat: "e", separatethousands: false, ...own, title: own?.title ? { text: own.title, standoff: 8 } : undefined,
  });
  return {
    traces, height,
    layout: {
      paper_bgcolor: c.surface, plot_bgcolor: c.surface, separators: ".\u202f", autosize: false, width, height,
      font: { family: "system-ui, sans-serif", size: 12, color: c.quiet }, margin: { l: 52, r: 14, t: 10, b: 42 },
      showlegend: false, dragmode: false, hovermode: "closest", colorway: c.series,
      hoverlabel: { bgcolor: c.surface, bordercolor: c.quiet, font: { color: c.text, size: 12 }, namelength: -1 },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 11 } },
      ...layout, xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
    },
  };
}

export function redrawAll() {
  for (const one of pictures.values()) if (one.draw) redraw(one);
}

/** Draws what was left undone while the page was out of sight. */
export function catchUp() {
  for (const one of pictures.values()) if (one.isDirty) redraw(one);
}

/** Gives a picture, or what it shows, away as a file. */
async function give(one, kind) {
  if (one.draw === null) return;
  if (kind === "svg" || kind === "png") {
    const { traces, layout, height } = dressed(one);
    layout.title = { text: one.title, font: { size: 14, color: colours().text } };
    layout.margin = { ...layout.margin, t: 48 };
    const size = { format: kind, width: layout.width, height: height + 38, scale: kind === "png" ? PNG_SCALE : 1 };
    Object.assign(layout, { height: height + 38 });
    const url = await (await library()).toImage({ data: traces, layout }, size);
    save(one.id, kind, unpack(url));
    return;
  }
  const { columns, rows } = one.data();
  const text = kind === "csv"
    ? [columns, ...rows].map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n"
    : JSON.stringify(rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i] ?? null]))), null, 1) + "\n";
  save(one.id, kind, new Blob([text], { type: kind === "csv" ? "text/csv" : "application/json" }));
}

/** A field of a CSV file: RFC 4180. A text that a spreadsheet would take for a formula stays a text. */
function quoted(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function unpack(url) {
  const comma = url.indexOf(",");
  const head = url.slice(5, comma);
  const body = url.slice(comma + 1);
  const type = head.split(";")[0];
  if (!head.endsWith(";base64")) return new Blob([decodeURIComponent(body)], { type });
  return new Blob([Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0))], { type });
}

function save(name, kind, blob) {
  const url = URL.createObjectURL(blob);
  const link = make("a", { href: url, download: `ojad-${name}.${kind}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** `<` starts a tag in Plotly's texts, and names may have one. */
export const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

let drawnWidth = 0;
let resized = 0;
addEventListener("resize", () => {
  const width = byId("main").clientWidth;
  if (width === drawnWidth) return;
  drawnWidth = width;
  clearTimeout(resized);
  resized = setTimeout(redrawAll, 120);
});
