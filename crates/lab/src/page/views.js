// The landscape twice: as contours, on which a click starts, and as a surface that can be turned.
import { byId, make } from "./dom.js";
import { number } from "./format.js";
import { picture, redrawAll, show } from "./pictures.js";
import { NAMES, kindOf } from "./tables.js";

const GRID = 81;
const REACH = 2.2;
const SYMBOLS = { untied: "circle", synchronized: "square", tied: "diamond", alternating: "x" };
const DASHES = { untied: "solid", synchronized: "solid", tied: "dash", alternating: "dot" };
const WIDTHS = { untied: 2.5, synchronized: 3.5, tied: 2.5, alternating: 2 };
const MARKS = { minimum: "circle", saddle: "diamond-open", degenerate: "circle-open" };
const CONTOURS = 22;

const contours = picture("contours", "Contours");
const surface = picture("surface", "Surface");
surface.words.before(byId("turns"));
const hasWebGl = document.createElement("canvas").getContext("webgl") !== null;

let answer = null;
let iteration = 0;
let grid = null;
/** Where the surface is seen from: degrees round the axis of the loss and above the plane of the weights. */
const camera = { turn: -125, lift: 56, distance: innerWidth < 520 ? 2.35 : 1.95 };
const hidden = new Set();

/** L(w₁, w₂) as `crates/lab/src/scalar` has it. */
function lossAt({ loss, scatter, lambda }, w1, w2) {
  const product = w1 * w2;
  const penalty = loss === "sum" ? w1 * w1 + w2 * w2 : loss === "product" ? product * product : 0;
  return scatter * (1 - product) ** 2 + lambda * penalty;
}

function gridOf(now) {
  const reach = Math.max(REACH, 1.1 * Math.abs(now.start[0]), 1.1 * Math.abs(now.start[1]));
  const axis = Array.from({ length: GRID }, (_, i) => reach * ((2 * i) / (GRID - 1) - 1));
  const loss = axis.map((w2) => axis.map((w1) => lossAt(now, w1, w2)));
  const least = Math.min(...now.critical_points.map((point) => point.loss));
  // Roots: the loss is of the fourth degree, and equal steps of it would all lie at the rim.
  const root = loss.map((line) => line.map((value) => Math.sqrt(Math.max(0, value - least))));
  const top = 4 * now.scatter + 3 * now.lambda;
  return { reach, axis, loss, root, least, top, rootTop: Math.sqrt(Math.max(0, top - least)) };
}

/** Another answer is drawn, up to an iteration. */
export function showLandscape(next) {
  answer = next;
  grid = gridOf(next);
  draw();
}

/** The same answer up to another iteration. */
export function showIteration(next) {
  iteration = next;
  if (answer !== null) draw();
}

function draw() {
  const place = answer.curve === null
    ? `Critical: ${answer.critical_points.map((point) => `${kindOf(point)} (${number(point.w1, 3)}, ${number(point.w2, 3)})`).join(", ")}.`
    : `Minima on the curve w₁w₂ = ${number(answer.curve, 4)}, a saddle at the origin.`;
  show(contours, {
    words: `${place} Started at (${number(answer.start[0], 3)}, ${number(answer.start[1], 3)}); a click starts elsewhere. The line w₁ = w₂ is dotted.`,
    data: walked,
    draw: (c, width) => drawContours(c, width),
  });
  show(surface, {
    words: hasWebGl
      ? `Loss L over the weights, up to ${number(grid.top, 3)}. Drag, or use the buttons below, to turn it.`
      : "This browser has no WebGL, which the surface needs; the contours show the same loss.",
    data: gridded,
    draw: hasWebGl ? (c, width) => drawSurface(c, width) : null,
  });
}

const walked = () => ({
  columns: ["algorithm", "iteration", "w1", "w2", "loss"],
  rows: answer.trajectories.flatMap((walk) => walk.points.map(([w1, w2], i) => [walk.algorithm, i, w1, w2, lossAt(answer, w1, w2)])),
});

const gridded = () => ({
  columns: ["w1", "w2", "loss"],
  rows: grid.axis.flatMap((w2, j) => grid.axis.map((w1, i) => [w1, w2, grid.loss[j][i]])),
});

/** Iterates so far, as long as they are near enough to be drawn. */
function seen(walk) {
  const points = walk.points.slice(0, iteration + 1);
  const far = points.findIndex(([w1, w2]) => Math.max(Math.abs(w1), Math.abs(w2)) > 3 * grid.reach);
  return far < 0 ? points : points.slice(0, far);
}

/** Both branches of w₁w₂ = c within reach, with a gap between. */
function hyperbola() {
  if (answer.curve === null) return { x: [], y: [] };
  const least = answer.curve / grid.reach;
  const branch = Array.from({ length: 60 }, (_, i) => least * (grid.reach / least) ** (i / 59));
  const other = branch.map((w1) => answer.curve / w1);
  return { x: [...branch, null, ...branch.map((w) => -w)], y: [...other, null, ...other.map((w) => -w)] };
}

