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

export class ChartGroup {
  /** @param {() => void} schedule  draws in the next frame */
  constructor(schedule) {
    this.schedule = schedule;
    /** @type {LiveChart[]} */
    this.charts = [];
    /** @type {number | null} */
    this.hover = null;
    /** @type {import("./live_chart.js").ChartOptions} */
    this.options = { log: false, smooth: false, zoom: null };
    this.buttons = element("span", "km-live-options");
    this.buttons.setAttribute("role", "group");
    this.buttons.setAttribute("aria-label", "chart options");
    this.logButton = this.toggle("log", "logarithmic scale, if values are positive and span a wide range");
    const smooth = this.toggle("smooth", "smooth the curves; the original ones stay visible, faintly");
    this.zoomButton = button("all epochs", () => this.zoom(null));
    this.zoomButton.title = "show all epochs; to zoom in, drag across a chart or press +";
    this.buttons.append(this.zoomButton, this.logButton, smooth);
  }

  /**
   * A button that stays pressed until it is pressed again.
   *
   * @param {"log" | "smooth"} option @param {string} title
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
    this.charts = names.map((name) => new LiveChart(name, hover, (zoom) => this.zoom(zoom)));
    return true;
  }

  /** @param {RunState} state @param {Curves[]} previousRuns */
  draw(state, previousRuns) {
    for (const chart of this.charts) {
      const width = Math.max(chart.element.clientWidth, MIN_WIDTH);
      chart.draw(state, previousRuns, this.options, width, this.hover);
    }
    this.logButton.disabled = !this.options.log && !this.charts.some(({ allowsLog }) => allowsLog);
    this.zoomButton.hidden = !this.options.zoom;
    this.buttons.hidden = !this.charts.length;
  }
}
