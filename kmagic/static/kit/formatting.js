// @ts-check
/** Numbers and times as text: mirrors kmagic/support/formatting.py. */

/** @param {number | null} value */
export function formatNumber(value) {
  if (value === null || !Number.isFinite(value)) return "not finite";
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-3 && size < 10)) return value.toFixed(4);
  if (size < 1e-3 || size >= 1e7) return value.toExponential(2).replace("+", "");
  const decimals = Math.max(1, 4 - Math.floor(Math.log10(size)));
  return formatDecimals(value, decimals);
}

/** Formats by number of decimals: to make one takes as long as to draw a curve. @type {Map<number, Intl.NumberFormat>} */
const FORMATS = new Map();

/** A number with separators of thousands. @param {number} value @param {number} decimals */
export function formatDecimals(value, decimals) {
  let format = FORMATS.get(decimals);
  if (!format) {
    format = new Intl.NumberFormat("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    FORMATS.set(decimals, format);
  }
  return format.format(value);
}

/** @param {number} seconds */
export function formatDuration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const twoDigits = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours
    ? `${hours}:${twoDigits(minutes)}:${twoDigits(whole % 60)}`
    : `${minutes}:${twoDigits(whole % 60)}`;
}

/** A remaining time, rounded to what an estimate can tell. @param {number} seconds */
export function formatRemaining(seconds) {
  const step = seconds < 20 ? 1 : seconds < 120 ? 5 : seconds < 600 ? 15 : 60;
  return formatDuration(Math.ceil(Math.max(seconds, 0) / step - 0.2) * step);
}

/** A count, or a sum of sample weights. @param {number} value */
export const formatCount = (value) => value.toLocaleString("en", { maximumFractionDigits: 2 });

/** @param {number} part @param {number} whole */
export const ratio = (part, whole) => (whole ? part / whole : 0);

/** A share as a percentage, without the sign. @param {number} share @param {number} [digits] */
export const formatPercent = (share, digits = 1) => (100 * share).toFixed(digits);
