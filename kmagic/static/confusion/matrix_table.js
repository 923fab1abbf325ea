// @ts-check
/**
 * The table of a matrix or of several labels: selecting cells by clicks and keys, sorting and
 * colouring them.
 *
 * @typedef {import("./matrix_client.js").Cell} Cell
 * @typedef {import("./interactive_matrix.js").MatrixView} MatrixView
 */

import { OUTCOMES } from "./cell_text.js";
import { cellOpacities, normalizedCounts } from "./colour_scale.js";

export class MatrixTable {
  /** @param {MatrixView} view @param {HTMLTableElement} table */
  constructor(view, table) {
    this.view = view;
    this.table = table;
    /** Row and column of the cell that the Tab key reaches. @type {[number, number]} */
    this.current = [0, 1];
    this.bind();
  }

  /** The classes in the table: only some of a large matrix. */
  order() {
    return this.view.matrix ? this.view.order : this.view.state.shown;
  }

  /** What the columns show: classes, or the outcomes of a label. */
  columns() {
    return this.view.state.kind === "labels" ? [...OUTCOMES.keys()] : this.order();
  }

  /** @param {(td: HTMLTableCellElement, cell: Cell) => void} callback */
  forEachCell(callback) {
    const [order, columns] = [this.order(), this.columns()];
    [...this.table.tBodies[0].rows].forEach((row, index) => {
      columns.forEach((column, k) => callback(row.cells[k + 1], [order[index], column]));
    });
  }

  bind() {
    const { table } = this;
    table.setAttribute("role", "grid");
    this.forEachCell((td) => {
      if (td.classList.contains("km-marked")) this.current = positionOf(td);
    });
    this.bindCells();
    this.view.on(table, "click", (event) => {
      const td = this.cellOf(event.target);
      if (!td) return;
      event.preventDefault();
      this.makeCurrent(td);
      this.open(td, event);
    });
    this.view.on(table, "keydown", (event) => this.onKey(event));
    this.view.cleanups.push(() => this.unbind());
  }

  /** Let keys reach the cells, which may have been drawn again. */
  bindCells() {
    for (const summary of this.table.querySelectorAll("summary")) summary.setAttribute("tabindex", "-1");
    this.forEachCell((td) => { td.tabIndex = -1; });
    this.currentCell().tabIndex = 0;
  }

  currentCell() {
    const [row, column] = this.current;
    return this.table.tBodies[0].rows[row].cells[column];
  }

  unbind() {
    this.table.removeAttribute("role");
    this.forEachCell((td) => {
      td.removeAttribute("tabindex");
      td.removeAttribute("aria-selected");
      td.classList.remove("km-selected");
    });
    for (const summary of this.table.querySelectorAll("summary")) summary.removeAttribute("tabindex");
  }

  /** @param {HTMLTableCellElement} td */
  makeCurrent(td) {
    this.currentCell().tabIndex = -1;
    this.current = positionOf(td);
    td.tabIndex = 0;
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const td = this.cellOf(event.target);
    if (!td) return;
    const [row, column] = positionOf(td);
    const { rows } = this.table.tBodies[0];
    const last = this.columns().length;
    /** @type {Record<string, [number, number]>} */
    const moves = {
      ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1], ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column], Home: [row, 1], End: [row, last],
    };
    const target = moves[event.key];
    if (target) {
      const next = rows[target[0]]?.cells[target[1]];
      if (next && target[1] >= 1 && target[1] <= last) {
        this.makeCurrent(next);
        next.focus();
      }
    } else if (event.key === "Enter" || event.key === " ") {
      this.open(td, event);
    } else if (event.key === "Escape") {
      this.view.panel.close();
    } else {
      return;
    }
    // Jupyter has its own shortcuts for these keys.
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {EventTarget | null} target @returns {HTMLTableCellElement | null} */
  cellOf(target) {
    const td = target instanceof Element ? target.closest("td") : null;
    const inMatrix = td && td.closest("tbody") && td.cellIndex >= 1 && td.cellIndex <= this.columns().length;
    return inMatrix && td.closest("table") === this.table ? td : null;
  }

  /** @param {HTMLTableCellElement} td @param {MouseEvent | KeyboardEvent} event */
  open(td, event) {
    if (td.classList.contains("km-empty")) return;
    const [row, column] = positionOf(td);
    this.view.select([this.order()[row], this.columns()[column - 1]], event.ctrlKey || event.metaKey || event.shiftKey);
  }

  /** @param {Cell[]} selection */
  markSelection(selection) {
    const selected = new Set(selection.map(([row, column]) => `${row},${column}`));
    this.forEachCell((td, cell) => {
      const isSelected = selected.has(`${cell[0]},${cell[1]}`);
      td.classList.toggle("km-selected", isSelected);
      td.setAttribute("aria-selected", String(isSelected));
    });
  }

  /** Move the table's rows and columns. @param {number[]} before @param {number[]} after */
  reorder(before, after) {
    const positions = new Map(before.map((k, index) => [k, index]));
    const moves = after.map((k) => /** @type {number} */ (positions.get(k)));
    const body = this.table.tBodies[0];
    const rows = [...body.rows];
    body.append(...moves.map((index) => rows[index]));
    for (const row of this.table.rows) {
      const cells = [...row.cells];
      const next = cells[after.length + 1] ?? null;
      for (const index of moves) row.insertBefore(cells[index + 1], next);
    }
  }

  /** @param {number[][]} matrix @param {{log: boolean, diagonal: boolean}} colours */
  paint(matrix, colours) {
    const classes = matrix.length;
    const counts = matrix.flat();
    const rows = counts.map((_, k) => Math.floor(k / classes));
    const columns = counts.map((_, k) => k % classes);
    const isCorrect = (/** @type {number} */ k) => rows[k] === columns[k];
    const [byCount, byRow, byColumn] = ["counts", "true", "pred"].map((normalize) =>
      cellOpacities(normalizedCounts(counts, rows, columns, normalize), isCorrect, colours));
    this.forEachCell((td, [row, column]) => {
      const k = row * classes + column;
      if (!counts[k]) return;
      const opacity = (/** @type {Float32Array} */ opacities) => Math.abs(opacities[k]).toFixed(3);
      td.style.setProperty("--c", opacity(byCount));
      td.style.setProperty("--t", opacity(byRow));
      td.style.setProperty("--p", opacity(byColumn));
    });
  }
}

/** Row in the body, and column in the row. @param {HTMLTableCellElement} td @returns {[number, number]} */
function positionOf(td) {
  return [/** @type {HTMLTableRowElement} */ (td.parentElement).rowIndex - 1, td.cellIndex];
}
