// @ts-check
/**
 * The confusion matrix next to the curves of a training. The kernel draws it
 * (kmagic/display/confusion/matrix_image.py); this shows it and reads out single cells.
 *
 * @typedef {{epoch: number, svg: string, geometry: [number, number, number, number, number],
 *     classes: string[], counts: number[], worst: string, description: string}} EpochConfusion
 *     geometry: left, top and side of the matrix within the image, then width and height of the
 *     image; classes and counts are empty if a cell stands for several classes
 */

import { cellToText } from "../confusion/cell_text.js";
import { element, setText } from "../kit/elements.js";

export class LiveMatrix {
  constructor() {
    /** @type {EpochConfusion | null} */
    this.confusion = null;
    this.element = element("figure", "km-live-figure");
    this.element.hidden = true;
    const caption = element("figcaption", "km-live-caption");
    this.title = element("b", "");
    caption.append(this.title);
    this.image = /** @type {HTMLImageElement} */ (element("img", "km-live-matrix"));
    this.image.alt = "";
    this.readout = element("div", "km-muted km-live-cell");
    this.readout.setAttribute("aria-live", "off");
    // The arrow keys move from cell to cell, so a screen reader must pass them on.
    this.focusable = element("div", "km-live-focusable");
    this.focusable.tabIndex = 0;
    this.focusable.setAttribute("role", "application");
    this.focusable.setAttribute("aria-roledescription", "confusion matrix");
    this.focusable.append(this.image);
    this.element.append(caption, this.focusable, this.readout);
    /** The pointer's position in the image, in CSS pixels. @type {[number, number] | null} */
    this.pointer = null;
    this.image.addEventListener("pointermove", (event) => {
      const box = this.image.getBoundingClientRect();
      this.pointer = [event.clientX - box.left, event.clientY - box.top];
      this.update();
    });
    const leave = () => {
      this.pointer = null;
      this.readout.setAttribute("aria-live", "off");
      this.update();
    };
    this.image.addEventListener("pointerleave", leave);
    this.focusable.addEventListener("blur", leave);
    this.focusable.addEventListener("keydown", (event) => {
      const direction = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (event.key === "Escape") leave();
      if (!direction || !this.confusion?.classes.length) return;
      event.preventDefault();
      this.readout.setAttribute("aria-live", "polite");
      const last = this.confusion.classes.length - 1;
      const current = this.cellAtPointer();
      const [row, column] = current
        ? current.map((index, axis) => Math.min(Math.max(index + direction[axis], 0), last))
        : [0, 0];
      const [left, top, side, width] = this.confusion.geometry;
      const scale = (this.image.clientWidth || width) / width;
      const centre = (/** @type {number} */ index) => ((index + 0.5) * side) / (last + 1);
      this.pointer = [(left + centre(column)) * scale, (top + centre(row)) * scale];
      this.update();
    });
  }

  /** @param {EpochConfusion | null} confusion */
  draw(confusion) {
    if (!confusion || confusion.epoch === this.confusion?.epoch) return;
    this.confusion = confusion;
    this.element.hidden = false;
    // As an image it cannot run scripts, whatever a class is called.
    this.image.src = `data:image/svg+xml,${encodeURIComponent(confusion.svg)}`;
    [, , , this.image.width, this.image.height] = confusion.geometry;
    setText(this.title, `confusion matrix, epoch ${confusion.epoch.toLocaleString("en")}`);
    this.update();
  }

  /** Show the count of the cell under the pointer, or else the worst mistake. */
  update() {
    const cell = this.cellText();
    setText(this.readout, cell || (this.confusion?.worst ?? ""));
    this.focusable.setAttribute("aria-label", cell || (this.confusion?.description ?? ""));
  }

  /** The row and column under the pointer. @returns {[number, number] | null} */
  cellAtPointer() {
    if (!this.confusion || !this.pointer) return null;
    const { geometry, classes } = this.confusion;
    const [left, top, side, width] = geometry;
    const scale = width / (this.image.clientWidth || width);
    const index = (/** @type {number} */ offset) => Math.floor((offset / side) * classes.length);
    const column = index(this.pointer[0] * scale - left);
    const row = index(this.pointer[1] * scale - top);
    return [row, column].every((k) => k >= 0 && k < classes.length) ? [row, column] : null;
  }

  cellText() {
    const cell = this.cellAtPointer();
    if (!this.confusion || !cell) return "";
    const [row, column] = cell;
    const { classes, counts } = this.confusion;
    const count = counts[row * classes.length + column].toLocaleString("en");
    return `${cellToText(classes, cell)}: ${count}`;
  }
}
