// @ts-check
/**
 * A matrix of many classes in its card: a canvas in place of the static image.
 *
 * @typedef {import("./matrix_client.js").Cell} Cell
 * @typedef {import("./matrix_client.js").FilledCells} FilledCells
 * @typedef {import("./interactive_matrix.js").MatrixView} MatrixView
 */

import { button, element } from "../kit/elements.js";
import { formatCount } from "../kit/formatting.js";
import { cellToText } from "./cell_text.js";
import { cellOpacities, differenceOpacities, normalizedCounts } from "./colour_scale.js";
import { Heatmap } from "./heatmap.js";

export class LargeMatrix {
  /** @param {MatrixView} view @param {FilledCells} cells @param {HTMLImageElement} image @param {Element} readout */
  constructor(view, cells, image, readout) {
    this.view = view;
    this.cells = cells;
    const { names } = view.state;
    const classes = names.length;
    this.rows = Uint32Array.from(cells.positions, (position) => Math.floor(position / classes));
    this.columns = Uint32Array.from(cells.positions, (position) => position % classes);
    /** @type {Map<number, number>} */
    this.counts = new Map();
    cells.positions.forEach((position, k) => this.counts.set(position, cells.counts[k]));
    this.rowSums = new Float64Array(classes);
    cells.counts.forEach((count, k) => { this.rowSums[this.rows[k]] += count; });
    this.readout = readout;
    this.defaultText = readout.textContent ?? "";
    /** Index of the worst cell that was visited last. */
    this.worstIndex = -1;
    this.heatmap = new Heatmap(classes, (index) => view.state.short_names[this.order()[index]], {
      onHover: (position) => this.describe(position && this.cellAt(position)),
      onSelect: (position, add) => {
        const cell = this.cellAt(position);
        if (this.counts.get(cell[0] * classes + cell[1])) view.select(cell, add);
      },
    });
    this.describe(null);
    image.before(this.heatmap.canvas);
    image.hidden = true;
    const buttons = this.buildButtons();
    readout.after(buttons);
    view.cleanups.push(() => {
      this.heatmap.dispose();
      this.heatmap.canvas.remove();
      buttons.remove();
      image.hidden = false;
      readout.textContent = this.defaultText;
    });
    this.heatmap.fit();
    this.paint();
  }

  /** All classes in the order shown. */
  order() {
    const { order, state } = this.view;
    return order.length === state.names.length ? order : state.ordered;
  }

  /** @param {import("./heatmap.js").Position} position @returns {Cell} */
  cellAt({ row, column }) {
    return [this.order()[row], this.order()[column]];
  }

  /** The index of each class in the order shown. */
  indices() {
    const indices = new Uint16Array(this.view.state.names.length);
    this.order().forEach((k, index) => { indices[k] = index; });
    return indices;
  }

  /** Show what a cell contains, or else what the heatmap shows. @param {Cell | null} cell */
  describe(cell) {
    const text = cell ? this.cellText(cell) : this.defaultText;
    this.readout.textContent = text;
    this.heatmap?.canvas.setAttribute("aria-label", text);
  }

  /** @param {Cell} cell */
  cellText([row, column]) {
    const { state } = this.view;
    const count = this.counts.get(row * state.names.length + column) ?? 0;
    const sign = count < 0 ? "\u2212" : "";
    const text = `${cellToText(state.names, [row, column])}: ${sign}${formatCount(Math.abs(count))}`;
    return state.kind === "difference" ? text : `${text} of ${formatCount(this.rowSums[row])}`;
  }

  buildButtons() {
    const buttons = element("div", "km-actions");
    /** @type {[string, string, () => void][]} */
    const actions = [
      ["+", "zoom in", () => this.heatmap.zoomBy(2)],
      ["\u2212", "zoom out", () => this.heatmap.zoomBy(0.5)],
      ["all", "show all classes", () => this.heatmap.zoomBy(0)],
      ["\u2039 worst", "previous of the worst cells", () => this.goToWorst(-1)],
      ["worst \u203a", "next of the worst cells", () => this.goToWorst(1)],
    ];
    for (const [text, title, onClick] of actions) {
      const node = button(text, onClick);
      node.title = title;
      node.setAttribute("aria-label", title);
      buttons.append(node);
    }
    return buttons;
  }

  /** @param {number} step */
  goToWorst(step) {
    const { worst_cells: worst } = this.view.state;
    this.worstIndex = Math.min(Math.max(this.worstIndex + step, 0), worst.length - 1);
    const cell = worst[this.worstIndex];
    if (!cell) return;
    this.goTo(cell);
    this.view.select(cell, false);
  }

  /** @param {Cell} cell */
  goTo([row, column]) {
    const indices = this.indices();
    this.heatmap.moveCursor({ row: indices[row], column: indices[column] }, true);
  }

  /** @param {Cell[]} selection */
  markSelection(selection) {
    const indices = this.indices();
    this.heatmap.selection = selection.map(([row, column]) => ({ row: indices[row], column: indices[column] }));
    this.heatmap.schedule();
  }

  paint() {
    const { cells, rows, columns, view } = this;
    const isCorrect = (/** @type {number} */ k) => rows[k] === columns[k];
    const isDifference = view.state.kind === "difference";
    const opacities = isDifference
      ? differenceOpacities(cells.counts, isCorrect)
      : cellOpacities(normalizedCounts(cells.counts, rows, columns, view.normalization()), isCorrect, view.colours);
    const indices = this.indices();
    this.heatmap.show({
      rows: Uint16Array.from(rows, (k) => indices[k]),
      columns: Uint16Array.from(columns, (k) => indices[k]),
      opacities,
      isDifference,
    });
  }
}

/**
 * Put the canvas into a view's card, once the cells have arrived.
 *
 * @param {MatrixView} view @returns {Promise<LargeMatrix | null>}
 */
export async function openLargeMatrix(view) {
  const host = view.card.querySelector(".km-large-matrix");
  const image = host?.querySelector("img");
  const readout = host?.querySelector(".km-readout");
  if (!host || !image || !readout) return null;
  const cells = await view.client.filledCells();
  // The card may have been disposed of meanwhile.
  return view.card.classList.contains("km-interactive") ? new LargeMatrix(view, cells, image, readout) : null;
}
