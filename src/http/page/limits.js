// Recent rows by T² and residual, with the limits that few rows exceed, and by which method these were found.
import { count, number } from "./format.js";
import { picture, plain, show } from "./pictures.js";

/** The limits of /components, with the share of rows that exceed each. */
const LIMITS = [["limit_95", "5%"], ["limit_99", "1%"], ["limit_99_9", "0.1%"]];
const DASHES = ["dot", "dash", "solid"];
const METHODS = { "chi-squared": "χ²", box: "Box", empirical: "empirical" };
/** As in the tables of docs/statistics.md: a row that is counted as beyond. */
const ALARM = "limit_99";
/** Of the picture, in pixels. */
const HEIGHT = 340;
/** Share of the rows, the smallest, that an axis need not reach down to. */
const LEFT_OUT = 0.02;
/** Room above the largest, for its label, in lengths of an axis. */
const ROOM = 0.08;
/** Distance of two labels, in lengths of an axis. */
const LABEL_APART = 0.04;

const figure = picture("limits", "T² and residual");
let recent = null;
let limits = null;

export function showLimitsOf(model) {
  limits = model?.limits ?? null;
  draw();
}

export function showRowsWithLimits(next) {
  recent = next;
  draw();
}

/** One of the two statistics: what rows have, and what is exceeded how often. */
function statistic(key, name) {
  const law = limits?.[key] ?? null;
  return law && { key, name, law, of: (row) => row[key], lines: LIMITS.map(([at, share]) => ({ share, value: law[at] })) };
}

/** By which method the limits of a statistic were found. */
function method({ law }) {
  const words = METHODS[law.method] ?? law.method;
  return law.rows > 0 ? `${words}, of ${count(law.rows)} rows` : words;
}

function draw() {
  const rows = (recent?.rows ?? []).filter((row) => row.t2 > 0);
  const [t2, residual] = [statistic("t2", "T²"), statistic("residual", "residual")];
  if (rows.length === 0 || t2 === null) {
    show(figure, { draw: null, data: null, words: "No limits yet: they appear once more rows have been learned." });
    return;
  }
  // Without a residual, T² goes up over the rows in their order.
  const across = residual === null ? { name: "row", of: (row) => row.row, lines: [] } : t2;
  const up = residual ?? t2;
  const x = across === t2 ? range(t2, rows) : [Math.min(...rows.map(across.of)), Math.max(...rows.map(across.of))];
  const y = range(up, rows);
  const known = [t2, residual].filter((one) => one !== null);
  const isBeyond = (row) => known.some((one) => one.of(row) > one.law[ALARM]);
  const told = known.map((one) => `${one.name} ${one.lines.map(({ value }) => number(value)).join(", ")} (${method(one)})`);
  const beyond = rows.filter(isBeyond).length;
  show(figure, {
    words: `Limits that 5%, 1% and 0.1% of rows exceed: ${told.join("; ")}. ${count(beyond)} of ${count(rows.length)} rows ${beyond === 1 ? "is" : "are"} beyond a limit of 1%.`,
    data: () => ({
      columns: ["row", "unix_s", ...known.flatMap((one) => [one.key, ...LIMITS.map(([at]) => `${one.key}_${at}`)])],
      rows: rows.map((row) => [row.row, row.unix_s, ...known.flatMap((one) => [one.of(row), ...LIMITS.map(([at]) => one.law[at])])]),
    }),
    draw: (c) => ({
      height: HEIGHT,
      traces: [
        ...[rows.filter((row) => !isBeyond(row)), rows.filter(isBeyond)].map((group, i) => ({
          type: "scatter", mode: "markers", name: ["within", "beyond 1%"][i], x: group.map(across.of), y: group.map(up.of),
          text: group.map((row) => [`row ${row.row}`, ...recent.ids.map((name, j) => `${name} ${row.ids[j] ?? "–"}`)].map(plain).join(", ")),
          hovertemplate: `%{text}: ${across.name} %{x:.4g}, ${up.name} %{y:.4g}<extra></extra>`,
          marker: { size: 6, opacity: 0.7, color: i === 0 ? c.accent : c.bad, symbol: i === 0 ? "circle" : "diamond" },
        })),
        ...lines(c, across, up, x, y),
      ],
      layout: {
        margin: { l: 52, r: 84, t: 24, b: 42 },
        xaxis: { title: across.name, type: across.lines.length > 0 ? "log" : "linear", range: x, zeroline: false },
        yaxis: { title: up.name, type: "log", range: y },
      },
    }),
  });
}

/**
 * From where to where an axis goes, as decimal logarithms: with the limits apart from each other, which the smallest
 * rows would press together, and with all but the smallest of the rows.
 */
function range({ of, lines: limits_ }, rows) {
  const values = rows.map(of).filter((value) => value > 0).sort((a, b) => a - b);
  const smallest = Math.min(values[Math.floor(LEFT_OUT * values.length)], ...limits_.slice(0, 1).map(({ value }) => value / 100));
  const largest = Math.max(values.at(-1), ...limits_.map(({ value }) => value));
  const span = Math.log10(largest / smallest);
  return [Math.log10(smallest), Math.log10(largest) + ROOM * span];
}

/** Labels of lines that lie too close to each other to have one each stand at the last of them. */
function labels(limits_, [from, to]) {
  let waiting = [];
  return limits_.map(({ share, value }, i) => {
    waiting.push(share);
    const next = limits_[i + 1];
    if (next && Math.log10(next.value / value) < LABEL_APART * (to - from)) return "";
    const label = waiting.join(", ");
    waiting = [];
    return label;
  });
}

/** Lines across the picture at the limits, each with the share of rows beyond it. */
function lines(c, across, up, x, y) {
  const line = (i, label, xs, ys, textposition) => ({
    type: "scatter", mode: "lines+text", name: `limit ${LIMITS[i][1]}`, x: xs, y: ys, text: ["", label], textposition,
    textfont: { size: 11, color: c.text }, cliponaxis: false, hoverinfo: "skip", line: { width: 1.2, color: c.quiet, dash: DASHES[i] },
  });
  const powers = (ends, isLog) => (isLog ? ends.map((end) => 10 ** end) : ends);
  const [xs, ys] = [powers(x, across.lines.length > 0), powers(y, true)];
  const [upward, sideways] = [labels(up.lines, y), labels(across.lines, x)];
  return [
    ...up.lines.map(({ value }, i) => line(i, upward[i], xs, [value, value], "middle right")),
    ...across.lines.map(({ value }, i) => line(i, sideways[i], [value, value], ys, "top center")),
  ];
}
