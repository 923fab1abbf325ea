// @ts-check
/** How strongly a matrix's cells are coloured: the twins of kmagic/tones.py. */

const [FAINT, FULL, TINT] = [0.15, 0.75, 0.15];

/**
 * Right negative, wrong positive.
 * @param {ArrayLike<number>} values @param {(k: number) => boolean} right
 * @param {{log: boolean, diagonal: boolean}} how
 */
export function tones(values, right, { log, diagonal }) {
  let [most, least] = [0, Infinity];
  for (let k = 0; k < values.length; k += 1) {
    if (values[k] > 0 && (diagonal || !right(k))) {
      most = Math.max(most, values[k]);
      least = Math.min(least, values[k]);
    }
  }
  const found = new Float32Array(values.length);
  for (let k = 0; k < values.length; k += 1) {
    if (!(values[k] > 0)) continue;
    const own = right(k);
    const part = log && most > least ? Math.log(values[k] / least) / Math.log(most / least) : values[k] / most;
    found[k] = own && !diagonal ? TINT : FAINT + (FULL - FAINT) * part;
    if (own) found[k] = -found[k];
  }
  return found;
}

/**
 * The same for what changed: better negative, worse positive.
 * @param {ArrayLike<number>} values @param {(k: number) => boolean} right
 */
export function differenceTones(values, right) {
  let [most, all] = [0, 0];
  for (let k = 0; k < values.length; k += 1) {
    all = Math.max(all, Math.abs(values[k]));
    if (!right(k)) most = Math.max(most, Math.abs(values[k]));
  }
  most ||= all;
  return Float32Array.from(values, (value, k) => {
    if (!value) return 0;
    const size = FAINT + ((FULL - FAINT) * Math.min(Math.abs(value), most)) / most;
    return Math.sign(right(k) ? -value : value) * size;
  });
}

/**
 * The values of cells as they are coloured: counts, or shares of rows or columns.
 * @param {ArrayLike<number>} counts @param {ArrayLike<number>} rows @param {ArrayLike<number>} columns
 * @param {string} over  "true" for shares of rows, "pred" for shares of columns
 */
export function shares(counts, rows, columns, over) {
  if (over !== "true" && over !== "pred") return counts;
  const side = over === "true" ? rows : columns;
  /** @type {Map<number, number>} */
  const sums = new Map();
  for (let k = 0; k < counts.length; k += 1) sums.set(side[k], (sums.get(side[k]) ?? 0) + counts[k]);
  return Float64Array.from({ length: counts.length }, (_, k) => counts[k] / (sums.get(side[k]) || 1));
}
