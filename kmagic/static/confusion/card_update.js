// @ts-check
/**
 * The parts of a card that depend on the threshold and on the order of labels.
 *
 * The kernel draws the card at another threshold, and its parts replace those in the page. So every
 * figure and every alternative text is that of a card that was saved with this threshold.
 *
 * @typedef {import("./matrix_client.js").Drawn} Drawn
 * @typedef {import("./interactive_matrix.js").MatrixView} MatrixView
 */

import { element, setText } from "../kit/elements.js";

const CHANGING = ".km-header > .km-muted, table.km-matrix, .km-pairs, .km-worst, .km-metrics, .km-curves, " +
  ".km-all-metrics, .km-class-metrics, .km-averages";
/** Milliseconds after which the card says that it is waiting. */
const UPDATE_DELAY = 600;

export class CardUpdate {
  /** @param {MatrixView} view  before it has changed the card */
  constructor(view) {
    this.view = view;
    this.original = /** @type {HTMLElement} */ (view.root.cloneNode(true));
    this.status = element("span", "km-muted");
    /** Whether the card differs from what the view should show. */
    this.isStale = false;
    this.isRunning = false;
    this.isDisposed = false;
    view.cleanups.push(() => {
      this.isDisposed = true;
      this.replaceParts(this.original);
    });
  }

  /** Show the view's threshold and order. Of calls during an answer of the kernel, the last counts. */
  async update() {
    this.isStale = true;
    if (this.isRunning) return;
    this.isRunning = true;
    const waiting = setTimeout(() => setText(this.status, "Waiting for the kernel ..."), UPDATE_DELAY);
    let message = "";
    while (this.isStale && !this.isDisposed) {
      this.isStale = false;
      await this.draw().catch((error) => { message = String(error.message ?? error); });
    }
    clearTimeout(waiting);
    setText(this.status, message);
    this.isRunning = false;
  }

  async draw() {
    const { client, threshold, orderName, state } = this.view;
    if (threshold === null && orderName === state.order) {
      this.show(this.original, state);
      return;
    }
    /** @type {Drawn & {html: string}} */
    const reply = await client.request("card", { threshold, order: orderName });
    if (this.isDisposed) return;
    // The kernel has escaped all names in it, as in the saved card.
    const page = new DOMParser().parseFromString(reply.html, "text/html");
    this.show(/** @type {HTMLElement} */ (page.querySelector(".kmagic")), reply);
  }

  /** @param {HTMLElement} root  of a card @param {Drawn} drawn */
  show(root, { shown, matrix, worst_cells }) {
    const { view } = this;
    this.replaceParts(root);
    view.order = shown;
    view.matrix = matrix;
    view.worstCells = worst_cells;
    view.table?.bindCells();
    view.markPairs(true);
    view.paint();
    view.markSelection();
  }

  /** @param {HTMLElement} root */
  replaceParts(root) {
    const { view } = this;
    const parts = root.querySelectorAll(CHANGING);
    view.root.querySelectorAll(CHANGING).forEach((part, index) => {
      const folds = () => /** @type {NodeListOf<HTMLDetailsElement>} */ (part.querySelectorAll(".km-fold"));
      const areOpen = [...folds()].map(({ open }) => open);
      part.replaceChildren(...parts[index].cloneNode(true).childNodes);
      folds().forEach((fold, number) => { fold.open = areOpen[number]; });
    });
    view.root.setAttribute("aria-label", root.getAttribute("aria-label") ?? "");
  }
}
