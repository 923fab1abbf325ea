// @ts-check
/**
 * The matrix's table: its cells to be clicked and walked through by keys, sorted and coloured.
 *
 * @typedef {import("./companion.js").Cell} Cell
 * @typedef {import("./confusion.js").View} View
 */

import { shares, tones } from "./tones.js";

export class Grid {
  /** @param {View} view @param {HTMLTableElement} table */
  constructor(view, table) {
    this.view = view;
    this.table = table;
    /** The cell that the Tab key comes to. @type {HTMLTableCellElement | null} */
    this.current = null;
    this.bind();
  }

  /** The classes in the table: of a large matrix only some. */
  order() {
    return this.view.matrix ? this.view.order : this.view.state.shown;
  }

  /** @param {(td: HTMLTableCellElement, cell: Cell) => void} act */
  each(act) {
    const order = this.order();
    const { rows } = this.table.tBodies[0];
    for (let row = 0; row < order.length && row < rows.length; row += 1) {
      for (let column = 0; column < order.length; column += 1) {
        act(rows[row].cells[column + 1], [order[row], order[column]]);
      }
    }
  }

  bind() {
    const { table } = this;
    table.setAttribute("role", "grid");
    for (const summary of table.querySelectorAll("summary")) summary.setAttribute("tabindex", "-1");
    this.each((td) => {
      td.tabIndex = -1;
      if (td.classList.contains("km-shown")) this.current = td;
    });
    this.focus(this.current ?? table.tBodies[0].rows[0].cells[1]);
    this.view.on(table, "click", (event) => {
      const td = this.cellOf(event.target);
      if (!td) return;
      event.preventDefault();
      this.focus(td);
      this.open(td, event);
    });
    this.view.on(table, "keydown", (event) => this.key(event));
    this.view.undo.push(() => this.release());
  }

  release() {
    this.table.removeAttribute("role");
    this.each((td) => {
      td.removeAttribute("tabindex");
      td.removeAttribute("aria-selected");
      td.classList.remove("km-chosen");
    });
    for (const summary of this.table.querySelectorAll("summary")) summary.removeAttribute("tabindex");
  }

  /** @param {HTMLTableCellElement} td */
  focus(td) {
    if (this.current) this.current.tabIndex = -1;
    this.current = td;
    td.tabIndex = 0;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const td = this.cellOf(event.target);
    if (!td) return;
    const row = /** @type {HTMLTableRowElement} */ (td.parentElement);
    const { rows } = this.table.tBodies[0];
    const last = this.order().length;
    /** @type {Record<string, [number, number]>} */
    const moves = {
      ArrowLeft: [row.rowIndex - 1, td.cellIndex - 1], ArrowRight: [row.rowIndex - 1, td.cellIndex + 1],
      ArrowUp: [row.rowIndex - 2, td.cellIndex], ArrowDown: [row.rowIndex, td.cellIndex],
      Home: [row.rowIndex - 1, 1], End: [row.rowIndex - 1, last],
    };
    const to = moves[event.key];
    if (to) {
      const next = rows[to[0]]?.cells[to[1]];
      if (next && to[1] >= 1 && to[1] <= last) {
        this.focus(next);
        next.focus();
      }
    } else if (event.key === "Enter" || event.key === " ") {
      this.open(td, event);
    } else if (event.key === "Escape") {
      this.view.panel.close();
    } else {
      return;
    }
    // Jupyter has its own use for these keys.
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {EventTarget | null} target @returns {HTMLTableCellElement | null} */
  cellOf(target) {
    const td = target instanceof Element ? target.closest("td") : null;
    const inside = td && td.closest("tbody") && td.cellIndex >= 1 && td.cellIndex <= this.order().length;
    return inside && td.closest("table") === this.table ? td : null;
  }

  /** @param {HTMLTableCellElement} td @param {MouseEvent | KeyboardEvent} event */
  open(td, event) {
    if (td.classList.contains("km-none")) return;
    const row = /** @type {HTMLTableRowElement} */ (td.parentElement).rowIndex - 1;
    const order = this.order();
    this.view.choose([order[row], order[td.cellIndex - 1]], event.ctrlKey || event.metaKey || event.shiftKey);
  }

  /** @param {Cell[]} selection */
  mark(selection) {
    const chosen = new Set(selection.map(([row, column]) => `${row},${column}`));
    this.each((td, cell) => {
      const on = chosen.has(`${cell[0]},${cell[1]}`);
      td.classList.toggle("km-chosen", on);
      td.setAttribute("aria-selected", String(on));
    });
  }

  /** Moves the table's rows and columns. @param {number[]} before @param {number[]} after */
  reorder(before, after) {
    const place = new Map(before.map((k, at) => [k, at]));
    const moves = after.map((k) => /** @type {number} */ (place.get(k)));
    const body = this.table.tBodies[0];
    const rows = [...body.rows];
    body.append(...moves.map((at) => rows[at]));
    for (const row of this.table.rows) {
      const cells = [...row.cells];
      const next = cells[after.length + 1] ?? null;
      for (const at of moves) row.insertBefore(cells[at + 1], next);
    }
  }

  /** @param {number[][]} matrix @param {{log: boolean, diagonal: boolean}} how */
  paint(matrix, how) {
    const classes = matrix.length;
    const flat = matrix.flat();
    const rows = flat.map((_, k) => Math.floor(k / classes));
    const columns = flat.map((_, k) => k % classes);
    const right = (/** @type {number} */ k) => rows[k] === columns[k];
    const [counts, true_, predicted] = ["counts", "true", "pred"].map((over) =>
      tones(shares(flat, rows, columns, over), right, how));
    this.each((td, [row, column]) => {
      const k = row * classes + column;
      if (!flat[k]) return;
      const strength = (/** @type {Float32Array} */ of) => Math.abs(of[k]).toFixed(3);
      td.style.setProperty("--c", strength(counts));
      td.style.setProperty("--t", strength(true_));
      td.style.setProperty("--p", strength(predicted));
    });
  }
}
