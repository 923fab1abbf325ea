// @ts-check
/** Round figures for axes, and room between labels: the twins of kmagic/display/chart.py. */

export const LABEL_HEIGHT = 13;
const PASSES = 40;
const MOST_DECIMALS = 4;
/** How many times the lowest value the highest must be for a logarithmic axis. */
const LEAST_RATIO = 3;
const STEPS = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/** @param {number[]} values @returns {[number, number, number]} */
export function ticks(values) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (!values.length) [low, high] = [0, 1];
  if (high - low < 1e-9 * Math.max(Math.abs(high), Math.abs(low), 1e-9)) {
    const room = Math.abs(high) > 1e-300 ? Math.abs(high) / 10 : 1;
    [low, high] = [low - room, high + room];
  }
  const power = Math.floor(Math.log10((high - low) / 2));
  for (const exponent of [power, power + 1]) {
    const unit = 10 ** exponent;
    for (const step of STEPS) {
      const reach = 2 * step * unit;
      let base = Math.floor(low / unit + 1e-9) * unit;
      if (high <= 1 && base + reach > 1 + 1e-9) base = 1 - reach; // a share is never more than one
      if (base <= low + 1e-9 * unit && base + reach >= high - 1e-9 * unit) {
        return [base, base + reach / 2, base + reach];
      }
    }
  }
  return [low, (low + high) / 2, high];
}

/**
 * Three round figures for a logarithmic axis; null where it would show nothing new: with values
 * that are not positive, or all of about the same size.
 *
 * @param {number[]} values @returns {[number, number, number] | null}
 */
export function logTicks(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (!values.length || low <= 0 || high / low < LEAST_RATIO) return null;
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
 * A curve with its noise taken out: a mean that forgets, as far back as a twenty-fifth of it.
 *
 * @param {[number, number][]} points @returns {[number, number][]}
 */
export function smoothed(points) {
  const memory = points.length ? Math.max(1, (points[points.length - 1][0] - points[0][0]) / 25) : 1;
  let [sum, weight, before] = [0, 0, NaN];
  return points.map(([x, y]) => {
    if (!Number.isFinite(y)) return [x, y];
    const kept = Number.isFinite(before) ? Math.exp((before - x) / memory) : 0;
    [sum, weight, before] = [sum * kept + y * (1 - kept || 1), weight * kept + (1 - kept || 1), x];
    return [x, sum / weight];
  });
}

/**
 * Values for the scale to hold, so that ghosts are seen and never flatten what is new.
 *
 * @param {number[]} values  what it holds without them @param {[number, number][][]} ghosts
 * @param {number} end  where the axis ends; what lies beyond does not count
 */
export function reach(values, ghosts, end) {
  const seen = ghosts.flat().filter(([x, y]) => x <= end && Number.isFinite(y)).map(([, y]) => y);
  const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 0];
  const span = high - low;
  return span ? seen.map((y) => Math.min(Math.max(y, low - span), high + span)) : seen;
}

/** @param {number} value @param {number} step */
export function tickText(value, step) {
  if (value && (Math.max(Math.abs(value), step) >= 1e6 || step < 1e-4)) {
    const size = Math.floor(Math.log10(step) + 1e-9);
    const share = step / 10 ** size;
    const more = Math.abs(share - Math.round(share)) > 1e-9 * share ? 1 : 0;
    const decimals = Math.floor(Math.log10(Math.abs(value)) + 1e-9) - size + more;
    return value.toExponential(Math.min(Math.max(1, decimals), MOST_DECIMALS)).replace("+", "");
  }
  let decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  if (Math.abs(step - Number(step.toFixed(decimals))) > 1e-9 * step) decimals += 1;
  return value.toLocaleString("en", {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
}

/** @param {number} start @param {number} end @param {number} room */
export function wholeSteps(start, end, room) {
  let step = 1;
  while ((end - start) / step > Math.max(room, 1)) {
    step *= String(step).startsWith("2") ? 2.5 : 2;
  }
  const found = [];
  const first = Math.ceil(Math.max(start, 1) / step) * step;
  for (let epoch = first; epoch <= end; epoch += step) found.push(epoch);
  return found;
}

/** @param {number[]} heights @param {number} low @param {number} high */
export function spread(heights, low, high) {
  const order = heights.map((_, index) => index).sort((a, b) => heights[a] - heights[b]);
  const placed = order.map((index) => Math.min(Math.max(heights[index], low), high));
  for (let pass = 0; pass < PASSES; pass += 1) {
    for (let above = 0; above + 1 < placed.length; above += 1) {
      const lacking = LABEL_HEIGHT - (placed[above + 1] - placed[above]);
      if (lacking > 0) {
        placed[above] -= lacking / 2;
        placed[above + 1] += lacking / 2;
      }
    }
  }
  const last = placed[placed.length - 1];
  const shift = placed.length ? Math.max(0, low - placed[0]) - Math.max(0, last - high) : 0;
  const result = new Array(heights.length);
  order.forEach((index, place) => {
    result[index] = placed[place] + shift;
  });
  return result;
}
