// @ts-check
/** Tick values for axes and distances between labels: mirrors kmagic/display/kit/chart.py. */

import { formatDecimals } from "./formatting.js";

export const LABEL_HEIGHT = 13;
const PASSES = 40;
const MAX_DECIMALS = 4;
/** The least ratio of the highest to the lowest value for a logarithmic axis. */
const MIN_LOG_RATIO = 3;
/** Values of a curve of which one may be cut off, and the part of the range that it must take. */
const [MIN_CLIPPED, CLIPPED_RATIO] = [5, 10];
const STEPS = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/** Three round values whose range holds all of `values`. @param {number[]} values @returns {[number, number, number]} */
export function axisTicks(values) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (!values.length) [low, high] = [0, 1];
  if (high - low < 1e-9 * Math.max(Math.abs(high), Math.abs(low), 1e-9)) {
    const margin = Math.abs(high) > 1e-300 ? Math.abs(high) / 10 : 1;
    [low, high] = [low - margin, high + margin];
  }
  const power = Math.floor(Math.log10((high - low) / 2));
  for (const exponent of [power, power + 1]) {
    const unit = 10 ** exponent;
    for (const step of STEPS) {
      const range = 2 * step * unit;
      let base = Math.floor(low / unit + 1e-9) * unit;
      if (high <= 1 && base + range > 1 + 1e-9) base = 1 - range; // a share is at most 1
      if (base <= low + 1e-9 * unit && base + range >= high - 1e-9 * unit) {
        return [base, base + range / 2, base + range];
      }
    }
  }
  return [low, (low + high) / 2, high];
}

/**
 * Lowest and highest of a curve's values, without a few that would flatten all others.
 *
 * @param {number[]} values @returns {[number, number]}
 */
function unclippedRange(values) {
  const ordered = Float64Array.from(values.filter(Number.isFinite)).sort();
  const n = ordered.length;
  if (n < MIN_CLIPPED) return n ? [ordered[0], ordered[n - 1]] : [Infinity, -Infinity];
  const few = Math.max(1, Math.floor(n / 20));
  const [low, high] = [ordered[0], ordered[n - 1]];
  for (const [first, last] of [[0, n - few - 1], [few, n - 1], [few, n - few - 1]]) {
    const range = ordered[last] - ordered[first];
    if (range > 0 && CLIPPED_RATIO * range < high - low) return [ordered[first], ordered[last]];
  }
  return [low, high];
}

/** Lowest and highest value that the axis of some curves includes. @param {number[][]} curves @returns {number[]} */
export function shownRange(...curves) {
  const ranges = curves.map(unclippedRange);
  const [low, high] = [Math.min(...ranges.map(([value]) => value)), Math.max(...ranges.map(([, value]) => value))];
  return low <= high ? [low, high] : [];
}

/**
 * Three round values for a logarithmic axis; null if such an axis would not help, because values
 * are not positive or all of about the same size.
 *
 * @param {number[]} values @returns {[number, number, number] | null}
 */
export function logTicks(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (!values.length || low <= 0 || high / low < MIN_LOG_RATIO) return null;
  const round = (/** @type {number} */ value, /** @type {(share: number) => number} */ choose) => {
    const power = Math.floor(Math.log10(value) + 1e-9);
    return choose(value / 10 ** power) * 10 ** power;
  };
  const down = (/** @type {number} */ share) => (share >= 5 - 1e-9 ? 5 : share >= 2 - 1e-9 ? 2 : 1);
  const up = (/** @type {number} */ share) => (share <= 1 + 1e-9 ? 1 : share <= 2 + 1e-9 ? 2 : share <= 5 + 1e-9 ? 5 : 10);
  const near = (/** @type {number} */ share) => (share < 1.5 ? 1 : share < 3.2 ? 2 : share < 7.1 ? 5 : 10);
  const [first, last] = [round(low, down), round(high, up)];
  return [first, round(Math.sqrt(first * last), near), last];
}

/**
 * An exponential moving average of a curve, over a twenty-fifth of its length.
 *
 * @param {[number, number][]} points @returns {[number, number][]}
 */
