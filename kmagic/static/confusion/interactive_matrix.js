// @ts-check
/**
 * Makes the cards of a confusion matrix interactive while their kernel runs.
 *
 * It adds what needs a kernel: the samples of any cell, other orders and colours, a threshold slider,
 * a zoomable matrix.
 *
 * A widget is one file: kmagic/display/kit/assets.py joins this module and those it imports. The
 * requests are answered by kmagic/display/confusion/interactive_matrix.py.
 *
 * @typedef {import("./matrix_client.js").Cell} Cell
 * @typedef {import("../kit/card_client.js").WidgetModel} WidgetModel
 */

import { connectCards } from "../kit/card_client.js";
import { SamplePanel } from "../kit/sample_panel.js";
import { button, checkbox, dropdown, element } from "../kit/elements.js";
import { CardUpdate } from "./card_update.js";
import { cellCall, cellTitle } from "./cell_text.js";
import { openLargeMatrix } from "./large_matrix.js";
import { MatrixClient } from "./matrix_client.js";
import { MatrixTable } from "./matrix_table.js";
import { ThresholdSlider } from "./threshold_slider.js";

/** @type {Record<string, string>} */
const ORDERS = { given: "as given", name: "by name", support: "by support", error: "by error", similarity: "by similarity" };

/** One card: which cells are selected, and how it is shown. */
export class MatrixView {
  /** @param {MatrixClient} client @param {HTMLElement} card */
  constructor(client, card) {
    this.client = client;
    this.state = client.state;
    this.card = card;
    this.root = /** @type {HTMLElement} */ (card.closest(".kmagic") ?? card);
    this.colours = { log: this.state.scale === "log", diagonal: this.state.diagonal };
    /** The classes in the order shown. */
    this.order = this.state.shown;
    this.matrix = this.state.matrix;
    /** The cells of the list of confused pairs. */
    this.worstCells = this.state.worst_cells;
    /** A threshold other than the card's, or that of each label; else null. @type {number | number[] | null} */
    this.threshold = null;
    this.orderName = this.state.order;
    /** @type {Cell[]} */
    this.selection = [];
    /** @type {(() => void)[]} */
    this.cleanups = [];
    /** @type {MatrixTable | null} */
    this.table = null;
    /** @type {import("./large_matrix.js").LargeMatrix | null} */
    this.largeMatrix = null;
    this.panel = new SamplePanel(this, /** @type {HTMLElement} */ (card.querySelector(".km-samples")));
    this.announcement = element("div", "km-visually-hidden");
    this.tools = element("div", "km-tools");
    this.build();
  }

  /** @param {EventTarget} target @param {string} type @param {(event: any) => void} listener */
  on(target, type, listener) {
    target.addEventListener(type, listener);
    this.cleanups.push(() => target.removeEventListener(type, listener));
  }

  build() {
    const { card, state } = this;
    for (const opened of card.querySelectorAll("details.km-cell[open]")) opened.removeAttribute("open");
    const update = new CardUpdate(this);
    this.announcement.setAttribute("role", "status");
    card.prepend(this.tools);
    card.append(this.announcement);
    card.classList.add("km-interactive");
    this.cleanups.push(() => {
      card.classList.remove("km-interactive");
      this.tools.remove();
      this.announcement.remove();
    });
    if (state.names.length > 2) this.addOrderMenu(update);
    if (state.kind === "matrix") {
      this.tools.append(
        checkbox("log colour scale", this.colours.log, (log) => this.recolour({ log })),
        checkbox("include the diagonal", this.colours.diagonal, (diagonal) => this.recolour({ diagonal })),
      );
    }
    this.tools.append(element("span", "km-muted km-hint", "Click a cell to see its samples (Ctrl-click: several)"));
    const table = card.querySelector("table.km-matrix");
    if (table instanceof HTMLTableElement) this.table = new MatrixTable(this, table);
    this.on(this.root, "change", (event) => {
      if (event.target?.name === "km-normalize") this.paint();
    });
    this.bindPairs();
    if (!this.matrix) openLargeMatrix(this).then((largeMatrix) => { this.largeMatrix = largeMatrix; });
    if (state.threshold_steps) new ThresholdSlider(this, update, state.threshold_steps);
  }

  dispose() {
    this.panel.close();
    for (const cleanup of this.cleanups.splice(0).reverse()) cleanup();
  }

  /** @param {string} text */
  announce(text) {
    this.announcement.textContent = text;
  }

