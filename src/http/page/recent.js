// Rows of late in the plane of two components, and those that fit least.
import { byId, fill, make, options } from "./dom.js";
import { count, number } from "./format.js";
import { picture, plain, show } from "./pictures.js";

/** Labels with a colour and a symbol of their own; the rest are one group. */
const LABELS = 10;
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "star", "x", "pentagon", "hexagon"];
const recent = picture("recent", "Recent rows");
const [across, up] = [byId("recent-x"), byId("recent-y")];
let shown = null;

for (const select of [across, up]) select.addEventListener("change", () => shown && draw());

export function showRecent(next) {
  shown = next;
  const k = next?.components ?? 0;
  if (!next || next.rows.length === 0 || k === 0) {
    show(recent, { draw: null, data: null, words: "No rows yet: they appear once more rows have been learned." });
    for (const id of ["largest-residual", "largest-t2"]) table(id, [], []);
    return;
  }
  const entries = Array.from({ length: k }, (_, i) => [i + 1, `Component ${i + 1}`]);
  options(across, entries, 1);
  options(up, k === 1 ? [[0, "residual"], ...entries] : [...entries, [0, "residual"]], k === 1 ? 0 : 2);
  draw();
  table("largest-residual", next.ids, next.largest_residual);
  table("largest-t2", next.ids, next.largest_t2);
}

function table(id, ids, rows) {
  const place = byId(id);
  const head = ["Row", ...ids, ...(shown?.label && !ids.includes(shown.label) ? [shown.label] : []), "Residual", "T²"];
  const isNumber = (name) => ["Row", "Residual", "T²"].includes(name);
  place.tHead.replaceChildren(make("tr", {}, ...head.map((name) => make("th", { scope: "col", class: isNumber(name) ? "n" : null }, name))));
  fill(place, rows.map((row) => [
    { text: count(row.row), number: true, head: true },
    ...ids.map((_, i) => row.ids[i] ?? "–"),
    ...(shown.label && !ids.includes(shown.label) ? [row.label ?? "–"] : []),
    { text: number(row.residual), number: true }, { text: number(row.t2), number: true },
  ]), "No rows yet.");
}

/** Labels by how often they occur, or in their order where all have a colour. */
function groups(rows) {
  const sizes = new Map();
  for (const row of rows) sizes.set(row.label, (sizes.get(row.label) ?? 0) + 1);
  const often = [...sizes.keys()].sort((a, b) => sizes.get(b) - sizes.get(a));
  const own = often.slice(0, often.length <= LABELS ? LABELS : LABELS - 1);
  own.sort((a, b) => String(a ?? "").localeCompare(String(b ?? ""), "en", { numeric: true }));
  const found = own.map((label) => ({ name: label ?? "no label", rows: rows.filter((row) => row.label === label) }));
  const rest = rows.filter((row) => !own.includes(row.label));
  if (rest.length > 0) found.push({ name: `${often.length - own.length} others`, rows: rest, isRest: true });
  return found;
}

function draw() {
  const { rows, ids, label, components: k } = shown;
  const value = (select) => (row) => (select.value === "0" ? row.residual : row.scores[Number(select.value) - 1]);
  const title = (select) => (select.value === "0" ? "residual" : `score, component ${select.value}`);
  const [x, y] = [value(across), value(up)];
  const all = label === null ? [{ name: "rows", rows }] : groups(rows);
  const extent = (of) => `${number(Math.min(...rows.map(of)), 3)} to ${number(Math.max(...rows.map(of)), 3)}`;
  const about = (row) => [`row ${row.row}`, ...ids.map((name, i) => `${name} ${row.ids[i] ?? "–"}`), ...(label === null ? [] : [`${label} ${row.label ?? "–"}`])].map(plain).join(", ");
  show(recent, {
    words: `${count(rows.length)} of the last ${count(shown.rows_examined)} rows${label === null ? "" : `, coloured by ${label}`}; across ${extent(x)}, up ${extent(y)}.`,
    data: () => ({
      columns: ["row", "unix_s", ...ids, "label", ...Array.from({ length: k }, (_, i) => `pc${i + 1}`), "residual", "t2"],
      rows: rows.map((row) => [row.row, row.unix_s, ...ids.map((_, i) => row.ids[i]), row.label, ...row.scores, row.residual, row.t2]),
    }),
    draw: (c, width) => ({
      height: Math.round(Math.min(620, Math.max(320, 0.85 * width))),
      traces: all.map((group, i) => ({
        type: "scatter", mode: "markers", name: plain(group.name), x: group.rows.map(x), y: group.rows.map(y),
        text: group.rows.map(about), hovertemplate: "%{text}: %{x:.4g}, %{y:.4g}<extra></extra>",
        marker: { size: 6, opacity: 0.7, color: group.isRest ? c.quiet : c.series[i % c.series.length], symbol: group.isRest ? "circle-open" : SYMBOLS[i % SYMBOLS.length] },
      })),
      layout: { showlegend: label !== null, xaxis: { title: title(across), zeroline: true }, yaxis: { title: title(up), zeroline: true } },
    }),
  });
}
