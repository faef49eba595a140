// Numbers and times as text, the same in every country: a comma is never a decimal point.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** A whole number in groups of three. */
export const count = (n) => (n == null ? "–" : Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f"));

/** A number with so many significant digits. */
export function number(x, digits = 4) {
  if (x == null || !Number.isFinite(x)) return "–";
  if (x === 0) return "0";
  const size = Math.abs(x);
  const text = size >= 1e7 || size < 1e-3 ? x.toExponential(digits - 1) : Number(x.toPrecision(digits)).toString();
  return text.replace("-", "−").replace("e+", "e");
}

export const percent = (x) => (x == null ? "–" : `${(100 * x).toFixed(x < 0.001 ? 3 : 2)}%`);

export const degrees = (radians) => (radians == null ? "–" : `${number((180 / Math.PI) * radians, 3)}°`);

export function bytes(n) {
  if (n == null) return "–";
  let unit = 0;
  while (n >= 1024 && unit < UNITS.length - 1) { n /= 1024; unit += 1; }
  return `${unit === 0 ? n : n.toFixed(1)} ${UNITS[unit]}`;
}

/** A length of time in its two largest units. */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** A time as `2026-01-31 12:34:56`, UTC; without the day if it is today's. */
export function time(unixSeconds, nowSeconds = Date.now() / 1000) {
  if (unixSeconds == null) return "–";
  const text = stamp(unixSeconds);
  return text.slice(0, 10) === stamp(nowSeconds).slice(0, 10) ? text.slice(11) : text;
}

export const stamp = (unixSeconds) => new Date(1000 * unixSeconds).toISOString().slice(0, 19).replace("T", " ");

/** The last parts of a path: what tells files of one directory apart. */
export const tail = (path, length = 60) => (path.length <= length ? path : `…${path.slice(1 - length)}`);
