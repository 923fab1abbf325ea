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
    caption.append(this.title);
    this.picture = /** @type {HTMLImageElement} */ (element("img", "km-live-matrix"));
    this.readout = element("div", "km-mute km-live-said");
    this.element.append(caption, this.picture, this.readout);
    /** Where the pointer is, from the picture's left and top. @type {[number, number] | null} */
    this.pointer = null;
    this.picture.addEventListener("pointermove", (event) => {
      const box = this.picture.getBoundingClientRect();
      this.pointer = [event.clientX - box.left, event.clientY - box.top];
      this.tell();
    });
    const leave = () => {
      this.pointer = null;
      this.tell();
    };
    this.picture.addEventListener("pointerleave", leave);
    this.picture.addEventListener("blur", leave);
    this.picture.tabIndex = 0;
    this.picture.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (event.key === "Escape") leave();
      if (!way || !this.watched?.classes.length) return;
      event.preventDefault();
      const last = this.watched.classes.length - 1;
      const here = this.place();
      const [row, column] = here ? here.map((at, axis) => Math.min(Math.max(at + way[axis], 0), last)) : [0, 0];
      const [left, top, side, width] = this.watched.place;
      const scale = (this.picture.clientWidth || width) / width;
      const middle = (/** @type {number} */ at) => ((at + 0.5) * side) / (last + 1);
      this.pointer = [(left + middle(column)) * scale, (top + middle(row)) * scale];
      this.tell();
    });
  }

  /** @param {Watched | null} watched */
  draw(watched) {
    if (!watched || watched.epoch === this.watched?.epoch) return;
    this.watched = watched;
    this.element.hidden = false;
    // An image runs nothing, whatever a class is called.
    this.picture.src = `data:image/svg+xml,${encodeURIComponent(watched.picture)}`;
    [, , , this.picture.width, this.picture.height] = watched.place;
    say(this.title, `confusion, epoch ${watched.epoch.toLocaleString("en")}`);
    this.tell();
  }

  /** Says what the cell under the pointer counts, or else the worst mistake. */
  tell() {
    const cell = this.cell();
    say(this.readout, cell || (this.watched?.words ?? ""));
    this.picture.alt = cell || (this.watched?.summary ?? "");
  }

  /** The row and column under the pointer. @returns {[number, number] | null} */
  place() {
    if (!this.watched || !this.pointer) return null;
    const { place, classes } = this.watched;
    const [left, top, side, width] = place;
    const scale = width / (this.picture.clientWidth || width);
    const index = (/** @type {number} */ at) => Math.floor((at / side) * classes.length);
    const column = index(this.pointer[0] * scale - left);
    const row = index(this.pointer[1] * scale - top);
    return [row, column].every((at) => at >= 0 && at < classes.length) ? [row, column] : null;
  }

  cell() {
    const here = this.place();
    if (!this.watched || !here) return "";
    const [row, column] = here;
    const { classes, counts } = this.watched;
    const count = counts[row * classes.length + column].toLocaleString("en");
    const what = row === column ? `${classes[row]} right` : `${classes[row]} taken for ${classes[column]}`;
    return `${what}: ${count}`;
  }
}