/** What stands beside the critical points; those of a curve stand for all of it. */
const labels = (ofCurve) => answer.critical_points.map((p) => (p.kind === "saddle" ? "saddle" : answer.curve === null ? kindOf(p) : ofCurve));

const scaleOf = (c) => (c.isDark
  ? [[0, "#1c2733"], [0.35, "#28425a"], [0.7, "#3d6480"], [1, "#6f93a8"]]
  : [[0, "#f7fafd"], [0.35, "#d5e3ee"], [0.7, "#a5bfd3"], [1, "#7797b2"]]);

const colourOf = (c, i) => c.series[i];

function drawContours(c, width) {
  const height = Math.min(width, 470);
  const step = grid.rootTop / CONTOURS;
  const curve = hyperbola();
  const line = (name, x, y, own) => ({ type: "scatter", mode: "lines", name, x, y, hoverinfo: "skip", ...own });
  const traces = [
    { type: "contour", name: "loss", x: grid.axis, y: grid.axis, z: grid.root, customdata: grid.loss, showscale: false,
      colorscale: scaleOf(c), zauto: false, zmin: 0, zmax: grid.rootTop, autocontour: false,
      contours: { start: step / 2, end: 2 * grid.rootTop, size: step }, line: { width: 0.6, color: c.isDark ? "#5d7a90" : "#8ea6ba" },
      hovertemplate: "(%{x:.2f}, %{y:.2f})<br>loss %{customdata:.4g}<extra></extra>" },
    line("w₁ = w₂", [-grid.reach, grid.reach], [-grid.reach, grid.reach], { line: { color: c.quiet, width: 1, dash: "dot" } }),
    line("curve of minima", curve.x, curve.y, { line: { color: c.bad, width: 3, dash: "dash" } }),
    ...answer.trajectories.map((walk, i) => {
      const points = hidden.has(walk.algorithm) ? [] : seen(walk);
      return {
        type: "scatter", mode: "lines+markers", name: NAMES[walk.algorithm], x: points.map((p) => p[0]), y: points.map((p) => p[1]),
        customdata: points.map((p, t) => [t, lossAt(answer, ...p)]),
        line: { color: colourOf(c, i), width: WIDTHS[walk.algorithm], dash: DASHES[walk.algorithm] },
        marker: { color: colourOf(c, i), size: 4.5, symbol: SYMBOLS[walk.algorithm] },
        hovertemplate: `${NAMES[walk.algorithm]}, iteration %{customdata[0]}<br>(%{x:.5g}, %{y:.5g})<br>loss %{customdata[1]:.5g}<extra></extra>`,
      };
    }),
    { type: "scatter", mode: "markers+text", name: "critical points", x: answer.critical_points.map((p) => p.w1), y: answer.critical_points.map((p) => p.w2),
      text: labels("minima"), textposition: "bottom right",
      textfont: { color: c.text, size: 12 }, customdata: answer.critical_points.map((p) => [kindOf(p), p.loss, p.index]),
      marker: { size: 12, symbol: answer.critical_points.map((p) => MARKS[p.kind]), color: c.text, line: { width: 2, color: c.text } },
      hovertemplate: "%{customdata[0]} (%{x:.5g}, %{y:.5g})<br>loss %{customdata[1]:.5g}, index %{customdata[2]}<extra></extra>" },
    { type: "scatter", mode: "markers", name: "start", x: [answer.start[0]], y: [answer.start[1]], hovertemplate: "start (%{x:.4g}, %{y:.4g})<extra></extra>",
      marker: { size: 13, symbol: "star", color: c.text, line: { width: 1, color: c.surface } } },
  ];
  paintSwatches(c);
  const range = [-grid.reach, grid.reach];
  return { traces, height, layout: { margin: { l: 48, r: 10, t: 8, b: 42 }, xaxis: { title: "w₁", range, zeroline: false }, yaxis: { title: "w₂", range, zeroline: false } } };
}

