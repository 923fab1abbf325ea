// @ts-check
/**
 * The connection between the cards of a confusion matrix in the page and its kernel.
 *
 * @typedef {[number, number]} Cell  positions of the true and of the predicted class; with several
 *     labels, of a label and of an outcome
 * @typedef {{values: number[], current: number[]}} ThresholdSteps  of the slider; and the thresholds
 *     of the saved card, one for each label
 * @typedef {{shown: number[], matrix: number[][] | null, worst_cells: Cell[]}} Drawn  what a card shows
 * @typedef {Drawn & {key: string, kind: "matrix" | "difference" | "labels", names: string[],
 *     short_names: string[], labels: (number | string)[], order: string, ordered: number[], scale: string,
 *     diagonal: boolean, threshold_steps: ThresholdSteps | null}} MatrixState
 * @typedef {{positions: Uint32Array, counts: Float64Array}} FilledCells  the cells of a large matrix
 *     that are not zero; a position is row * classes + column
 */

import { CardClient } from "../kit/card_client.js";

/** The widget of a matrix. */
export class MatrixClient extends CardClient {
  /**
   * @param {import("../kit/card_client.js").WidgetModel} model
   * @param {(client: MatrixClient, card: HTMLElement) => import("../kit/card_client.js").Disposable} openView
   */
  constructor(model, openView) {
    super(model, openView);
    /** @type {MatrixState} */
    this.state = model.get("state");
    /** @type {Promise<FilledCells> | undefined} */
    this.cells = undefined;
  }

  /** The cells of a large matrix, requested once. @returns {Promise<FilledCells>} */
  filledCells() {
    const bytes = (/** @type {DataView} */ { buffer, byteOffset, byteLength }) =>
      buffer.slice(byteOffset, byteOffset + byteLength);
    this.cells ??= this.request("matrix").then(({ buffers: [positions, counts] }) => ({
      positions: new Uint32Array(bytes(positions)),
      counts: new Float64Array(bytes(counts)),
    }));
    return this.cells;
  }
}
