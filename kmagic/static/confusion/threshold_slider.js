// @ts-check
/**
 * The threshold between two classes as a slider; with several labels, that of all or of one of them.
 *
 * @typedef {import("./card_update.js").CardUpdate} CardUpdate
 * @typedef {import("./matrix_client.js").ThresholdSteps} ThresholdSteps
 * @typedef {import("./interactive_matrix.js").MatrixView} MatrixView
 */

import { button, dropdown, element } from "../kit/elements.js";

/** Milliseconds that the slider rests before the samples are fetched. */
const REFRESH_DELAY = 120;

export class ThresholdSlider {
  /** @param {MatrixView} view @param {CardUpdate} update @param {ThresholdSteps} steps */
  constructor(view, update, { values, current }) {
    this.view = view;
    this.update = update;
    this.values = values;
    this.original = current;
    this.thresholds = current;
    /** The label that the slider moves; null for all. @type {number | null} */
    this.label = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.slider = /** @type {HTMLInputElement} */ (element("input"));
    this.output = element("output", "km-number");
    this.reset = button("reset", () => this.apply(this.original));
    const row = this.build();
    (view.card.querySelector(".km-curves") ?? view.card).before(row);
    view.cleanups.push(() => {
      clearTimeout(this.timer);
      row.remove();
      view.threshold = null;
      view.panel.refresh();
    });
    this.showValue();
  }

  build() {
    const { slider, values, view } = this;
    slider.type = "range";
    slider.max = String(values.length - 1);
    slider.addEventListener("input", () => {
      const value = values[Number(slider.value)];
      this.apply(this.thresholds.map((threshold, k) => (this.label === null || this.label === k ? value : threshold)));
    });
    // The arrow keys move the slider, not the notebook's selection.
    slider.addEventListener("keydown", (event) => event.stopPropagation());
    const label = element("label");
    const row = element("div", "km-threshold-slider");
    if (view.state.kind === "labels") row.append(this.buildMenu());
    else label.append("Predict ", element("bdi", "", view.state.names[1]));
    label.append(" above ", slider);
    row.append(label, this.output, this.reset, this.update.status);
    return row;
  }

  /** The menu that chooses a label. */
  buildMenu() {
    const { names } = this.view.state;
    const all = "all labels";
    const options = Object.fromEntries([[all, all], ...names.map((name, k) => [`label ${k}`, name])]);
    const menu = dropdown("Predict", options, all, (value) => {
      this.label = value === all ? null : Number(value.slice("label ".length));
      this.showValue();
    });
    menu.addEventListener("keydown", (event) => event.stopPropagation());
    return menu;
  }

  /** @param {number[]} thresholds */
  apply(thresholds) {
    const { view } = this;
    this.thresholds = thresholds;
    view.threshold = !this.isMoved() ? null : view.state.kind === "labels" ? thresholds : thresholds[0];
    this.showValue();
    this.update.update();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => view.panel.refresh(), REFRESH_DELAY);
  }

  isMoved() {
    return this.thresholds.some((threshold, k) => threshold !== this.original[k]);
  }

  showValue() {
    const { label, slider, thresholds } = this;
    const chosen = label === null ? thresholds : [thresholds[label]];
    const [low, high] = [Math.min(...chosen), Math.max(...chosen)];
    const text = low === high ? formatThreshold(low) : `${formatThreshold(low)} to ${formatThreshold(high)}`;
    slider.value = String(this.values.indexOf(low));
    slider.setAttribute("aria-valuetext", text);
    this.output.textContent = text;
    this.reset.disabled = !this.isMoved();
  }
}

/** @param {number} threshold */
const formatThreshold = (threshold) => String(Number(threshold.toFixed(3)));
