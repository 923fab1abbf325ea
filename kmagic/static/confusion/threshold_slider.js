// @ts-check
/**
 * The threshold between two classes as a slider.
 *
 * @typedef {import("./matrix_client.js").ThresholdSteps} ThresholdSteps
 * @typedef {import("./interactive_matrix.js").MatrixView} MatrixView
 * @typedef {import("./matrix_table.js").MatrixTable} MatrixTable
 */

import { button, element } from "../kit/elements.js";
import { formatCount, formatPercent, ratio } from "../kit/formatting.js";
import { ThresholdMetrics } from "./threshold_metrics.js";

/** Milliseconds that the slider rests before samples and intervals are fetched. */
const REFRESH_DELAY = 120;
const TINTS = { correct: "rgba(0, 114, 178, 0.15)", mistake: "rgba(213, 94, 0, 0.15)" };

export class ThresholdSlider {
  /** @param {MatrixView} view @param {ThresholdSteps} steps */
  constructor(view, steps) {
    this.view = view;
    this.steps = steps;
    this.original = steps.thresholds.indexOf(steps.current);
    this.header = view.root.querySelector(".km-header .km-muted");
    this.originalHeader = this.header?.textContent ?? "";
    this.title = view.root.querySelector(".km-title")?.textContent ?? "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.slider = /** @type {HTMLInputElement} */ (element("input"));
    this.value = element("output", "km-number");
    this.metrics = element("span", "km-muted km-number");
    this.reset = button("reset", () => {
      this.slider.value = String(this.original);
      this.update();
    });
    this.metricsBelow = new ThresholdMetrics(view, steps);
    const row = this.build();
    (view.card.querySelector(".km-curves") ?? view.card).prepend(row);
    const originalTable = /** @type {HTMLTableElement | undefined} */ (view.table?.table.cloneNode(true));
    view.cleanups.push(() => {
      clearTimeout(this.timer);
      row.remove();
      view.threshold = null;
      view.panel.refresh();
      this.metricsBelow.restore();
      if (this.header) this.header.textContent = this.originalHeader;
      view.root.setAttribute("aria-label", `${this.title}: ${this.originalHeader}`);
      this.moveMarkers(steps.counts[this.original]);
      if (!view.table || !originalTable) return;
      view.table.table.replaceWith(originalTable);
      view.table.table = originalTable;
    });
    this.update();
  }

  build() {
    const { slider, steps } = this;
    slider.type = "range";
    slider.min = "0";
    slider.max = String(steps.thresholds.length - 1);
    slider.value = String(this.original);
    slider.addEventListener("input", () => this.update());
    // The arrow keys move the slider, not the notebook's selection.
    slider.addEventListener("keydown", (event) => event.stopPropagation());
    const label = element("label");
    const name = element("bdi", "", this.view.state.names[1]);
    label.append("Predict ", name, " above ", slider);
    const row = element("div", "km-threshold-slider");
    row.append(label, this.value, this.reset, this.metrics);
    return row;
  }

