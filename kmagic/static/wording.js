// @ts-check
/**
 * What cells of a matrix are called: in words, and in Python.
 *
 * @typedef {import("./companion.js").Cell} Cell
 * @typedef {import("./companion.js").State} State
 */

import { element } from "./elements.js";

/** @param {State} state @param {Cell} cell */
export function cellWords({ names }, [row, column]) {
  return row === column ? `${names[row]} right` : `${names[row]} taken for ${names[column]}`;
}

/**
 * The same to be put on the page, whatever way a name is written.
 * @param {State} state @param {Cell[]} cells @returns {Node[]}
 */
export function cellTitle({ names }, cells) {
  if (cells.length > 1) return [document.createTextNode(`${cells.length} cells`)];
  const [true_, predicted] = cells[0].map((k) => element("bdi", "", names[k]));
  if (cells[0][0] === cells[0][1]) return [true_, document.createTextNode(" right")];
  return [true_, document.createTextNode(" taken for "), predicted];
}

/**
 * What gives the samples in Python.
 * @param {State} state @param {Cell[]} cells @param {number | null} threshold  where it was moved to
 */
export function cellCall({ kind, labels }, cells, threshold) {
  if (cells.length > 1) return kind === "matrix" ? ".selected()" : ".new.selected()";
  const [true_, predicted] = cells[0].map((k) => {
    const label = labels[k];
    return typeof label === "number" ? String(label) : `'${label.replace(/[\\']/g, "\\$&")}'`;
  });
  const moved = threshold === null ? "" : `.at(${threshold})`;
  const whose = kind === "matrix" ? moved : ".new";
  return `${whose}.indices(true=${true_}, pred=${predicted})`;
}
