// @ts-check
/**
 * What is below the matrix at the threshold of the slider: metrics, their intervals, confused pairs.
 *
 * The kernel sent the metrics of every step. It computes the intervals of a step on request.
 *
 * @typedef {import("./matrix_client.js").Cell} Cell
 * @typedef {import("./matrix_client.js").MetricIntervals} MetricIntervals
 * @typedef {import("./matrix_client.js").Score} Score
 * @typedef {import("./matrix_client.js").ThresholdSteps} ThresholdSteps
 * @typedef {import("./interactive_matrix.js").MatrixView} MatrixView
 */

import { element } from "../kit/elements.js";
import { formatCount, ratio } from "../kit/formatting.js";

const CHANGING = ".km-metrics, .km-all-metrics, .km-class-metrics, .km-pairs, .km-worst";
/** Keeps the height of an interval that is not known yet. */
const UNKNOWN = "\u00a0";

export class ThresholdMetrics {
  /** @param {MatrixView} view @param {ThresholdSteps} steps */
  constructor(view, steps) {
    this.view = view;
    this.steps = steps;
    this.step = steps.thresholds.indexOf(steps.current);
    if (!view.card.querySelector(".km-pairs")) this.addPairs();
    /** @type {[Element, Node][]} */
    this.originals = [...view.card.querySelectorAll(CHANGING)].map((part) => [part, part.cloneNode(true)]);
  }

  /** A list of pairs, for a card without mistakes. */
  addPairs() {
    const pairs = element("div", "km-pairs");
    const title = element("div", "km-subtitle");
    title.append(element("b", "", "Most confused"));
    pairs.append(title, element("ol"));
    pairs.hidden = true;
    this.view.card.querySelector(".km-layout")?.append(pairs);
    this.view.cleanups.push(() => pairs.remove());
  }

  /** Show what the card was saved with. */
  restore() {
    for (const [part, original] of this.originals) {
      part.replaceChildren(.../** @type {Element} */ (original.cloneNode(true)).childNodes);
    }
    this.view.worstCells = this.view.state.worst_cells;
    this.showPairs();
  }

  /** @param {number} step @param {number[][]} matrix  at that step */
  show(step, matrix) {
    this.step = step;
    this.fill(null);
    this.fillPairs(matrix);
  }

  /** Add the intervals of the step shown. */
  async fetchIntervals() {
    const { step, view } = this;
    const { threshold } = view;
    const intervals = await view.client.request("intervals", { threshold });
    // The slider may have moved meanwhile.
    if (view.threshold === threshold && this.step === step) this.fill(intervals);
  }

  /** @param {MetricIntervals | null} intervals  null while they are not known */
  fill(intervals) {
    const { step, steps: { metrics }, view: { card, state } } = this;
    for (const [name, value, interval] of childrenOf(card, ".km-metrics > div")) {
      const key = name.textContent ?? "";
      value.textContent = format(metrics.overall[key]?.[step], 4);
      interval.textContent = formatInterval(intervals?.overall[key], 4);
    }
    for (const [name, value, low, high] of childrenOf(card, ".km-all-metrics tbody tr")) {
      const key = name.textContent ?? "";
      value.textContent = format(metrics.overall[key]?.[step], 4);
      [low, high].forEach((cell, side) => {
        cell.textContent = intervals ? format(intervals.overall[key]?.[side], 4) : UNKNOWN;
      });
    }
    childrenOf(card, ".km-class-metrics tbody tr").forEach(([, ...cells], row) => {
      const k = state.ordered[row];
      (/** @type {const} */ (["precision", "recall", "f1"])).forEach((name, column) => {
        const score = metrics[name][step][k];
        const interval = element("small", "", formatInterval(intervals?.[name][k], 3));
        cells[column].replaceChildren(format(score, 3), ...(score === null ? [] : [element("br"), interval]));
      });
    });
    card.querySelectorAll(".km-worst :is(.km-sheet > span, li > .km-muted)").forEach((caption, index) => {
      caption.textContent = intervals?.worst[index] ?? UNKNOWN;
    });
  }

  /** @param {number[][]} matrix */
  fillPairs(matrix) {
    const { view } = this;
    const support = matrix.map(([first, second]) => first + second);
    const count = (/** @type {Cell} */ [row, column]) => matrix[row][column];
    const share = (/** @type {Cell} */ cell) => ratio(count(cell), support[cell[0]]);
    /** @type {Cell[]} */
    const mistakes = [[0, 1], [1, 0]];
    view.worstCells = mistakes.filter((cell) => count(cell) > 0)
      .sort((a, b) => count(b) - count(a) || share(b) - share(a));
    const { names } = view.state;
    view.card.querySelector(".km-pairs ol")?.replaceChildren(...view.worstCells.map((cell) => {
      const item = element("li");
      const counts = `: ${formatCount(count(cell))} of ${formatCount(support[cell[0]])}`;
      item.append(element("bdi", "", names[cell[0]]), " taken for ", element("bdi", "", names[cell[1]]),
        element("span", "km-muted", counts));
      return item;
    }));
    this.showPairs();
  }

  /** Hide the list if it is empty. */
  showPairs() {
    const pairs = this.view.card.querySelector(".km-pairs");
    if (pairs instanceof HTMLElement) pairs.hidden = !this.view.worstCells.length;
    this.view.markPairs(true);
  }
}

/** @param {HTMLElement} card @param {string} selector @returns {Element[][]} */
function childrenOf(card, selector) {
  return [...card.querySelectorAll(selector)].map(({ children }) => [...children]);
}

/** @param {Score | undefined} score @param {number} digits */
function format(score, digits) {
  return score === null || score === undefined ? "\u2013" : score.toFixed(digits);
}

/** @param {Score[] | undefined} interval @param {number} digits */
function formatInterval(interval, digits) {
  if (!interval || interval[0] === null) return UNKNOWN;
  return `${format(interval[0], digits)} to ${format(interval[1], digits)}`;
}
