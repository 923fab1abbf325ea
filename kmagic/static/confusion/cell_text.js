// @ts-check
/**
 * The cells of a matrix in words, and as the Python call that gives their samples.
 *
 * @typedef {import("./matrix_client.js").Cell} Cell
 * @typedef {import("./matrix_client.js").MatrixState} MatrixState
 */

import { element } from "../kit/elements.js";

/** The cells of a label's matrix, in the order of their columns. */
export const OUTCOMES = [
  { name: "true positives", arguments: "true=True, pred=True" },
  { name: "false negatives", arguments: "true=True, pred=False" },
  { name: "false positives", arguments: "true=False, pred=True" },
  { name: "true negatives", arguments: "true=False, pred=False" },
];

/** @param {string[]} names  of the classes @param {Cell} cell */
export function cellToText(names, [row, column]) {
  return row === column ? `${names[row]} correct` : `${names[row]} taken for ${names[column]}`;
}

/**
 * The same as nodes of the page, with each name isolated from the direction of the text around it.
 *
 * @param {Pick<MatrixState, "kind" | "names">} state @param {Cell[]} cells @returns {Node[]}
 */
export function cellTitle({ kind, names }, cells) {
  if (cells.length > 1) return [document.createTextNode(`${cells.length} cells`)];
  if (kind === "labels") {
    const [[label, outcome]] = cells;
    return [element("bdi", "", names[label]), document.createTextNode(`: ${OUTCOMES[outcome].name}`)];
  }
  const [trueName, predictedName] = cells[0].map((k) => element("bdi", "", names[k]));
  if (cells[0][0] === cells[0][1]) return [trueName, document.createTextNode(" correct")];
  return [trueName, document.createTextNode(" taken for "), predictedName];
}

/**
 * The Python call that gives the indices of the samples; "" if there is none.
 *
 * @param {MatrixState} state @param {Cell[]} cells
 * @param {number | number[] | null} threshold  if it was moved; of several labels that of each
 */
export function cellCall(state, cells, threshold) {
  const { kind, labels } = state;
  const prefix = kind === "difference" ? ".new" : thresholdCall(state, threshold);
  if (cells.length > 1) return threshold === null ? `${prefix}.selected()` : "";
  const [row, column] = cells[0];
  if (kind === "labels") {
    const arguments_ = OUTCOMES[column].arguments;
    return `${prefix}.indices(${toPython(labels[row])}, ${arguments_})`;
  }
  return `${prefix}.indices(true=${toPython(labels[row])}, pred=${toPython(labels[column])})`;
}

/** @param {MatrixState} state @param {number | number[] | null} threshold */
function thresholdCall({ labels, threshold_steps }, threshold) {
  if (threshold === null) return "";
  if (!Array.isArray(threshold)) return `.at(${threshold})`;
  if (threshold.every((value) => value === threshold[0])) return `.at(${threshold[0]})`;
  const moved = threshold.map((value, k) => `${toPython(labels[k])}: ${value}`)
    .filter((_, k) => threshold[k] !== threshold_steps?.current[k]);
  return `.at({${moved.join(", ")}})`;
}

/** @param {number | string} label */
function toPython(label) {
  return typeof label === "number" ? String(label) : `'${label.replace(/[\\']/g, "\\$&")}'`;
}
