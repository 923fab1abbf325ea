// @ts-check
/**
 * Brings the cards of a confusion matrix to life while their kernel is there.
 *
 * The card is HTML that the notebook keeps. This module belongs to a widget without a view; it looks
 * for elements with `data-km` and the widget's key, in the notebook and in every other view of its
 * output, and gives them what takes a kernel: any cell's samples, other orders and colours, a
 * threshold to be moved, a matrix to be zoomed into. When the widget goes, it takes all of it away.
 *
 * Whatever is text in a message is put on the page as text.
 *
 * A widget is one file: kmagic/display/modules.py joins this one and those that it imports.
 *
 * @typedef {import("./companion.js").Cell} Cell
 * @typedef {import("./companion.js").Model} Model
 */

import { Companion } from "./companion.js";
import { checkbox, menu } from "./controls.js";
import { element } from "./elements.js";
import { Grid } from "./grid.js";
import { mapOf } from "./map.js";
import { Panel } from "./panel.js";
import { registry } from "./registry.js";
import { Threshold } from "./threshold.js";

/** @type {Record<string, string>} */
const ORDERS = { given: "as given", name: "by name", support: "by support", error: "by error", similarity: "by similarity" };

/** One card: what is selected in it, and how it is shown. */
export class View {
  /** @param {Companion} companion @param {HTMLElement} card */
  constructor(companion, card) {
    this.companion = companion;
    this.state = companion.state;
    this.card = card;
    this.root = /** @type {HTMLElement} */ (card.closest(".kmagic") ?? card);
    this.how = { log: this.state.scale === "log", diagonal: this.state.diagonal };
    /** The classes in the order they are shown. */
    this.order = this.state.shown;
    this.matrix = this.state.matrix;
    /** @type {number | null} */
    this.threshold = null;
    /** @type {Cell[]} */
    this.selection = [];
    /** @type {(() => void)[]} */
    this.undo = [];
    /** @type {Grid | null} */
    this.grid = null;
    /** @type {import("./map.js").LargeMap | null} */
    this.map = null;
    this.panel = new Panel(this, /** @type {HTMLElement} */ (card.querySelector(".km-slot")));
    this.news = element("div", "km-unseen");
    this.tools = element("div", "km-tools");
    this.build();
  }

  /** @param {EventTarget} target @param {string} kind @param {(event: any) => void} act */
  on(target, kind, act) {
    target.addEventListener(kind, act);
    this.undo.push(() => target.removeEventListener(kind, act));
  }

  build() {
    const { card, state } = this;
    for (const opened of card.querySelectorAll("details.km-cell[open]")) opened.removeAttribute("open");
    this.news.setAttribute("role", "status");
    card.prepend(this.tools);
    card.append(this.news);
    card.classList.add("km-alive");
    this.undo.push(() => {
      card.classList.remove("km-alive");
      this.tools.remove();
      this.news.remove();
    });
    if (state.names.length > 2) this.bindOrders();
    if (state.kind === "matrix") {
      this.tools.append(
        checkbox("log colours", this.how.log, (log) => this.recolour({ log })),
        checkbox("colour what is right too", this.how.diagonal, (diagonal) => this.recolour({ diagonal })),
      );
    }
    this.tools.append(element("span", "km-mute km-hint", "click a cell for its samples, with Ctrl several"));
    const table = card.querySelector("table.km-matrix");
    if (table instanceof HTMLTableElement) this.grid = new Grid(this, table);
    this.on(this.root, "change", (event) => {
      if (event.target?.name === "km-by") this.paint();
    });
    this.bindList();
    if (!this.matrix) mapOf(this).then((map) => { this.map = map; });
    if (state.sweep) new Threshold(this, state.sweep);
  }

  retire() {
    this.panel.close();
    for (const undo of this.undo.splice(0).reverse()) undo();
  }

  /** @param {string} words */
  tell(words) {
    this.news.textContent = words;
  }

  // --- what is selected -------------------------------------------------------------------------

  /** @param {Cell} cell @param {boolean} more  whether it is added to what is selected */
  choose(cell, more) {
    const same = (/** @type {Cell} */ [row, column]) => row === cell[0] && column === cell[1];
    if (!more || this.threshold !== null) this.selection = [cell];
    else if (this.selection.some(same)) this.selection = this.selection.filter((each) => !same(each));
    else this.selection = [...this.selection, cell];
    this.mark();
    this.keep();
    if (this.selection.length) this.panel.show(this.selection);
    else this.panel.close();
  }

  closed() {
    if (!this.selection.length) return;
    this.selection = [];
    this.mark();
    this.keep();
  }

  /** Tells Python what is selected; at a moved threshold that would be other samples there. */
  keep() {
    const cells = this.threshold === null ? this.selection : [];
    this.companion.ask({ ask: "select", cells }).catch(() => {});
  }

  mark() {
    this.grid?.mark(this.selection);
    this.card.classList.toggle("km-choosing", this.selection.length > 0);
    this.map?.mark(this.selection);
  }

  /** The list of the most confused opens them. */
  bindList() {
    for (const item of this.card.querySelectorAll(".km-list li")) {
      const place = [...(item.parentElement?.children ?? [])].indexOf(item);
      const cell = this.state.worst[place];
      if (!cell) continue;
      item.classList.add("km-goes");
      item.setAttribute("tabindex", "0");
      item.setAttribute("role", "button");
      this.undo.push(() => {
        item.classList.remove("km-goes");
        item.removeAttribute("tabindex");
        item.removeAttribute("role");
      });
      const go = () => {
        this.choose(cell, false);
        this.map?.goTo(cell);
      };
      this.on(item, "click", go);
      this.on(item, "keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        go();
      });
    }
  }

  // --- order and colours ------------------------------------------------------------------------

  bindOrders() {
    this.tools.append(menu("sort", ORDERS, this.state.order, async (by) => {
      const { order } = await this.companion.ask({ ask: "order", by });
      this.reorder(order);
      this.mark();
      this.paint();
      this.tell(`classes sorted ${ORDERS[by]}`);
    }));
    const before = this.state.shown;
    this.undo.push(() => this.reorder(before));
  }

  /** @param {number[]} order */
  reorder(order) {
    if (this.matrix) this.grid?.reorder(this.order, order);
    this.order = order;
  }

  /** @param {Partial<{log: boolean, diagonal: boolean}>} change */
  recolour(change) {
    this.how = { ...this.how, ...change };
    this.paint();
  }

  /** What percentages and colours are of. */
  over() {
    const chosen = this.root.querySelector('input[name="km-by"]:checked');
    return chosen instanceof HTMLInputElement ? chosen.value : "counts";
  }

  paint() {
    this.map?.paint();
    if (this.matrix && this.state.kind === "matrix") this.grid?.paint(this.matrix, this.how);
  }
}

export default {
  /** @param {{model: Model, signal?: AbortSignal}} context */
  initialize({ model, signal }) {
    const cards = registry();
    const companion = new Companion(model, (other, card) => new View(other, card));
    cards.add(companion);
    // Jupyter keeps a widget whose kernel was started anew, but nobody answers it any more.
    const life = model.widget_manager?.kernel?.statusChanged;
    const onKernel = (/** @type {unknown} */ _, /** @type {string} */ status) => {
      if (["dead", "restarting", "autorestarting", "terminating"].includes(status)) leave();
    };
    const leave = () => {
      life?.disconnect?.(onKernel);
      cards.remove(companion);
    };
    life?.connect?.(onKernel);
    signal?.addEventListener("abort", leave);
    return leave;
  },
};