  // --- selection --------------------------------------------------------------------------------

  /** @param {Cell} cell @param {boolean} add  to the current selection */
  select(cell, add) {
    const isSame = (/** @type {Cell} */ [row, column]) => row === cell[0] && column === cell[1];
    if (!add || this.threshold !== null) this.selection = [cell];
    else if (this.selection.some(isSame)) this.selection = this.selection.filter((other) => !isSame(other));
    else this.selection = [...this.selection, cell];
    this.markSelection();
    this.sendSelection();
    if (this.selection.length) this.panel.show(this.samplesOf(this.selection));
    else this.panel.close();
  }

  /** @param {Cell[]} cells @returns {import("../kit/sample_panel.js").SampleSource} */
  samplesOf(cells) {
    return {
      title: () => cellTitle(this.state, cells),
      call: () => cellCall(this.state, cells, this.threshold),
      fetch: (first, count) =>
        this.client.request("samples", { cells, first, count, threshold: this.threshold }),
    };
  }

  /** What the panel says if its samples belong to another threshold. */
  staleHint() {
    return this.threshold === null ? "" : "Click a cell to see its samples at this threshold.";
  }

  clearSelection() {
    if (!this.selection.length) return;
    this.selection = [];
    this.markSelection();
    this.sendSelection();
  }

  /** Send the selection to Python; at a moved threshold the cells would have other samples there. */
  sendSelection() {
    const cells = this.threshold === null ? this.selection : [];
    this.client.request("select", { cells }).catch(() => {});
  }

  markSelection() {
    this.table?.markSelection(this.selection);
    this.card.classList.toggle("km-selecting", this.selection.length > 0);
    this.largeMatrix?.markSelection(this.selection);
  }

  /** Let each of the most confused pairs open its samples. */
  bindPairs() {
    this.on(this.card, "click", (event) => {
      const item = event.target.closest(".km-pairs li");
      const cell = item && this.worstCells[[...item.parentElement.children].indexOf(item)];
      if (!cell) return;
      this.select(cell, false);
      this.largeMatrix?.goTo(cell);
    });
    // Jupyter has its own shortcut for Enter.
    this.on(this.card, "keydown", (event) => {
      if (event.target.closest(".km-link")) event.stopPropagation();
    });
    this.markPairs(true);
    this.cleanups.push(() => this.markPairs(false));
  }

  /** Show that the pairs can be opened. @param {boolean} areLinks */
  markPairs(areLinks) {
    for (const item of this.card.querySelectorAll(".km-pairs li")) {
      const link = item.querySelector(".km-link");
      if (!areLinks) link?.replaceWith(...link.childNodes);
      else if (!link) {
        const node = button("", () => {}, "km-link");
        node.append(...item.childNodes);
        item.append(node);
      }
    }
  }

  // --- order and colours ------------------------------------------------------------------------

  /** @param {CardUpdate} update */
  addOrderMenu(update) {
    const isOfLabels = this.state.kind === "labels";
    const { similarity, ...orders } = ORDERS;
    this.tools.append(dropdown("sort", isOfLabels ? orders : ORDERS, this.state.order, async (by) => {
      this.orderName = by;
      if (isOfLabels) await update.update();
      else {
        const { order } = await this.client.request("order", { by });
        this.reorder(order);
        this.markSelection();
        this.paint();
      }
      this.announce(`${isOfLabels ? "labels" : "classes"} sorted ${ORDERS[by]}`);
    }));
    if (!isOfLabels) this.cleanups.push(() => this.reorder(this.state.shown));
  }

  /** @param {number[]} order */
  reorder(order) {
    if (this.matrix) this.table?.reorder(this.order, order);
    this.order = order;
  }

  /** @param {Partial<{log: boolean, diagonal: boolean}>} change */
  recolour(change) {
    this.colours = { ...this.colours, ...change };
    this.paint();
  }

  /** What percentages and colours are relative to. */
  normalization() {
    const checked = this.root.querySelector('input[name="km-normalize"]:checked');
    return checked instanceof HTMLInputElement ? checked.value : "counts";
  }

  paint() {
    this.largeMatrix?.paint();
    if (this.matrix && this.state.kind === "matrix") this.table?.paint(this.matrix, this.colours);
  }
}

export default {
  /** @param {{model: WidgetModel, signal?: AbortSignal}} context */
  initialize({ model, signal }) {
    return connectCards(new MatrixClient(model, (other, card) => new MatrixView(other, card)), signal);
  },
};
