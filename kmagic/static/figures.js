// @ts-check
/** Figures as a reader wants them: the twins of kmagic/words.py. */

/** @param {number | null} value */
export function number(value) {
  if (value === null || !Number.isFinite(value)) return "not finite";
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-3 && size < 10)) return value.toFixed(4);
  if (size < 1e-3 || size >= 1e7) return value.toExponential(2).replace("+", "");
  const decimals = Math.max(1, 4 - Math.floor(Math.log10(size)));
  return value.toLocaleString("en", {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
}

/** @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** @param {number} seconds */
export function about(seconds) {
  const grain = seconds < 20 ? 1 : seconds < 120 ? 5 : seconds < 600 ? 15 : 60;
  return duration(Math.ceil(Math.max(seconds, 0) / grain - 0.2) * grain);
}

/** A count, or a weight of samples. @param {number} value */
export const tally = (value) => value.toLocaleString("en", { maximumFractionDigits: 2 });

/** @param {number} part @param {number} whole */
export const share = (part, whole) => (whole ? part / whole : 0);

/** @param {number} part @param {number} [digits] */
export const percent = (part, digits = 1) => (100 * part).toFixed(digits);
