// The lab's page: settings → a question → pictures and tables.
import { onChange, parameters, startAt } from "./controls.js";
import { byId, say } from "./dom.js";
import { count } from "./format.js";
import { catchUp } from "./pictures.js";
import { showCritical, showEnds } from "./tables.js";
import "./theme.js";
import { onPlace, showIteration, showLandscape } from "./views.js";

const RETRY_MS = 3000;
const PLAY_MS = 2000;

let isAsking = false;
let isWanted = false;
let isStart = false;
let retry = 0;
let longest = 0;
let playing = 0;

/** One question at a time, and the last one wins: a slider that is drawn asks as often as it is answered. */
async function ask() {
  isWanted = true;
  if (isAsking) return;
  isAsking = true;
  while (isWanted) {
    isWanted = false;
    clearTimeout(retry);
    try {
      const reply = await fetch(`/api/v1/scalar?${new URLSearchParams(parameters())}`);
      const body = await reply.json();
      if (!reply.ok) throw new Error(body.detail);
      connection("live", "live");
      if (!isWanted) heard(body);
    } catch (error) {
      const isAway = error instanceof TypeError;
      connection("away", isAway ? "no connection: is `ojad lab` still running?" : error.message);
      if (isAway) retry = setTimeout(ask, RETRY_MS);
    }
  }
  isAsking = false;
}

function connection(state, text) {
  byId("connection").dataset.state = state;
  say("connection", text);
}

function heard(answer) {
  say("theory", answer.theory);
  longest = Math.max(...answer.trajectories.map((walk) => walk.points.length - 1));
  const bar = byId("iteration");
  bar.max = longest;
  showCritical(answer);
  showEnds(answer);
  pause();
  const isSeen = isStart && !matchMedia("(prefers-reduced-motion: reduce)").matches;
  isStart = false;
  seek(isSeen ? 0 : longest);
  showLandscape(answer);
  if (isSeen) play();
}

function seek(iteration) {
  byId("iteration").value = iteration;
  const text = `${count(iteration)} of ${count(longest)}`;
  say("iteration-is", text);
  byId("iteration").setAttribute("aria-valuetext", text);
  showIteration(iteration);
}

/** From the start to the end: the first iterations go far and the last ones hardly, so these go by faster. */
function play() {
  const begun = performance.now();
  say("play", "Pause");
  const frame = (now) => {
    const part = Math.min(1, Math.max(0, now - begun) / PLAY_MS);
    seek(Math.round((longest + 1) ** part) - 1);
    if (part < 1) playing = requestAnimationFrame(frame);
    else pause();
  };
  playing = requestAnimationFrame(frame);
}

function pause() {
  cancelAnimationFrame(playing);
  playing = 0;
  say("play", "Play");
}

byId("play").addEventListener("click", () => (playing === 0 ? play() : pause()));
byId("iteration").addEventListener("input", (event) => { pause(); seek(event.target.valueAsNumber); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) catchUp(); });

onPlace(startAt);
onChange((isNewStart) => { isStart ||= isNewStart; ask(); });
ask();
