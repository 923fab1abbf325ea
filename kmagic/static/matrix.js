// @ts-check
/**
 * The confusion matrix beside the curves of a training. The kernel draws it
 * (kmagic/display/watched.py); here it is shown, and a cell says what it counts.
 *
 * @typedef {{epoch: number, picture: string, place: [number, number, number, number, number],
 *     classes: string[], counts: number[], words: string, summary: string}} Watched  the place is
 *     the matrix's left, top and side within the picture, and the picture's width and height;
 *     classes and counts are empty where a cell stands for several
 */

import { element, say } from "./elements.js";

export class Matrix {
  constructor() {
    /** @type {Watched | null} */
    this.watched = null;
    this.element = element("figure", "km-live-figure");
    this.element.hidden = true;
    const caption = element("figcaption", "km-live-caption");
    this.title = element("b", "");
    this.readout = element("span", "km-live-readout");
    caption.append(this.title, this.readout);
    this.picture = /** @type {HTMLImageElement} */ (element("img", "km-live-matrix"));
    this.element.append(caption, this.picture);
    this.picture.addEventListener("pointermove", (event) => this.point(event));
    this.picture.addEventListener("pointerleave", () => this.rest());
  }

  /** @param {Watched | null} watched */
  draw(watched) {
    if (!watched || watched.epoch === this.watched?.epoch) return;
    this.watched = watched;
    this.element.hidden = false;
    // An image runs nothing, whatever a class is called.
    this.picture.src = `data:image/svg+xml,${encodeURIComponent(watched.picture)}`;
    [, , , this.picture.width, this.picture.height] = watched.place;
    this.picture.alt = watched.summary;
    say(this.title, `confusion, epoch ${watched.epoch.toLocaleString("en")}`);
    this.rest();
  }

  rest() {
    say(this.readout, this.watched?.words ?? "");
  }

  /** @param {PointerEvent} event */
  point(event) {
    const { place, classes, counts } = /** @type {Watched} */ (this.watched);
    const [left, top, side, width] = place;
    const box = this.picture.getBoundingClientRect();
    const scale = width / (box.width || width);
    const cell = (/** @type {number} */ at) => Math.floor((at / side) * classes.length);
    const row = cell((event.clientY - box.top) * scale - top);
    const column = cell((event.clientX - box.left) * scale - left);
    const inside = [row, column].every((at) => at >= 0 && at < classes.length);
    if (!inside) return this.rest();
    const count = counts[row * classes.length + column].toLocaleString("en");
    const what = row === column ? `${classes[row]} right` : `${classes[row]} taken for ${classes[column]}`;
    say(this.readout, `${what}: ${count}`);
  }
}
