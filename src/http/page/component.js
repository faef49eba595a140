// One component: its strongest features, and its whole vector as an image or along the features.
import { byId, options } from "./dom.js";
import { count, number, percent } from "./format.js";
import { picture, plain, show } from "./pictures.js";

const STRONGEST = 20;
const NAME_LETTERS = 22;
const loadings = picture("loadings", "Strongest features");
const vector = picture("vector", "Whole vector");
const select = byId("component-select");
let one = null;
let names = null;
let shape = null;

export const chosen = () => Number(select.value || 1);

/** Calls back when another component is chosen. */
export function onChoice(chooses) {
  const step = (by) => {
    const to = select.selectedIndex + by;
    if (to < 0 || to >= select.options.length) return;
    select.selectedIndex = to;
    chooses();
  };
  select.addEventListener("change", chooses);
  byId("component-before").addEventListener("click", () => step(-1));
  byId("component-after").addEventListener("click", () => step(1));
}

export function showChoices(model) {
  options(select, model.components.map((c) => [c.component, `Component ${c.component}`]), 1);
}

export function showNames(features) {
  names = features ? features.features.map((feature) => feature.feature) : null;
  if (one) draw();
}

export function showShape(next) {
  if (String(next) === String(shape)) return;
  shape = next;
  if (one) draw();
}

export function showComponent(next) {
  one = next;
  if (one) draw();
}

function draw() {
  const entries = one.vector;
  const m = entries.length;
  const name = (j) => (names?.length === m ? names[j] : `feature ${j + 1}`);
  const order = strongest(entries);
  const data = () => ({
    columns: ["feature", "entry"],
    rows: entries.map((entry, j) => [name(j), entry]),
  });
  const about = `Component ${one.component}`;
  const top = order.slice(0, 3).map((j) => `${name(j)} ${number(entries[j], 3)}`).join(", ");
  const share = order.reduce((sum, j) => sum + entries[j] ** 2, 0);
  show(loadings, {
    title: `${about}: strongest features`,
    words: `${top}. The ${count(order.length)} shown make up ${percent(share)} of its length.`,
    data: () => ({ columns: ["feature", "entry"], rows: order.map((j) => [name(j), entries[j]]) }),
    draw: (c) => drawStrongest(c, order, entries, name),
  });
  const isImage = shape && shape[0] * shape[1] === m;
  const largest = order[0];
  show(vector, {
    title: `${about}: whole vector`,
    words: `${count(m)} ${m === 1 ? "entry" : "entries"}${isImage ? `, as an image of ${shape[0]} × ${shape[1]}` : ""}; the largest is ${number(entries[largest], 3)} at ${name(largest)}.`,
    data,
    draw: (c, width) => (isImage ? drawImage(c, width, entries) : drawLine(c, entries, name)),
  });
}

/** Places of the entries of largest magnitude, largest first: one pass, whatever the number of features. */
function strongest(entries) {
  const best = [];
  entries.forEach((entry, j) => {
    const size = Math.abs(entry);
    if (best.length === STRONGEST && size <= Math.abs(entries[best.at(-1)])) return;
    let at = best.length;
    while (at > 0 && Math.abs(entries[best[at - 1]]) < size) at -= 1;
    best.splice(at, 0, j);
    if (best.length > STRONGEST) best.pop();
  });
  return best;
}

function drawStrongest(c, order, entries, name) {
  const m = entries.length;
  const cut = (text) => (text.length <= NAME_LETTERS ? text : `${text.slice(0, NAME_LETTERS - 1)}…`);
  const places = order.map((_, i) => i);
  return {
    height: Math.max(170, 70 + 19 * order.length),
    traces: [{
      type: "bar", orientation: "h", y: places, x: order.map((j) => entries[j]), customdata: order.map((j) => plain(name(j))),
      marker: { color: order.map((j) => (entries[j] < 0 ? c.series[0] : c.series[1])) }, hovertemplate: "%{customdata}: %{x:.5f}<extra></extra>",
    }],
    layout: {
      bargap: m < 4 ? 0.6 : 0.25, xaxis: { title: "entry of the unit vector", zeroline: true, zerolinecolor: c.quiet },
      yaxis: { autorange: "reversed", tickmode: "array", tickvals: places, ticktext: order.map((j) => plain(cut(name(j)))), showgrid: false, zeroline: false },
    },
  };
}

function drawImage(c, width, entries) {
  const [h, w] = shape;
  const z = Array.from({ length: h }, (_, i) => entries.slice(i * w, (i + 1) * w));
  const most = Math.max(...z.map((row) => Math.max(...row.map(Math.abs)))) || 1;
  return {
    height: Math.round(Math.min(450, Math.max(220, ((width - 90) * h) / w + 40))),
    traces: [{ type: "heatmap", z, zmin: -most, zmax: most, colorscale: c.signed, hovertemplate: "row %{y}, column %{x}: %{z:.5f}<extra></extra>",
      colorbar: { thickness: 10, outlinewidth: 0, len: 0.9, tickfont: { size: 11 } } }],
    layout: {
      margin: { l: 10, r: 10, t: 10, b: 10 },
      xaxis: { visible: false, constrain: "domain" }, yaxis: { visible: false, autorange: "reversed", scaleanchor: "x", constrain: "domain" },
    },
  };
}

function drawLine(c, entries, name) {
  const m = entries.length;
  const isLong = m > 60;
  const x = entries.map((_, j) => j + 1);
  const line = isLong
    ? { type: "scatter", mode: "lines", line: { width: 1, color: c.accent, simplify: true } }
    : { type: "bar", marker: { color: entries.map((entry) => (entry < 0 ? c.series[0] : c.series[1])) } };
  return {
    height: 300,
    traces: [{ ...line, x, y: entries, text: entries.map((_, j) => plain(name(j))), textposition: "none", hovertemplate: "%{text}: %{y:.5f}<extra></extra>" }],
    layout: {
      bargap: m < 4 ? 0.8 : 0.2,
      xaxis: { title: "features in column order", showgrid: false, range: [0.5, m + 0.5], ...(m <= 20 ? { dtick: 1 } : {}), exponentformat: "none" },
      yaxis: { title: "entry", zeroline: true, zerolinecolor: c.quiet },
    },
  };
}
