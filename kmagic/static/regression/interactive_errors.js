// @ts-check
/**
 * Makes the charts of a regression's errors interactive while their kernel runs: a rectangle, drawn by
 * the pointer or by keys, selects rows, which are shown below the charts and set in Python.
 *
 * A chart says in its attributes where its axes are, and which values they show. The requests are
 * answered by kmagic/display/regression/interactive_errors.py.
 *
 * @typedef {{name: string, low: number, high: number}} Axis  low is at the left, or at the bottom
 * @typedef {[number, number]} Range
 * @typedef {{target: number, ranges: Record<string, Range>}} Selection  lowest and highest value by axis
 */

import { CardClient, connectCards } from "../kit/card_client.js";
import { appendSvg, element } from "../kit/elements.js";
import { SamplePanel } from "../kit/sample_panel.js";

const HINT = "Drag in a chart to see the rows of a part of it. Keys: arrows move the selection, with Shift they " +
  "resize it, Escape removes it.";
/** Share of an axis that a key moves; and of the first selection by keys. */
const [STEP, FIRST] = [0.05, 0.2];
/** Pixels; a shorter movement is a click, which removes the selection. */
const MIN_DRAG = 4;
/** Milliseconds after the last key. */
const KEY_DELAY = 250;
/** @type {Record<string, [number, number]>} */
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** @param {string | undefined} text @returns {Axis} */
function readAxis(text) {
  const [name, low, high] = (text ?? "").split(",");
  return { name, low: Number(low), high: Number(high) };
}

const clamp = (/** @type {number} */ share) => Math.min(Math.max(share, 0), 1);

/** Both ends of a length, in order. @param {number} a @param {number} b @returns {Range} */
const between = (a, b) => [Math.min(a, b), Math.max(a, b)];

/** One chart: the rectangle in it, in shares of its axes. */
class SelectableChart {
  /** @param {ErrorsView} view @param {SVGSVGElement} svg */
  constructor(view, svg) {
    this.view = view;
    this.svg = svg;
    this.target = Number(svg.dataset.target);
    this.box = (svg.dataset.box ?? "").split(",").map(Number);
    this.x = readAxis(svg.dataset.x);
    this.y = readAxis(svg.dataset.y);
    this.label = svg.getAttribute("aria-label") ?? "";
    /** Left, right, bottom and top. @type {[Range, Range] | null} */
    this.area = null;
    /** @type {[number, number] | null} */
    this.start = null;
    this.timer = 0;
    this.rectangle = appendSvg(svg, "rect", { class: "km-error-selection", visibility: "hidden" });
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", `${this.label}. ${HINT}`);
    view.on(svg, "pointerdown", (event) => this.press(event));
    view.on(svg, "pointermove", (event) => this.drag(event));
    view.on(svg, "pointerup", (event) => this.release(event));
    view.on(svg, "pointercancel", () => { this.start = null; });
    view.on(svg, "keydown", (event) => this.onKey(event));
    view.cleanups.push(() => {
      clearTimeout(this.timer);
      this.rectangle.remove();
      svg.removeAttribute("tabindex");
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", this.label);
    });
  }

  /** Where the pointer is, in shares of the axes. @param {PointerEvent} event @returns {[number, number]} */
  shares(event) {
    const [left, top, right, bottom] = this.box;
    const place = this.svg.getBoundingClientRect();
    const scale = place.width / this.svg.viewBox.baseVal.width || 1;
    const [x, y] = [(event.clientX - place.left) / scale, (event.clientY - place.top) / scale];
    return [(x - left) / (right - left), (bottom - y) / (bottom - top)];
  }

  /** @param {PointerEvent} event */
  press(event) {
    const [x, y] = this.shares(event);
    if (event.button !== 0 || x < -0.05 || x > 1.05 || y < -0.05 || y > 1.05) return;
    event.preventDefault();
    this.svg.focus({ preventScroll: true });
    this.svg.setPointerCapture(event.pointerId);
    this.start = [clamp(x), clamp(y)];
  }

  /** @param {PointerEvent} event */
  drag(event) {
    if (!this.start) return;
    const [x, y] = this.shares(event).map(clamp);
    this.show([between(this.start[0], x), between(this.start[1], y)]);
  }

