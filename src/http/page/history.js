// The run over time: eigenvalues, how far the subspace moved, drift, rows a second.
import { say } from "./dom.js";
import { count, duration, number, stamp, time } from "./format.js";
import { now } from "./headline.js";
import { picture, show } from "./pictures.js";

const eigenvalues = picture("history-eigenvalues", "Eigenvalues over time");
const distance = picture("history-distance", "Subspace distance");
const drift = picture("history-drift", "Drift score");
const rate = picture("history-rate", "Rows per second");

const timeAxis = { type: "date", showgrid: false, tickformatstops: [
  { dtickrange: [null, 60000], value: "%H:%M:%S" }, { dtickrange: [60000, 86400000], value: "%H:%M" },
  { dtickrange: [86400000, null], value: "%Y-%m-%d" } ] };

export function showHistory(history) {
  const points = history?.points ?? [];
  if (points.length === 0) {
    for (const one of [eigenvalues, distance, drift, rate]) show(one, { draw: null, data: null, words: "No points recorded yet." });
    say("history-span", "");
    return;
  }
  const x = points.map((point) => stamp(point.unix_s));
  const last = points.at(-1);
  say("history-span", `${count(points.length)} ${points.length === 1 ? "point" : "points"} since ${time(points[0].unix_s, now())}, one every ${duration(history.interval_s)}`);
  const mode = points.length === 1 ? "markers" : "lines";
  const k = Math.max(...points.map((point) => point.eigenvalues.length));
  show(eigenvalues, {
    words: `Now ${last.eigenvalues.slice(0, 3).map((value) => number(value)).join(", ")}${k > 3 ? " …" : ""} after ${count(last.rows)} rows.`,
    data: () => ({
      columns: ["unix_s", "rows", "explained", "noise_variance", ...Array.from({ length: k }, (_, i) => `eigenvalue_${i + 1}`)],
      rows: points.map((p) => [p.unix_s, p.rows, p.explained, p.noise_variance, ...Array.from({ length: k }, (_, i) => p.eigenvalues[i] ?? null)]),
    }),
    draw: (c) => ({
      traces: [
        ...Array.from({ length: k }, (_, i) => ({
          type: "scatter", mode, name: `component ${i + 1}`, x, y: points.map((p) => (p.eigenvalues[i] > 0 ? p.eigenvalues[i] : null)),
          line: { width: 1.5, color: c.series[i % c.series.length], dash: i < c.series.length ? "solid" : "dot" },
          hovertemplate: `component ${i + 1}: %{y:.5g}<extra></extra>`,
        })),
        { type: "scatter", mode, name: "noise", x, y: points.map((p) => (p.noise_variance > 0 ? p.noise_variance : null)),
          line: { width: 1.5, color: c.quiet, dash: "dot" }, hovertemplate: "noise: %{y:.5g}<extra></extra>" },
      ],
      layout: { xaxis: timeAxis, yaxis: { type: "log", title: "eigenvalue" } },
    }),
  });
  series(distance, points, x, mode, "subspace_distance", "√Σ sin²", (value) => `Between the last two points ${number(value, 3)}.`, "Available from the second point on.");
  const threshold = last.drift_threshold;
  series(drift, points, x, mode, "drift_score", "standard errors",
    (value) => `Now ${number(value, 3)}${threshold == null ? "" : `; a drift is above ${number(threshold, 3)}`}.`,
    "Not watched: drift.short_half_life_rows is unset, or too few rows have come in.", "drift_threshold");
  series(rate, points, x, mode, "rows_per_s", "rows/s", (value) => `Now ${count(value)}, at most ${count(Math.max(...points.map((p) => p.rows_per_s ?? 0)))}.`, "");
}

function series(one, points, x, mode, key, title, words, none, limit) {
  const known = points.filter((point) => point[key] != null);
  if (known.length === 0) { show(one, { draw: null, data: null, words: none }); return; }
  const columns = ["unix_s", "rows", key, ...(limit ? [limit] : [])];
  show(one, {
    words: words(known.at(-1)[key]),
    data: () => ({ columns, rows: points.map((point) => columns.map((name) => point[name])) }),
    draw: (c) => ({
      height: 220,
      traces: [
        { type: "scatter", mode: known.length === 1 ? "markers" : mode, name: title, x, y: points.map((point) => point[key]),
          line: { width: 1.5, color: c.accent }, hovertemplate: "%{x|%Y-%m-%d %H:%M:%S}: %{y:.5g}<extra></extra>" },
        ...(limit ? [{ type: "scatter", mode: "lines", name: "threshold", x, y: points.map((point) => point[limit]),
          line: { width: 1.5, color: c.bad, dash: "dash" }, hovertemplate: "threshold: %{y:.5g}<extra></extra>" }] : []),
      ],
      layout: { xaxis: timeAxis, yaxis: { title, rangemode: "tozero" }, showlegend: Boolean(limit) },
    }),
  });
}
