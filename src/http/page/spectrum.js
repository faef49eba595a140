// Eigenvalues with their errors above the penalty, and the variance that they explain.
import { byId, fill } from "./dom.js";
import { count, degrees, number, percent } from "./format.js";
import { picture, show } from "./pictures.js";

const scree = picture("scree", "Eigenvalues");
const explained = picture("explained", "Explained variance");
const scale = byId("scree-scale");
let shown = null;

scale.addEventListener("change", () => shown && draw());

export function showSpectrum(model) {
  if (shown === null && scale.dataset.isChosen === undefined) {
    const [first, last] = [model.components[0], model.components.at(-1)];
    // A logarithm tells a spectrum over decades; a few components of one size are told by their lengths.
    scale.value = first && first.eigenvalue > 20 * last.eigenvalue && last.eigenvalue > 0 ? "log" : "linear";
    scale.dataset.isChosen = "";
  }
  shown = model;
  draw();
  fill(byId("components-table"), model.components.map((one) => [
    { text: one.component, head: true },
    { text: number(one.eigenvalue, 6), number: true },
    { text: number(one.eigenvalue_stderr, 3), number: true },
    { text: percent(one.explained_variance_ratio), number: true },
    { text: percent(one.cumulative_ratio), number: true },
    { text: degrees(one.angle_stderr_rad), number: true },
    { text: one.determined ? (one.active ? "yes" : "no") : "not determined", state: one.active ? "good" : "quiet" },
  ]), "No components yet.");
}

function data() {
  const names = ["component", "eigenvalue", "eigenvalue_stderr", "explained_variance_ratio", "cumulative_ratio", "angle_stderr_rad", "active", "determined"];
  return { columns: names, rows: shown.components.map((one) => names.map((name) => one[name])) };
}

function ticks(k) {
  return { title: "component", range: [0.4, k + 0.6], ...(k <= 20 ? { dtick: 1, tick0: 1 } : {}), showgrid: false };
}

function draw() {
  const all = shown.components;
  const k = all.length;
  const active = all.filter((one) => one.active).length;
  const first = all[0];
  const above = shown.components_above_noise;
  const told = shown.components_determined;
  const words = `${active} of ${k} active${told < k ? `, ${k - told} not determined` : ""}. Largest ${number(first?.eigenvalue)}${first?.eigenvalue_stderr == null ? "" : ` ± ${number(first.eigenvalue_stderr, 2)}`}, `
    + `penalty ${number(shown.penalty)}, noise ${shown.noise_variance == null ? "unknown" : number(shown.noise_variance)}`
    + (above == null ? "; the number above noise cannot be determined." : `; ${shown.components_above_noise_is_lower_bound ? "at least " : ""}${count(above)} above noise (rule: ${shown.components_above_noise_rule}).`);
  show(scree, { words, data, draw: (c) => drawScree(c, all, k) });
  const last = all.at(-1);
  show(explained, {
    words: `Component 1 explains ${percent(first?.explained_variance_ratio)} of the variance, all ${k} together ${percent(last?.cumulative_ratio)}.`,
    data,
    draw: (c) => ({
      traces: [
        { type: "bar", name: "own", x: all.map((one) => one.component), y: all.map((one) => 100 * one.explained_variance_ratio),
          marker: { color: all.map((one) => (one.active ? c.accent : c.grid)) }, hovertemplate: "component %{x}: %{y:.2f}%<extra></extra>" },
        { type: "scatter", mode: k === 1 ? "markers" : "lines+markers", name: "cumulative", x: all.map((one) => one.component), y: all.map((one) => 100 * one.cumulative_ratio),
          line: { color: c.series[1], width: 2 }, marker: { size: 6 }, hovertemplate: "first %{x}: %{y:.2f}%<extra></extra>" },
      ],
      layout: { bargap: k < 4 ? 0.8 : 0.35, xaxis: ticks(k), yaxis: { title: "% of the variance", range: [0, 104], showgrid: true }, showlegend: true },
    }),
  });
}

function drawScree(c, all, k) {
  const isLog = scale.value === "log";
  const of = (list, name, colour, isOpen) => ({
    type: "scatter", mode: "markers", name, x: list.map((one) => one.component), y: list.map((one) => one.eigenvalue),
    error_y: { type: "data", array: list.map((one) => one.eigenvalue_stderr ?? 0), color: colour, thickness: 1.5, width: 4 },
    marker: { size: 9, color: isOpen ? c.surface : colour, line: { width: 2, color: colour } },
    hovertemplate: "component %{x}: %{y:.5g}<extra></extra>",
  });
  const level = (name, value, dash, colour) => ({
    type: "scatter", mode: "lines", name, x: [0.4, k + 0.6], y: [value, value],
    line: { color: colour, width: 1.5, dash }, hovertemplate: `${name} %{y:.5g}<extra></extra>`,
  });
  const traces = [];
  const told = shown.components_determined;
  const active = all.filter((one) => one.active);
  const rest = all.filter((one) => !one.active);
  if (active.length > 0) traces.push(of(active, "active", c.accent, false));
  if (rest.length > 0) traces.push(of(rest, told < k ? "inactive or not determined" : "inactive", c.quiet, true));
  const isShown = (value) => value != null && (!isLog || value > 0);
  if (isShown(shown.penalty)) traces.push(level("penalty", shown.penalty, "dash", c.bad));
  if (isShown(shown.noise_variance)) traces.push(level("noise", shown.noise_variance, "dot", c.quiet));
  return {
    traces,
    layout: { showlegend: true, xaxis: ticks(k), yaxis: { title: "eigenvalue", type: isLog ? "log" : "linear", rangemode: isLog ? "normal" : "tozero" } },
  };
}
