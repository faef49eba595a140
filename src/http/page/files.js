// What is read, what was refused and why, and the last lines of the log.
import { byId, fill, make, say } from "./dom.js";
import { bytes, count, tail, time } from "./format.js";
import { now } from "./headline.js";

const STATES = { quarantined: "bad", reading: "good", growing: "good" };

const path = (text) => ({ text: tail(text), title: text });

export function showSources(found) {
  const files = found?.files ?? [];
  const more = found && found.total > files.length ? `, the newest ${count(files.length)} shown` : "";
  say("sources-caption", `Sources: ${count(found?.total ?? 0)} ${found?.total === 1 ? "file" : "files"}${more}`);
  fill(byId("sources"), files.map((file) => [
    { text: file.file, number: true }, { ...path(file.path), head: true }, file.format ?? "–",
    { text: count(file.rows), number: true }, { text: bytes(file.bytes), number: true },
    { text: file.state, state: STATES[file.state] },
  ]), "No files seen yet.");
}

export function showQuarantine(found) {
  const files = found?.files ?? [];
  const more = found && found.total > files.length ? `, the newest ${count(files.length)} shown` : "";
  say("quarantine-caption", `Quarantine: ${count(found?.total ?? 0)} refused${more}`);
  fill(byId("quarantine"), files.map((file) => [
    time(file.at_unix_s, now()), { ...path(file.path), head: true }, { text: count(file.rows), number: true },
    { text: file.fault, state: "bad" }, { text: file.reason, title: file.reason },
  ]), "No files refused.");
}

export function showLog(found) {
  const place = byId("log");
  // Who has scrolled up reads; who is at the end wants the newest.
  const isAtEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 30;
  const lines = found?.lines ?? [];
  place.replaceChildren(...lines.map((line) => make("li", { "data-level": line.level.toLowerCase() },
    make("time", {}, time(line.unix_ms / 1000, now())), make("b", {}, line.level.toLowerCase()), make("span", {}, line.message))));
  if (lines.length === 0) place.append(make("li", { class: "quiet" }, "No log lines yet."));
  if (isAtEnd) place.scrollTop = place.scrollHeight;
}