  /** Show the matrix at the slider's threshold. */
  update() {
    const { steps, view } = this;
    const step = Number(this.slider.value);
    const moved = step !== this.original;
    const threshold = steps.thresholds[step];
    const [trueNegatives, falsePositives, falseNegatives, truePositives] = steps.counts[step];
    view.threshold = moved ? threshold : null;
    view.matrix = [[trueNegatives, falsePositives], [falseNegatives, truePositives]];
    const wrong = steps.wrong[step]; // samples, also if the counts are weights
    const accuracy = ratio(trueNegatives + truePositives, steps.counts[step].reduce((a, b) => a + b)).toFixed(4);
    const precision = ratio(truePositives, truePositives + falsePositives).toFixed(4);
    const recall = ratio(truePositives, truePositives + falseNegatives).toFixed(4);
    const text = threshold.toFixed(3).replace(/0+$/, "").replace(/\.$/, "");
    this.value.textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
    this.reset.disabled = !moved;
    this.metrics.textContent = `accuracy ${accuracy}, precision ${precision}, recall ${recall}`;
    if (this.header) {
      this.header.textContent = !moved ? this.originalHeader
        : `${formatCount(steps.samples)} ${steps.unit} \u00b7 ${wrong ? formatCount(wrong) : "none"} wrong \u00b7 ` +
          `accuracy ${accuracy} \u00b7 ${view.state.names[1]} above ${text}`;
      view.root.setAttribute("aria-label", `${this.title}: ${this.header.textContent}`);
    }
    if (view.table) fillTable(view.table, view.matrix);
    if (moved) this.metricsBelow.show(step, view.matrix);
    else this.metricsBelow.restore();
    view.paint();
    view.markSelection();
    this.moveMarkers(steps.counts[step]);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      view.panel.refresh();
      if (moved) this.metricsBelow.fetchIntervals().catch(() => {});
    }, REFRESH_DELAY);
  }

  /** Move the markers on the ROC and precision-recall curves. @param {number[]} counts */
  moveMarkers([trueNegatives, falsePositives, falseNegatives, truePositives]) {
    const falsePositiveRate = ratio(falsePositives, trueNegatives + falsePositives);
    const recall = ratio(truePositives, falseNegatives + truePositives);
    const precision = ratio(truePositives, truePositives + falsePositives);
    const charts = [...this.view.card.querySelectorAll(".km-curves .km-inline svg")];
    [[falsePositiveRate, recall], [recall, precision]].forEach(([x, y], index) => {
      const marker = charts[index]?.querySelector(".km-threshold");
      const lines = charts[index]?.querySelectorAll(".km-grid");
      if (!marker || !lines?.length) return;
      // The first horizontal grid line is at 0, the last at 1; a vertical one follows each.
      const edge = (/** @type {number} */ line, /** @type {string} */ name) => Number(lines[line].getAttribute(name));
      const [x0, x1] = [edge(1, "x1"), edge(lines.length - 1, "x1")];
      const [y0, y1] = [edge(0, "y1"), edge(lines.length - 2, "y1")];
      marker.setAttribute("cx", String(x0 + x * (x1 - x0)));
      marker.setAttribute("cy", String(y0 + y * (y1 - y0)));
    });
  }
}

/**
 * Put the matrix of another threshold into the table of two classes.
 *
 * @param {MatrixTable} matrixTable @param {number[][]} matrix
 */
function fillTable(matrixTable, matrix) {
  const total = matrix.flat().reduce((sum, count) => sum + count, 0);
  const rows = matrix.map(([a, b]) => a + b);
  const columns = [matrix[0][0] + matrix[1][0], matrix[0][1] + matrix[1][1]];
  matrixTable.forEachCell((td, [row, column]) => {
    const count = matrix[row][column];
    td.className = count ? (row === column ? "km-correct" : "") : "km-empty";
    td.removeAttribute("title");
    if (!count) {
      td.textContent = "\u00b7";
      td.style.backgroundColor = "";
      return;
    }
    const shares = [ratio(count, rows[row]), ratio(count, columns[column]), ratio(count, total)];
    const percentage = element("i", "", formatPercent(shares[0]));
    ["t", "p", "a"].forEach((name, index) => { percentage.dataset[name] = formatPercent(shares[index]); });
    td.replaceChildren(element("b", "", formatCount(count)), percentage);
    td.style.backgroundColor = row === column ? TINTS.correct : TINTS.mistake;
  });
  const body = matrixTable.table.tBodies[0].rows;
  const foot = matrixTable.table.tFoot?.rows[0].cells;
  matrixTable.order().forEach((k, index) => {
    const correct = matrix[k][k];
    const [recallCell, f1Cell, supportCell] = [...body[index].cells].slice(-3);
    const recall = formatPercent(ratio(correct, rows[k]));
    recallCell.textContent = recall;
    recallCell.style.setProperty("--s", `${recall}%`);
    f1Cell.textContent = formatPercent(ratio(2 * correct, rows[k] + columns[k]));
    supportCell.textContent = formatCount(rows[k]);
    if (foot) foot[index + 1].textContent = columns[k] ? formatPercent(ratio(correct, columns[k])) : "\u2013";
  });
  const accuracy = ratio(matrix[0][0] + matrix[1][1], total);
  if (foot) foot[foot.length - 1].textContent = `accuracy ${formatPercent(accuracy, 2)}`;
}
