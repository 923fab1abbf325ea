// @ts-check
/**
 * The charts of a run, which share a cursor, a zoom and their options.
 *
 * @typedef {import("./live_view.js").RunState} RunState
 * @typedef {import("./live_view.js").Curves} Curves
 */

import { button, element } from "../kit/elements.js";
import { LiveChart } from "./live_chart.js";

const MIN_WIDTH = 240;
/** Milliseconds of one frame in which charts are drawn; the others follow in the next frames. */
const FRAME_BUDGET = 4;

export class ChartGroup {
  /** @param {() => void} schedule  draws in the next frame */
  constructor(schedule) {
    this.schedule = schedule;
    /** @type {LiveChart[]} */
    this.charts = [];
    /** Charts that are to be drawn, those first that have waited longest. @type {Set<LiveChart>} */
    this.waiting = new Set();
    this.frame = 0;
    /** @type {number | null} */
    this.hover = null;
    // A chart outside the window is drawn when it is scrolled into view.
    this.visibility = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const chart = this.charts.find((each) => each.element === target);
        if (chart) chart.isVisible = isIntersecting;
      }
      if (entries.some(({ isIntersecting }) => isIntersecting)) this.schedule();
    }, { rootMargin: "200px" });
    /** @type {import("./live_chart.js").ChartOptions} */
    this.options = { log: false, smooth: false, trained: false, zoom: null };
    this.buttons = element("span", "km-live-options");
    this.buttons.setAttribute("role", "group");
    this.buttons.setAttribute("aria-label", "chart options");
    this.logButton = this.toggle("log", "logarithmic scale, if values are positive and span a wide range");
    const smooth = this.toggle("smooth", "smooth the curves; the original ones stay visible, faintly");
    this.zoomButton = button("all epochs", () => this.zoom(null));
    this.zoomButton.title = "show all epochs; to zoom in, drag across a chart or press +";
    this.trainedButton = this.toggle("trained", "show only the epochs that are trained");
    this.buttons.append(this.zoomButton, this.trainedButton, this.logButton, smooth);
  }

  /**
   * A button that stays pressed until it is pressed again.
   *
   * @param {"log" | "smooth" | "trained"} option @param {string} title
   */
  toggle(option, title) {
    const node = button(option, () => {
      this.options[option] = !this.options[option];
      node.setAttribute("aria-pressed", String(this.options[option]));
      this.schedule();
    });
    node.title = title;
    node.setAttribute("aria-pressed", "false");
    return node;
  }

  /** @param {import("./live_chart.js").Zoom} zoom */
  zoom(zoom) {
    this.options.zoom = zoom;
    this.schedule();
  }

  /** Make a chart for each name; returns whether they are new. @param {string[]} names */
  setNames(names) {
    if (names.join("\n") === this.charts.map(({ name }) => name).join("\n")) return false;
    const hover = (/** @type {number | null} */ epoch) => {
      this.hover = epoch;
      this.schedule();
    };
    this.visibility.disconnect();
    this.waiting.clear();
    this.charts = names.map((name) => new LiveChart(name, hover, (zoom) => this.zoom(zoom)));
    for (const chart of this.charts) this.visibility.observe(chart.element);
    return true;
  }

  /** @param {RunState} state @param {Curves[]} previousRuns */
  draw(state, previousRuns) {
    for (const chart of this.charts) {
      chart.width = Math.max(chart.element.clientWidth, MIN_WIDTH); // all before the first is drawn
      if (chart.isVisible) this.waiting.add(chart);
    }
    const { start, end, metrics } = state.axis;
    const trained = state.curves[metrics[0]]?.at(-2) ?? start;
    const isEarly = trained > start && end - start > 4 * (trained - start);
    this.trainedButton.hidden = !isEarly || this.options.zoom !== null;
    this.shownEpochs = this.options.zoom ?? (isEarly && this.options.trained ? [start, trained + 1] : null);
    this.drawWaiting(state, previousRuns);
  }

  /** @type {import("./live_chart.js").Zoom} */
  shownEpochs = null;

  /** @param {RunState} state @param {Curves[]} previousRuns */
  drawWaiting(state, previousRuns) {
    cancelAnimationFrame(this.frame);
    const deadline = performance.now() + FRAME_BUDGET;
    for (const chart of this.waiting) {
      chart.draw(state, previousRuns, { ...this.options, zoom: this.shownEpochs }, this.hover);
      this.waiting.delete(chart);
      if (performance.now() > deadline) break;
    }
    if (this.waiting.size) this.frame = requestAnimationFrame(() => this.drawWaiting(state, previousRuns));
    this.logButton.disabled = !this.options.log && !this.charts.some(({ allowsLog }) => allowsLog);
    this.zoomButton.hidden = !this.options.zoom;
    this.buttons.hidden = !this.charts.length;
  }

  /** What the grey curves are, if any is visible. */
  previousText() {
    const number = Math.max(0, ...this.charts.map(({ previousRuns }) => previousRuns));
    return number ? `grey: ${number > 1 ? `${number} previous runs` : "previous run"}` : "";
  }

  dispose() {
    this.visibility.disconnect();
    cancelAnimationFrame(this.frame);
  }
}
