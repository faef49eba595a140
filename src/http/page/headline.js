// The run in words and figures: what it does, since when, why; rows, lag, ages, convergence, drift.
import { byId, make, say } from "./dom.js";
import { bytes, count, degrees, duration, number, time } from "./format.js";

let status = null;
/** Seconds that the daemon's clock is ahead of the browser's: ages are by the daemon's. */
let ahead = 0;
/** What was last read out, by what it was about. */
let told = null;

export const now = () => Date.now() / 1000 + ahead;

export function showStatus(next) {
  status = next;
  ahead = next.now_unix_s - Date.now() / 1000;
  const headline = byId("headline");
  headline.dataset.state = next.state;
  document.title = `${next.state} · ojad`;
  say("state", next.state);
  say("sentence", next.headline);
  say("version", next.version);
  // Another state or reason is news; another number of rows a second is not.
  const about = [next.state, ...next.reasons].join("\n");
  if (about !== told) say("spoken", next.headline);
  told = about;
  reasons(next.reasons);
  say("rows", count(next.rows));
  const parts = [];
  if (next.rows_rejected > 0) parts.push(`${count(next.rows_rejected)} rejected`);
  if (next.rows_waiting > 0) parts.push(`${count(next.rows_waiting)} wait for a full minibatch`);
  say("rows-more", parts.join(", ") || `${count(next.rows_read)} read`);
  say("rows-per-second", next.rows_per_s >= 100 ? count(next.rows_per_s) : number(next.rows_per_s, 3));
  say("reading", next.reading ?? (next.state === "waiting" ? "no rows left to read" : ""));
  byId("reading").title = next.reading ?? "";
  say("lag", next.lag_files === 0 ? "none" : `${count(next.lag_files)} ${next.lag_files === 1 ? "file" : "files"}`);
  say("lag-bytes", next.lag_files === 0 ? "every file is learned" : `${bytes(next.lag_bytes)} waiting`);
  convergence(next.convergence);
  drift(next);
  say("snapshot-name", next.snapshot ?? "");
  say("model", next.features === 0 ? "–" : `${count(next.components)} of ${count(next.features)}`);
  say("model-more", next.features === 0 ? "no features known yet" : "components of features");
  tick();
}

function reasons(list) {
  const place = byId("reasons");
  if (place.childElementCount === list.length && list.every((text, i) => place.children[i].textContent === text)) return;
  place.replaceChildren(...list.map((text) => make("li", {}, text)));
}

function convergence(found) {
  if (!found) { say("converged", "–"); say("converged-more", "not known yet"); return; }
  const target = degrees(found.target_angle_rad);
  say("converged", found.is_converged ? "yes" : "not yet");
  const error = found.angle_stderr_rad === null ? "error not known yet"
    : `±${degrees(found.angle_stderr_rad)}${found.component ? ` (component ${found.component})` : ""}, target ${target}`;
  const more = found.is_converged ? "" : found.rows_more === null ? "; how many rows it takes is not known" : `; ${count(found.rows_more)} more rows`;
  say("converged-more", error + more);
  byId("converged").dataset.state = found.is_converged ? "good" : "";
}

function drift(next) {
  const place = byId("drift");
  if (!next.is_drift_watched) { say(place, "not watched"); say("drift-more", ""); place.dataset.state = ""; return; }
  say(place, next.drifts === 0 ? "none" : `${count(next.drifts)} so far`);
  place.dataset.state = next.state === "drifted" ? "bad" : "";
  const last = next.drifted_unix_s === null ? "" : `, last ${time(next.drifted_unix_s, now())}`;
  if (!next.drift) { say("drift-more", `too few rows to compare yet${last}`); return; }
  const score = Math.max(...next.drift.scores);
  const threshold = next.drift.threshold;
  say("drift-more", `score ${number(score, 3)}${threshold === null ? "" : ` of ${number(threshold, 3)}`}, ${next.drift.kind}${last}`);
}

/** Ages grow between two words from the daemon. */
export function tick() {
  if (status === null) return;
  const age = (at) => (at === null ? "none yet" : `${duration(now() - at)} ago`);
  say("since", `since ${time(status.since_unix_s, now())} (${duration(now() - status.since_unix_s)}), started ${time(status.started_unix_s, now())}`);
  say("snapshot-age", age(status.snapshot_unix_s));
  say("checkpoint-age", age(status.checkpoint_unix_s));
}
