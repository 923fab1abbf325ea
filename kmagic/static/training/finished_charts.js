// @ts-check
/**
 * Makes the charts in the card of a finished run interactive: cursor, keyboard, zoom, logarithmic
 * scale, smoothing. They need the widget's data but no kernel, and stay when the kernel stops.
 *
 * @typedef {import("./live_view.js").WidgetModel} WidgetModel
 * @typedef {import("./live_view.js").RunState} RunState
 */

import { cardRegistry } from "../kit/card_registry.js";
import { element } from "../kit/elements.js";
import { ChartGroup } from "./chart_group.js";

/** The charts in one place of the page. */
class FinishedCharts {
  /** @param {WidgetModel} model @param {HTMLElement} card */
  constructor(model, card) {
    this.model = model;
    this.frame = 0;
    this.group = new ChartGroup(() => this.schedule());
    this.group.setNames(this.state.axis.metrics);
    const figures = element("div", "km-live-figures");
    figures.append(...this.group.charts.map((chart) => chart.element));
    for (const drawing of card.querySelectorAll(":scope > .km-run-chart")) drawing.remove();
    figures.append(...card.children);
    card.replaceChildren(figures);
    card.classList.add("km-live");
    card.classList.remove("km-run-charts");
    card.style.display = "block";
    const buttons = element("div", "km-live");
    buttons.append(this.group.buttons);
    card.after(buttons);
    this.size = new ResizeObserver(() => this.schedule());
    this.size.observe(figures);
    this.draw();
  }

  /** @returns {RunState} */
  get state() {
    return this.model.get("state");
  }

  schedule() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  draw() {
    this.group.draw(this.state, this.model.get("previous_runs") ?? []);
  }

  dispose() {
    this.size.disconnect();
    this.group.dispose();
    cancelAnimationFrame(this.frame);
  }
}

/** Attach a run's widget to its cards; returns the clean-up. @param {WidgetModel} model */
export function attachFinishedRun(model) {
  /** @type {Map<HTMLElement, FinishedCharts>} */
  const views = new Map();
  const client = {
    key: `run-${model.get("state").run}`,
    attach(/** @type {HTMLElement} */ card) {
      for (const [attached, view] of views) {
        if (attached.isConnected) continue;
        view.dispose();
        views.delete(attached);
      }
      if (!views.has(card)) views.set(card, new FinishedCharts(model, card));
    },
    dispose() {}, // what is shown needs no kernel
  };
  cardRegistry().add(client);
  return () => cardRegistry().remove(client);
}
