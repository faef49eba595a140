// Asks the daemon: with the token where one is needed, and again after it was away.

const TOKEN = "ojad-token";
/** Silence after which a stream is taken for dead; the daemon sends a comment more often. */
const SILENCE_MS = 45_000;
const WAIT_MIN_MS = 500;
const WAIT_MAX_MS = 15_000;
/** An answer that takes longer is not waited for: the network has lost it, and nothing more would be asked. */
const ANSWER_MS = 60_000;
/** A browser has six connections to a server: tabs that nobody sees leave theirs to the others. */
const UNSEEN_MS = 5_000;
/** So often the state is asked for in a tab that nobody sees: its title tells it. */
const GLANCE_MS = 30_000;

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until the tab is seen, at most so long. */
const seen = (ms) => new Promise((done) => {
  const timer = setTimeout(finish, ms);
  function finish() {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
    done();
  }
  function look() {
    if (!document.hidden) finish();
  }
  document.addEventListener("visibilitychange", look);
  look();
});

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

let token = null;
try { token = sessionStorage.getItem(TOKEN); } catch { /* kept in memory only */ }

export function keepToken(text) {
  token = text;
  try {
    if (text === null) sessionStorage.removeItem(TOKEN);
    else sessionStorage.setItem(TOKEN, text);
  } catch { /* kept in memory only */ }
}

export const hasToken = () => token !== null;

function ask(path, accept, signal) {
  const headers = { Accept: accept };
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  return fetch(path, { headers, signal, credentials: "omit" });
}

async function refusal(response) {
  let detail = response.statusText;
  try { detail = (await response.json()).detail ?? detail; } catch { /* no problem document */ }
  return new Refused(response.status, detail);
}

/**
 * A path that is asked again and again, never twice at a time and never more often than every `gapMs`.
 * `show` gets the answer when it is another one than before, and null while there is none (503, 404).
 */
export class Resource {
  constructor(path, gapMs, show) {
    this.path = path;
    this.gapMs = gapMs;
    this.show = show;
    this.text = undefined;
    this.isAsking = false;
    this.isWanted = false;
    this.asked = -Infinity;
    this.onRefused = () => {};
    this.wake = () => {};
    this.stop = () => {};
  }

  /** Another path: what is known is of the one before. */
  move(path) {
    if (path === this.path) return;
    this.path = path;
    this.text = undefined;
    this.asked = -Infinity;
    this.stop();
    this.wake();
    this.renew();
  }

  forget() {
    this.text = undefined;
    this.asked = -Infinity;
  }

  async renew() {
    this.isWanted = true;
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      while (this.isWanted && !document.hidden) {
        const early = this.asked + this.gapMs - performance.now();
        if (early > 0) {
          await Promise.race([wait(early), new Promise((woken) => { this.wake = woken; })]);
          continue;
        }
        this.isWanted = false;
        this.asked = performance.now();
        await this.once();
      }
    } finally {
      this.isAsking = false;
    }
  }

  async once() {
    const path = this.path;
    const stop = new AbortController();
    this.stop = () => stop.abort();
    let isLate = false;
    const late = setTimeout(() => { isLate = true; stop.abort(); }, ANSWER_MS);
    let text;
    try {
      const response = await ask(path, "application/json", stop.signal);
      if (response.ok) text = await response.text();
      else if (response.status === 503 || response.status === 404) text = "null";
      else throw await refusal(response);
    } catch (error) {
      // A daemon that is away is told by the stream; what is shown stays until it is back.
      if (isLate || error instanceof Refused) this.onRefused(error);
      return;
    } finally {
      clearTimeout(late);
    }
    if (path !== this.path) { this.isWanted = true; return; }
    if (text === this.text) return;
    this.text = text;
    this.show(JSON.parse(text));
  }
}

/** The state once, without a stream. */
async function glance(path, on) {
  const stop = new AbortController();
  const late = setTimeout(() => stop.abort(), ANSWER_MS);
  try {
    const response = await ask(path, "application/json", stop.signal);
    if (!response.ok) throw await refusal(response);
    on.status(await response.json());
  } catch (error) {
    if (error instanceof Refused && error.status === 401) await on.refused();
    else on.away(error);
  } finally {
    clearTimeout(late);
  }
}

/**
 * Events, for as long as the page lives. `on` has a function for each name, and open, away, refused. While
 * the tab is not seen, only the state is asked for, at `statePath`.
 */
export async function follow(path, statePath, on) {
  let pause = WAIT_MIN_MS;
  for (;;) {
    if (document.hidden) {
      await glance(statePath, on);
      await seen(GLANCE_MS);
      continue;
    }
    const stop = new AbortController();
    let isUnseen = false;
    let unseen = 0;
    const look = () => {
      clearTimeout(unseen);
      if (document.hidden) unseen = setTimeout(() => { isUnseen = true; stop.abort(); }, UNSEEN_MS);
    };
    document.addEventListener("visibilitychange", look);
    let dead = setTimeout(() => stop.abort(), SILENCE_MS);
    const alive = () => {
      clearTimeout(dead);
      dead = setTimeout(() => stop.abort(), SILENCE_MS);
    };
    try {
      const response = await ask(path, "text/event-stream", stop.signal);
      if (!response.ok) throw await refusal(response);
      on.open();
      await events(response.body, (name, data) => {
        pause = WAIT_MIN_MS;
        on[name]?.(JSON.parse(data));
      }, alive);
      // The server ends a stream from time to time; that alone is no loss.
    } catch (error) {
      if (isUnseen) continue;
      if (error instanceof Refused && error.status === 401) {
        await on.refused();
        pause = WAIT_MIN_MS;
        continue;
      }
      on.away(error);
    } finally {
      clearTimeout(dead);
      clearTimeout(unseen);
      document.removeEventListener("visibilitychange", look);
      stop.abort();
    }
    await wait(pause * (0.8 + 0.4 * Math.random()));
    pause = Math.min(WAIT_MAX_MS, 1.6 * pause);
  }
}

/** Reads server-sent events off a stream of bytes. */
async function events(stream, emit, alive) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let name = "message";
  let data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) emit(name, data.join("\n"));
        name = "message";
        data = [];
      } else if (!line.startsWith(":")) {
        const colon = line.indexOf(":");
        const key = colon < 0 ? line : line.slice(0, colon);
        const text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (key === "event") name = text;
        if (key === "data") data.push(text);
      }
    }
  }
}