export function smooth(points) {
  const timescale = points.length ? Math.max(1, (points[points.length - 1][0] - points[0][0]) / 25) : 1;
  let [sum, weight, previous] = [0, 0, NaN];
  return points.map(([x, y]) => {
    if (!Number.isFinite(y)) return [x, y];
    const decay = Number.isFinite(previous) ? Math.exp((previous - x) / timescale) : 0;
    [sum, weight, previous] = [sum * decay + y * (1 - decay || 1), weight * decay + (1 - decay || 1), x];
    return [x, sum / weight];
  });
}

/**
 * Further values that the scale must include, so that curves of previous runs are visible but never
 * compress the current ones.
 *
 * @param {number[]} values  what the scale includes without them
 * @param {[number, number][][]} previous  their points
 * @param {number} end  where the axis ends; points after it do not count
 */
export function previousScaleValues(values, previous, end) {
  const visible = previous.flat().filter(([x, y]) => x <= end && Number.isFinite(y)).map(([, y]) => y);
  const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 0];
  const span = high - low;
  return span ? visible.map((y) => Math.min(Math.max(y, low - span), high + span)) : visible;
}

/** A tick with just the decimals that distinguish it from its neighbours. @param {number} value @param {number} step */
export function formatTick(value, step) {
  if (value && (Math.max(Math.abs(value), step) >= 1e6 || step < 1e-4)) {
    const size = Math.floor(Math.log10(step) + 1e-9);
    const share = step / 10 ** size;
    const extra = Math.abs(share - Math.round(share)) > 1e-9 * share ? 1 : 0;
    const decimals = Math.floor(Math.log10(Math.abs(value)) + 1e-9) - size + extra;
    return value.toExponential(Math.min(Math.max(1, decimals), MAX_DECIMALS)).replace("+", "");
  }
  let decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const isRounded = (/** @type {number} */ part) => Math.abs(part - Number(part.toFixed(decimals))) > 1e-9 * step;
  if (isRounded(step) || isRounded(value)) decimals += 1;
  return formatDecimals(value, decimals);
}

/** Round epoch numbers for the axis. @param {number} start @param {number} end @param {number} max  how many fit */
export function epochTicks(start, end, max) {
  let step = 1;
  while ((end - start) / step > Math.max(max, 1)) {
    step *= String(step).startsWith("2") ? 2.5 : 2;
  }
  const epochs = [];
  const first = Math.ceil(Math.max(start, 1) / step) * step;
  for (let epoch = first; epoch <= end; epoch += step) epochs.push(epoch);
  return epochs;
}

/**
 * The centre of a text that keeps its distance from another one and begins before `end`.
 *
 * @param {number} centre @param {number} other @param {number} distance @param {number} end
 */
export function placeBeside(centre, other, distance, end) {
  if (Math.abs(centre - other) >= distance) return centre;
  const [before, after] = [other - distance, other + distance];
  const isBefore = before > distance && after < end ? centre <= other : before > distance;
  return isBefore ? before : after;
}

/** Heights moved apart so that labels do not overlap. @param {number[]} heights @param {number} low @param {number} high */
export function spreadLabels(heights, low, high) {
  const order = heights.map((_, index) => index).sort((a, b) => heights[a] - heights[b]);
  const placed = order.map((index) => Math.min(Math.max(heights[index], low), high));
  for (let pass = 0; pass < PASSES; pass += 1) {
    for (let above = 0; above + 1 < placed.length; above += 1) {
      const overlap = LABEL_HEIGHT - (placed[above + 1] - placed[above]);
      if (overlap > 0) {
        placed[above] -= overlap / 2;
        placed[above + 1] += overlap / 2;
      }
    }
  }
  const last = placed[placed.length - 1];
  const shift = placed.length ? Math.max(0, low - placed[0]) - Math.max(0, last - high) : 0;
  const result = new Array(heights.length);
  order.forEach((index, rank) => {
    result[index] = placed[rank] + shift;
  });
  return result;
}