  /** @param {PointerEvent} event */
  release(event) {
    if (!this.start) return;
    this.drag(event);
    this.start = null;
    const [left, top, right, bottom] = this.box;
    const [[x1, x2], [y1, y2]] = /** @type {[Range, Range]} */ (this.area);
    const isClick = Math.max((x2 - x1) * (right - left), (y2 - y1) * (bottom - top)) < MIN_DRAG;
    if (isClick) this.view.panel.close();
    else this.view.select(this);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const move = MOVES[event.key];
    if (event.key === "Escape" && this.area) this.view.panel.close();
    else if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    else this.moveBy(move, event.shiftKey);
    // Jupyter has its own shortcuts for these keys.
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {[number, number]} move @param {boolean} isResize */
  moveBy(move, isResize) {
    const first = /** @type {Range} */ ([0.5 - FIRST / 2, 0.5 + FIRST / 2]);
    if (!this.area) this.show([first, first]);
    else {
      this.show(/** @type {[Range, Range]} */ (this.area.map(([low, high], axis) => {
        const step = move[axis] * STEP;
        if (isResize) return [low, Math.max(low + STEP, clamp(high + step))];
        const shift = Math.min(Math.max(step, -low), 1 - high);
        return [low + shift, high + shift];
      })));
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.view.select(this), KEY_DELAY);
  }

  /** @param {[Range, Range] | null} area */
  show(area) {
    this.area = area;
    this.rectangle.setAttribute("visibility", area ? "visible" : "hidden");
    if (!area) {
      clearTimeout(this.timer);
      return;
    }
    const [left, top, right, bottom] = this.box;
    // Of a histogram all heights are selected.
    const [[x1, x2], [y1, y2]] = this.y.name ? area : [area[0], [0, 1]];
    const place = {
      x: left + x1 * (right - left), width: (x2 - x1) * (right - left),
      y: bottom - y2 * (bottom - top), height: (y2 - y1) * (bottom - top),
    };
    for (const [name, value] of Object.entries(place)) this.rectangle.setAttribute(name, value.toFixed(1));
  }

  /** @returns {Selection} */
  selection() {
    const area = /** @type {[Range, Range]} */ (this.area);
    /** @type {Record<string, Range>} */
    const ranges = {};
    [this.x, this.y].forEach(({ name, low, high }, axis) => {
      const value = (/** @type {number} */ share) => low + share * (high - low);
      if (name) ranges[name] = [value(area[axis][0]), value(area[axis][1])];
    });
    return { target: this.target, ranges };
  }
}

/** One card. */
class ErrorsView {
  /** @param {CardClient} client @param {HTMLElement} card */
  constructor(client, card) {
    this.client = client;
    /** @type {(() => void)[]} */
    this.cleanups = [];
    this.announcement = element("div", "km-visually-hidden");
    this.announcement.setAttribute("role", "status");
    this.hint = element("div", "km-muted km-error-hint", HINT);
    const place = /** @type {HTMLElement} */ (card.querySelector(".km-selected-rows"));
    this.panel = new SamplePanel(this, place);
    place.before(this.hint);
    card.append(this.announcement);
    card.classList.add("km-selectable");
    /** @type {SelectableChart[]} */
    this.charts = [];
    for (const svg of card.querySelectorAll(".km-inline svg.km-error-chart")) {
      if (svg instanceof SVGSVGElement) this.charts.push(new SelectableChart(this, svg));
    }
    this.cleanups.push(() => {
      card.classList.remove("km-selectable");
      this.hint.remove();
      this.announcement.remove();
    });
  }

  /** @param {EventTarget} target @param {string} type @param {(event: any) => void} listener */
  on(target, type, listener) {
    target.addEventListener(type, listener);
    this.cleanups.push(() => target.removeEventListener(type, listener));
  }

  /** Show and set the rows in the rectangle of a chart. @param {SelectableChart} chart */
  select(chart) {
    for (const other of this.charts) if (other !== chart) other.show(null);
    const selection = chart.selection();
    this.client.request("select", selection).catch(() => {});
    this.panel.show({
      title: () => [document.createTextNode("Selected rows")],
      call: () => ".selection",
      fetch: (first, count) => this.client.request("samples", { ...selection, first, count }),
    });
  }

  clearSelection() {
    if (!this.charts.some(({ area }) => area)) return;
    for (const chart of this.charts) chart.show(null);
    this.client.request("select", { target: 0, ranges: {} }).catch(() => {});
  }

  staleHint() {
    return "";
  }

  /** @param {string} text */
  announce(text) {
    this.announcement.textContent = text;
  }

  dispose() {
    this.panel.close();
    for (const cleanup of this.cleanups.splice(0).reverse()) cleanup();
  }
}

export default {
  /** @param {{model: import("../kit/card_client.js").WidgetModel, signal?: AbortSignal}} context */
  initialize({ model, signal }) {
    return connectCards(new CardClient(model, (client, card) => new ErrorsView(client, card)), signal);
  },
};
