// The settings: sliders and fields → the parameters of a query.
import { byId, say } from "./dom.js";
import { number } from "./format.js";

const MINIBATCHES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
const SEEDS = 2 ** 32;

/** The start that was chosen last: a field may hold a number that is only half written. */
let start = { w1: byId("w1").valueAsNumber, w2: byId("w2").valueAsNumber };
let seed = byId("seed").valueAsNumber;
let changed = () => {};

/** What is asked for: the step size is the one that is shown, to three digits. */
export function parameters() {
  return {
    loss: byId("loss").value,
    scatter: byId("scatter").valueAsNumber,
    lambda: byId("lambda").valueAsNumber,
    step: Number((10 ** byId("step").valueAsNumber).toPrecision(3)),
    minibatch: MINIBATCHES[byId("minibatch").valueAsNumber],
    seed,
    ...start,
  };
}

/** Calls `callback(isNewStart)` whenever something else is asked for. */
export function onChange(callback) { changed = callback; }

/** Starts elsewhere. */
export function startAt(w1, w2) {
  start = { w1, w2 };
  byId("w1").value = w1;
  byId("w2").value = w2;
  changed(true);
}

function tell() {
  const now = parameters();
  const isFree = now.loss === "none";
  byId("lambda").disabled = isFree;
  const texts = {
    scatter: number(now.scatter), lambda: isFree ? "none" : number(now.lambda), step: number(now.step, 3),
    minibatch: now.minibatch === 1000 ? "all" : String(now.minibatch),
  };
  for (const [id, text] of Object.entries(texts)) {
    say(`${id}-is`, text);
    byId(id).setAttribute("aria-valuetext", text);
  }
}

for (const id of ["loss", "scatter", "lambda", "step", "minibatch"]) {
  byId(id).addEventListener("input", () => { tell(); changed(false); });
}

byId("seed").addEventListener("change", (event) => {
  if (!event.target.reportValidity() || Number.isNaN(event.target.valueAsNumber)) return;
  seed = event.target.valueAsNumber;
  changed(true);
});

byId("new-noise").addEventListener("click", () => {
  seed = Math.floor(Math.random() * SEEDS);
  byId("seed").value = seed;
  changed(true);
});

byId("start").addEventListener("submit", (event) => {
  event.preventDefault();
  startAt(byId("w1").valueAsNumber, byId("w2").valueAsNumber);
});

tell();
