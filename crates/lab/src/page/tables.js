// The critical points and the ends of the algorithms, in numbers.
import { byId, fill } from "./dom.js";
import { count, number } from "./format.js";

export const NAMES = { untied: "untied", synchronized: "synchronized", tied: "tied", alternating: "alternating" };

const KINDS = { minimum: "minimum", saddle: "saddle", degenerate: "degenerate minimum" };

const figure = (x) => ({ text: number(x, 7), number: true, title: String(x) });

/** What a critical point is, in a word. */
export const kindOf = (point) => KINDS[point.kind];

export function showCritical(answer) {
  const rows = answer.critical_points.map((point) => [
    { text: where(answer, point), head: true },
    figure(point.w1), figure(point.w2), figure(point.loss),
    kindOf(point),
    { text: point.index, number: true },
    point.eigenvalues.map((one) => number(Math.abs(one) < 1e-9 ? 0 : one)).join(", "),
  ]);
  fill(byId("critical"), rows, "None.");
}

function where(answer, point) {
  if (point.w1 === 0 && point.w2 === 0) return "the origin";
  return answer.curve === null ? "w₁ = w₂" : `on the curve w₁w₂ = ${number(answer.curve)}`;
}

export function showEnds(answer) {
  const rows = answer.trajectories.map((walk) => {
    const [w1, w2] = walk.points.at(-1);
    return [
      { text: NAMES[walk.algorithm], head: true },
      { text: count(walk.points.length - 1), number: true },
      figure(w1), figure(w2), figure(walk.loss),
      { text: endOf(walk), state: walk.outcome === "converged" ? "good" : walk.outcome === "diverged" ? "bad" : "quiet" },
    ];
  });
  fill(byId("ends"), rows, "None.");
}

function endOf(walk) {
  if (walk.outcome === "diverged") return "diverged: the step is too long here";
  const isThere = walk.outcome === "converged";
  const near = { saddle: "the saddle", minimum: "a minimum", degenerate: "a minimum" }[walk.near];
  const where = near === undefined ? "away from all critical points" : `${isThere ? "at" : "near"} ${near}`;
  return isThere ? `converged ${where}` : `still moving ${where}`;
}
