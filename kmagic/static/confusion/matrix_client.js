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
 * @typedef {{index: number, caption: string, title: string, text: string, mime?: string,
 *     width?: number, height?: number, pixelated?: boolean}} Sample
 * @typedef {{positions: Uint32Array, counts: Float64Array}} FilledCells  the cells of a large matrix
 *     that are not zero; a position is row * classes + column
 * @typedef {{get(name: string): any, on(name: string, callback: Function): void,
 *     send(content: any): void, widget_manager?: any}} WidgetModel
 * @typedef {{dispose(): void}} Disposable
 */

/** One widget: requests to its kernel, and the cards in the page that show its matrix. */
export class MatrixClient {
  /**
   * @param {WidgetModel} model
   * @param {(client: MatrixClient, card: HTMLElement) => Disposable} openView
   */
  constructor(model, openView) {
    this.model = model;
    this.openView = openView;
    /** @type {MatrixState} */
    this.state = model.get("state");
    this.key = this.state.key;
    this.lastRequest = 0;
    /** @type {Map<number, {resolve: Function, reject: Function}>} */
    this.pending = new Map();
    /** @type {Map<Element, Disposable>} */
    this.views = new Map();
    /** @type {Promise<FilledCells> | undefined} */
    this.cells = undefined;
    model.on("msg:custom", (/** @type {any} */ reply, /** @type {DataView[]} */ buffers) => {
      const promise = this.pending.get(reply.reply_to);
      if (!promise) return;
      this.pending.delete(reply.reply_to);
      if (reply.error) promise.reject(new Error(reply.error));
      else promise.resolve({ ...reply, buffers: buffers ?? [] });
    });
  }

  /** @param {string} kind @param {Record<string, any>} [parameters] @returns {Promise<any>} */
  request(kind, parameters) {
    this.lastRequest += 1;
    const id = this.lastRequest;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.model.send({ id, request: kind, ...parameters });
    });
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

  /** @param {HTMLElement} card */
  attach(card) {
    for (const [attached, view] of this.views) {
      if (!attached.isConnected) {
        view.dispose();
        this.views.delete(attached);
      }
    }
    if (!this.views.has(card)) this.views.set(card, this.openView(this, card));
  }

  dispose() {
    for (const view of this.views.values()) view.dispose();
    this.views.clear();
  }
}
