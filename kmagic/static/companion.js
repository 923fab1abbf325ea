// @ts-check
/**
 * The other end of a card: what is asked of its kernel.
 *
 * @typedef {[number, number]} Cell  positions of the true and of the predicted class
 * @typedef {{thresholds: number[], counts: number[][], now: number, samples: number, unit: string}} Sweep
 * @typedef {{key: string, kind: "matrix" | "difference", names: string[], labels: (number | string)[],
 *     shown: number[], matrix: number[][] | null, order: string, ordered: number[], scale: string,
 *     diagonal: boolean, worst: Cell[], sweep: Sweep | null}} State
 * @typedef {{number: number, caption: string, title: string, text: string, mime?: string,
 *     width?: number, height?: number, pixelated?: boolean}} Sample
 * @typedef {{places: Uint32Array, counts: Float64Array}} Cells  of a large matrix, those that hold
 *     something; a place is row * classes + column
 * @typedef {{get(name: string): any, on(name: string, callback: Function): void,
 *     send(content: any): void, widget_manager?: any}} Model
 * @typedef {{retire(): void}} Retiring
 */

/** One widget: what is asked of its kernel, and the cards in the page that show its matrix. */
export class Companion {
  /** @param {Model} model @param {(companion: Companion, card: HTMLElement) => Retiring} open */
  constructor(model, open) {
    this.model = model;
    this.open = open;
    /** @type {State} */
    this.state = model.get("state");
    this.seq = 0;
    /** @type {Map<number, {resolve: Function, reject: Function}>} */
    this.waiting = new Map();
    /** @type {Map<Element, Retiring>} */
    this.views = new Map();
    /** @type {Promise<Cells> | undefined} */
    this.cells = undefined;
    model.on("msg:custom", (/** @type {any} */ reply, /** @type {DataView[]} */ buffers) => {
      const asked = this.waiting.get(reply.re);
      if (!asked) return;
      this.waiting.delete(reply.re);
      if (reply.error) asked.reject(new Error(reply.error));
      else asked.resolve({ ...reply, buffers: buffers ?? [] });
    });
  }

  /** @param {Record<string, any>} question @returns {Promise<any>} */
  ask(question) {
    this.seq += 1;
    const seq = this.seq;
    return new Promise((resolve, reject) => {
      this.waiting.set(seq, { resolve, reject });
      this.model.send({ seq, ...question });
    });
  }

  /** The cells of a large matrix, fetched once. @returns {Promise<Cells>} */
  matrix() {
    this.cells ??= this.ask({ ask: "matrix" }).then(({ buffers: [places, counts] }) => ({
      places: new Uint32Array(places.buffer.slice(places.byteOffset, places.byteOffset + places.byteLength)),
      counts: new Float64Array(counts.buffer.slice(counts.byteOffset, counts.byteOffset + counts.byteLength)),
    }));
    return this.cells;
  }

  /** @param {HTMLElement} card */
  adopt(card) {
    for (const [known, view] of this.views) {
      if (!known.isConnected) {
        view.retire();
        this.views.delete(known);
      }
    }
    if (!this.views.has(card)) this.views.set(card, this.open(this, card));
  }

  retire() {
    for (const view of this.views.values()) view.retire();
    this.views.clear();
  }
}
