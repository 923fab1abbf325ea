// @ts-check
/**
 * The cells of a matrix in words, and as the Python call that gives their samples.
 *
 * @typedef {import("./matrix_client.js").Cell} Cell
 * @typedef {import("./matrix_client.js").MatrixState} MatrixState
 */

import { element } from "../kit/elements.js";

/** @param {string[]} names  of the classes @param {Cell} cell */
export function cellToText(names, [row, column]) {
  return row === column ? `${names[row]} correct` : `${names[row]} taken for ${names[column]}`;
}

/**
 * The same as nodes of the page, with each name isolated from the direction of the text around it.
 *
 * @param {string[]} names  of the classes @param {Cell[]} cells @returns {Node[]}
 */
export function cellTitle(names, cells) {
  if (cells.length > 1) return [document.createTextNode(`${cells.length} cells`)];
  const [trueName, predictedName] = cells[0].map((k) => element("bdi", "", names[k]));
  if (cells[0][0] === cells[0][1]) return [trueName, document.createTextNode(" correct")];
  return [trueName, document.createTextNode(" taken for "), predictedName];
}

/**
 * The Python call that gives the indices of the samples.
 *
 * @param {MatrixState} state @param {Cell[]} cells @param {number | null} threshold  if it was moved
 */
export function cellCall({ kind, labels }, cells, threshold) {
  if (cells.length > 1) return kind === "matrix" ? ".selected()" : ".new.selected()";
  const [trueLabel, predictedLabel] = cells[0].map((k) => {
    const label = labels[k];
    return typeof label === "number" ? String(label) : `'${label.replace(/[\\']/g, "\\$&")}'`;
  });
  const prefix = kind === "difference" ? ".new" : threshold === null ? "" : `.at(${threshold})`;
  return `${prefix}.indices(true=${trueLabel}, pred=${predictedLabel})`;
}