function drawSurface(c, width) {
  const height = Math.min(width, 470);
  // In a narrow picture the axis's name would be cut off; the caption says what it is.
  const lossName = width < 520 ? "" : "loss";
  const lift = 0.02 * grid.top;
  const above = (points) => ({
    x: points.map((p) => p?.[0] ?? null), y: points.map((p) => p?.[1] ?? null),
    z: points.map((p) => (p === null ? null : lossAt(answer, ...p) + lift)),
  });
  const curve = hyperbola();
  const traces = [
    { type: "surface", name: "loss", x: grid.axis, y: grid.axis, z: grid.loss, surfacecolor: grid.root, cmin: 0, cmax: grid.rootTop,
      colorscale: scaleOf(c), showscale: false, lighting: { ambient: 0.75, diffuse: 0.5, specular: 0.08, roughness: 0.9 },
      contours: { z: { show: true, start: 0, end: grid.top, size: grid.top / 14, color: c.isDark ? "#7f9bb0" : "#6d88a0", width: 1 }, x: { highlight: false }, y: { highlight: false } },
      hovertemplate: "(%{x:.2f}, %{y:.2f})<br>loss %{z:.4g}<extra></extra>" },
    { type: "scatter3d", mode: "lines", name: "curve of minima", ...above(curve.x.map((w1, i) => (w1 === null ? null : [w1, curve.y[i]]))),
      line: { color: c.bad, width: 6 }, connectgaps: false, hoverinfo: "skip" },
    ...answer.trajectories.map((walk, i) => {
      const points = hidden.has(walk.algorithm) ? [] : seen(walk);
      return {
        type: "scatter3d", mode: "lines+markers", name: NAMES[walk.algorithm], ...above(points),
        line: { color: colourOf(c, i), width: 1.6 * WIDTHS[walk.algorithm] }, marker: { color: colourOf(c, i), size: 3, symbol: SYMBOLS[walk.algorithm] },
        hovertemplate: `${NAMES[walk.algorithm]} (%{x:.4g}, %{y:.4g})<extra></extra>`,
      };
    }),
    { type: "scatter3d", mode: "markers+text", name: "critical points", ...above(answer.critical_points.map((p) => [p.w1, p.w2])),
      text: labels(""), textposition: "top center",
      textfont: { color: c.text, size: 12 }, marker: { size: 6, symbol: answer.critical_points.map((p) => MARKS[p.kind]), color: c.text },
      hovertemplate: "%{text} (%{x:.4g}, %{y:.4g})<extra></extra>" },
    { type: "scatter3d", mode: "markers", name: "start", ...above([answer.start]), marker: { size: 5, symbol: "diamond", color: c.text }, hovertemplate: "start<extra></extra>" },
  ];
  const axis = (title, range) => ({
    title: { text: title }, range, gridcolor: c.grid, zerolinecolor: c.grid, linecolor: c.quiet, tickfont: { color: c.quiet, size: 11 },
    showspikes: false, backgroundcolor: c.surface, nticks: 5,
  });
  const [turn, rise] = [(camera.turn * Math.PI) / 180, (camera.lift * Math.PI) / 180];
  const eye = {
    x: camera.distance * Math.cos(rise) * Math.cos(turn), y: camera.distance * Math.cos(rise) * Math.sin(turn), z: camera.distance * Math.sin(rise),
  };
  const range = [-grid.reach, grid.reach];
  return {
    traces, height,
    layout: {
      margin: { l: 0, r: 0, t: 0, b: 0 },
      scene: {
        dragmode: "turntable", camera: { eye, center: { x: 0, y: 0, z: -0.12 } }, aspectmode: "manual", aspectratio: { x: 1, y: 1, z: 0.65 },
        xaxis: axis("w₁", range), yaxis: axis("w₂", range), zaxis: axis(lossName, [0, grid.top]),
      },
    },
  };
}

/** The area in which the contours lie, in pixels of the window. */
const area = () => contours.plot.querySelector(".nsewdrag")?.getBoundingClientRect();

/** Calls `callback(w1, w2)` with the place of a click, to a hundredth. */
export function onPlace(callback) {
  contours.plot.addEventListener("click", (event) => {
    const box = area();
    if (grid === null || !box) return;
    const across = (event.clientX - box.left) / box.width;
    const up = (box.bottom - event.clientY) / box.height;
    if (across < 0 || across > 1 || up < 0 || up > 1) return;
    const weight = (part) => Number((grid.reach * (2 * part - 1)).toFixed(2));
    callback(weight(across), weight(up));
  });
}

function paintSwatches(c) {
  Object.keys(NAMES).forEach((name, i) => { byId(`swatch-${name}`).style.background = colourOf(c, i); });
}

/** What Plotly says when the surface was turned with a pointer; drawn anew it would turn back. */
function keepCamera(event) {
  const eye = event["scene.camera"]?.eye;
  if (!eye) return;
  camera.distance = Math.hypot(eye.x, eye.y, eye.z);
  camera.turn = (180 / Math.PI) * Math.atan2(eye.y, eye.x);
  camera.lift = (180 / Math.PI) * Math.asin(eye.z / camera.distance);
}

let isListening = false;
function listen() {
  // Plotly gives an element its `on` when it first draws there.
  if (isListening || typeof surface.plot.on !== "function") return;
  surface.plot.on("plotly_relayout", keepCamera);
  isListening = true;
}
surface.plot.addEventListener("pointerdown", listen, { capture: true });

for (const button of document.querySelectorAll("[data-turn]")) {
  button.disabled = !hasWebGl;
  button.addEventListener("click", () => {
    camera.turn += Number(button.dataset.turn);
    camera.lift = Math.min(88, Math.max(-10, camera.lift + Number(button.dataset.lift)));
    redrawAll();
  });
}

for (const [name, text] of Object.entries(NAMES)) {
  const box = make("input", { type: "checkbox", checked: "" });
  box.addEventListener("change", () => {
    if (box.checked) hidden.delete(name);
    else hidden.add(name);
    redrawAll();
  });
  byId("algorithms-shown").append(make("label", {}, box, make("span", { class: "swatch", id: `swatch-${name}` }), text));
}
