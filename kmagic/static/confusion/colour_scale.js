// @ts-check
/** How strongly a matrix's cells are coloured: mirrors kmagic/support/colour_scale.py. */

export const [FAINT, FULL, TINT] = [0.15, 0.75, 0.15];

/**
 * The opacity of each cell: correct predictions negative, mistakes positive.
 *
 * @param {ArrayLike<number>} values @param {(k: number) => boolean} isCorrect
 * @param {{log: boolean, diagonal: boolean}} options
 */
export function cellOpacities(values, isCorrect, { log, diagonal }) {
  let [max, min] = [0, Infinity];
  for (let k = 0; k < values.length; k += 1) {
    if (values[k] > 0 && (diagonal || !isCorrect(k))) {
      max = Math.max(max, values[k]);
      min = Math.min(min, values[k]);
    }
  }
  const opacities = new Float32Array(values.length);
  for (let k = 0; k < values.length; k += 1) {
    if (!(values[k] > 0)) continue;
    const correct = isCorrect(k);
    const share = log && max > min ? Math.log(values[k] / min) / Math.log(max / min) : values[k] / max;
    opacities[k] = correct && !diagonal ? TINT : FAINT + (FULL - FAINT) * share;
    if (correct) opacities[k] = -opacities[k];
  }
  return opacities;
}

/**
 * The same for a difference of two matrices: better negative, worse positive.
 *
 * @param {ArrayLike<number>} changes @param {(k: number) => boolean} isCorrect
 */
export function differenceOpacities(changes, isCorrect) {
  let [max, overall] = [0, 0];
  for (let k = 0; k < changes.length; k += 1) {
    overall = Math.max(overall, Math.abs(changes[k]));
    if (!isCorrect(k)) max = Math.max(max, Math.abs(changes[k]));
  }
  max ||= overall;
  return Float32Array.from(changes, (change, k) => {
    if (!change) return 0;
    const opacity = FAINT + ((FULL - FAINT) * Math.min(Math.abs(change), max)) / max;
    return Math.sign(isCorrect(k) ? -change : change) * opacity;
  });
}

/**
 * The values that colours follow: the counts, or each cell's share of its row or column.
 *
 * @param {ArrayLike<number>} counts @param {ArrayLike<number>} rows @param {ArrayLike<number>} columns
 * @param {string} normalize  "true" for shares of rows, "pred" for shares of columns
 */
export function normalizedCounts(counts, rows, columns, normalize) {
  if (normalize !== "true" && normalize !== "pred") return counts;
  const groups = normalize === "true" ? rows : columns;
  /** @type {Map<number, number>} */
  const sums = new Map();
  for (let k = 0; k < counts.length; k += 1) sums.set(groups[k], (sums.get(groups[k]) ?? 0) + counts[k]);
  return Float64Array.from({ length: counts.length }, (_, k) => counts[k] / (sums.get(groups[k]) || 1));
}
