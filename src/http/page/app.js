// The page: what comes from the daemon goes to the parts that show it.
import { Resource, follow, hasToken, keepToken } from "./api.js";
import { byId, say } from "./dom.js";
import { duration, time } from "./format.js";
import { chosen, onChoice, showChoices, showComponent, showNames, showShape } from "./component.js";
import { showLog, showQuarantine, showSources } from "./files.js";
import { showStatus, tick } from "./headline.js";
import { showHistory } from "./history.js";
import { showLimitsOf, showRowsWithLimits } from "./limits.js";
import { catchUp, redrawAll } from "./pictures.js";
import { showRecent } from "./recent.js";
import { showSpectrum } from "./spectrum.js";
import "./theme.js";

const API = "/api/v1";
let status = null;
let awaySince = null;
let run = null;
let retryToken = null;
/** Whether there are components to ask for: until then the answer is an error, and a browser logs it. */
let hasModel = false;

function showParts(isThere) {
  const parts = document.querySelectorAll(".needs-model");
  const wasThere = !parts[0].hidden;
  byId("nothing").hidden = isThere;
  for (const part of parts) part.hidden = !isThere;
  // What was drawn out of sight had no width.
  if (isThere && !wasThere) redrawAll();
}

const component = new Resource(`${API}/components/1`, 2000, showComponent);
const features = new Resource(`${API}/features`, 5000, showNames);
const components = new Resource(`${API}/components?vectors=none`, 2000, (model) => {
  showParts(model !== null);
  if (model === null) return;
  showSpectrum(model);
  showLimitsOf(model);
  showChoices(model);
  component.move(`${API}/components/${chosen()}`);
  component.renew();
  // Names stay; the moments beside them are not shown here.
  if (features.text === undefined || features.text === "null") features.renew();
});
const recent = new Resource(`${API}/recent`, 3000, (rows) => {
  showRecent(rows);
  showRowsWithLimits(rows);
});
const history = new Resource(`${API}/history`, 5000, showHistory);
const sources = new Resource(`${API}/sources`, 3000, showSources);
const quarantine = new Resource(`${API}/quarantine`, 5000, showQuarantine);
const log = new Resource(`${API}/log`, 3000, showLog);
const ofModel = [components, recent];
const ofRun = [history, sources, quarantine, log];
const everything = [...ofModel, ...ofRun, component, features];
for (const resource of everything) resource.onRefused = () => setTimeout(() => resource.renew(), 5000);

const renew = (list) => list.forEach((resource) => resource.renew());
const renewAll = () => renew(hasModel ? [...ofModel, ...ofRun, component] : ofRun);

function heard(next) {
  const before = status;
  status = next;
  if (run !== next.started_unix_s) {
    // Another run: it may have another model.
    run = next.started_unix_s;
    everything.forEach((resource) => resource.forget());
    hasModel = next.rows > 0;
    if (!hasModel) showParts(false);
    renewAll();
  }
  showShape(next.feature_shape);
  showStatus(next);
  const moved = (...keys) => before === null || keys.some((key) => before[key] !== next[key]);
  if (moved("files", "quarantined", "lag_files", "reading", "rows")) renew([sources, history, log]);
  if (moved("quarantined")) renew([quarantine]);
  if (moved("state", "snapshot", "checkpoint_unix_s")) renew([history, log]);
}

function connection() {
  const place = byId("connection");
  if (awaySince === null) return;
  place.dataset.state = "away";
  const since = (Date.now() - awaySince) / 1000;
  say(place, `no connection since ${time(awaySince / 1000)} (${duration(5 * Math.floor(since / 5))})`);
}

follow(`${API}/events`, `${API}/status`, {
  open() {
    byId("token-form").hidden = true;
    byId("main").hidden = false;
    if (awaySince !== null) say("spoken", "Connected again.");
    awaySince = null;
    byId("connection").dataset.state = "live";
    say("connection", "live");
    if (run !== null) renewAll();
  },
  away() {
    if (awaySince === null) say("spoken", "No connection to the daemon.");
    awaySince ??= Date.now();
    connection();
  },
  refused() {
    const form = byId("token-form");
    say("token-error", hasToken() ? "That token was not accepted." : "");
    keepToken(null);
    byId("main").hidden = true;
    form.hidden = false;
    byId("connection").dataset.state = "locked";
    say("connection", "a token is needed");
    byId("token").focus();
    return new Promise((again) => { retryToken = again; });
  },
  status: heard,
  components() {
    hasModel = true;
    renew([...ofModel, history]);
  },
});

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = byId("token");
  const text = field.value.trim();
  field.value = "";
  // A header is ASCII: what is not cannot be a token.
  if (!/^[\x21-\x7e]+$/.test(text)) { say("token-error", "A token has only visible ASCII characters."); return; }
  keepToken(text);
  retryToken?.();
});

onChoice(() => component.move(`${API}/components/${chosen()}`));

setInterval(() => {
  if (document.hidden) return;
  tick();
  connection();
}, 1000);

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  catchUp();
  renewAll();
});
