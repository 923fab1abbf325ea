// @ts-check
/**
 * A matrix of many classes in its card: the canvas takes the picture's place.
 *
 * @typedef {import("./companion.js").Cell} Cell
 * @typedef {import("./companion.js").Cells} Cells
 * @typedef {import("./confusion.js").View} View
 */

import { button } from "./controls.js";
import { element } from "./elements.js";
import { tally } from "./figures.js";
import { Heat } from "./heatmap.js";
import { differenceTones, shares, tones } from "./tones.js";
import { cellWords } from "./wording.js";

export class LargeMap {
  /** @param {View} view @param {Cells} cells @param {HTMLImageElement} still @param {Element} read */
  constructor(view, cells, still, read) {
    this.view = view;
    this.cells = cells;
    const { names } = view.state;
    const classes = names.length;
    this.rows = Uint32Array.from(cells.places, (place) => Math.floor(place / classes));
    this.columns = Uint32Array.from(cells.places, (place) => place % classes);
    /** @type {Map<number, number>} */
    this.count = new Map();
    cells.places.forEach((place, k) => this.count.set(place, cells.counts[k]));
    this.sums = new Float64Array(classes);
    cells.counts.forEach((value, k) => { this.sums[this.rows[k]] += value; });
    this.read = read;
    this.words = read.textContent ?? "";
    /** Which of the worst cells was gone to. */
    this.step = -1;
    this.heat = new Heat(classes, (place) => names[this.order()[place]], {
      hover: (place) => this.say(place && this.cellAt(place)),
      choose: (place, more) => {
        const cell = this.cellAt(place);
        if (this.count.get(cell[0] * classes + cell[1])) view.choose(cell, more);
      },
    });
    this.say(null);
    still.before(this.heat.canvas);
    still.hidden = true;
    const acts = this.acts();
    read.after(acts);
    view.undo.push(() => {
      this.heat.forget();
      this.heat.canvas.remove();
      acts.remove();
      still.hidden = false;
      read.textContent = this.words;
    });
    this.heat.fit();
    this.paint();
  }

  /** The classes in the order shown. */
  order() {
    const { order, state } = this.view;
    return order.length === state.names.length ? order : state.ordered;
  }

  /** @param {import("./heatmap.js").Place} place @returns {Cell} */
  cellAt({ row, column }) {
    return [this.order()[row], this.order()[column]];
  }

  /** Where each class is in that order. */
  places() {
    const place = new Uint16Array(this.view.state.names.length);
    this.order().forEach((k, at) => { place[k] = at; });
    return place;
  }

  /** Says what a cell holds, or else what the map shows. @param {Cell | null} cell */
  say(cell) {
    const words = cell ? this.describe(cell) : this.words;
    this.read.textContent = words;
    this.heat?.canvas.setAttribute("aria-label", words);
  }

  /** @param {Cell} cell */
  describe([row, column]) {
    const { state } = this.view;
    const value = this.count.get(row * state.names.length + column) ?? 0;
    const what = `${cellWords(state, [row, column])}: ${value < 0 ? "\u2212" : ""}${tally(Math.abs(value))}`;
    return state.kind === "difference" ? what : `${what} of ${tally(this.sums[row])}`;
  }

  acts() {
    const acts = element("div", "km-acts");
    const titles = { "+": "zoom in", "\u2212": "zoom out", whole: "show all classes" };
    const zoom = (/** @type {number} */ factor) => () => this.heat.zoomBy(factor);
    acts.append(
      button("+", zoom(2)), button("\u2212", zoom(0.5)), button("whole", zoom(0)),
      button("\u2039 worst", () => this.walk(-1)), button("worst \u203a", () => this.walk(1)),
    );
    for (const each of acts.querySelectorAll("button")) {
      each.title = titles[/** @type {keyof typeof titles} */ (each.textContent ?? "")] ?? "walk through the worst cells";
      each.setAttribute("aria-label", each.title);
    }
    return acts;
  }

  /** @param {number} step */
  walk(step) {
    const { worst } = this.view.state;
    this.step = Math.min(Math.max(this.step + step, 0), worst.length - 1);
    const cell = worst[this.step];
    if (!cell) return;
    this.goTo(cell);
    this.view.choose(cell, false);
  }

  /** @param {Cell} cell */
  goTo([row, column]) {
    const place = this.places();
    this.heat.go({ row: place[row], column: place[column] }, true);
  }

  /** @param {Cell[]} selection */
  mark(selection) {
    const place = this.places();
    this.heat.chosen = selection.map(([row, column]) => ({ row: place[row], column: place[column] }));
    this.heat.schedule();
  }

  paint() {
    const { cells, rows, columns, view } = this;
    const right = (/** @type {number} */ k) => rows[k] === columns[k];
    const strength = view.state.kind === "difference"
      ? differenceTones(cells.counts, right)
      : tones(shares(cells.counts, rows, columns, view.over()), right, view.how);
    const place = this.places();
    this.heat.show({
      rows: Uint16Array.from(rows, (k) => place[k]), columns: Uint16Array.from(columns, (k) => place[k]), tones: strength,
    });
  }
}

/**
 * Puts the map into a view's card, once its cells have come.
 * @param {View} view @returns {Promise<LargeMap | null>}
 */
export async function mapOf(view) {
  const host = view.card.querySelector(".km-map");
  const still = host?.querySelector("img");
  const read = host?.querySelector(".km-read");
  if (!host || !still || !read) return null;
  const cells = await view.companion.matrix();
  // The card may have gone meanwhile.
  return view.card.classList.contains("km-alive") ? new LargeMap(view, cells, still, read) : null;
}
