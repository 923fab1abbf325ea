// @ts-check
/**
 * A matrix of up to a thousand classes on a canvas: zoom, drag, hover, and a cursor for the keys.
 *
 * Only cells that are not zero are drawn. If several fall on one pixel the strongest is drawn, so a
 * single mistake among a million cells is still a dot. Of a difference, better cells are horizontal
 * bars and worse ones vertical.
 *
 * @typedef {{row: number, column: number}} Position  indices in the order shown
 * @typedef {{rows: Uint16Array, columns: Uint16Array, opacities: Float32Array, isDifference: boolean}} ColouredCells
 */

import { FAINT, FULL } from "./colour_scale.js";

/** Chinese, Japanese and Korean characters, which stand upright in a vertical name. */
const WIDE_CHARACTERS = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]/;
const UPRIGHT_STEP = 11; // pixels
/** Pixels of the canvas's side and of the margin for names. */
const [SIDE, NAME_MARGIN] = [360, 76];
/** Pixels of a cell: from which it is drawn as a square, from which it is named, and at most. */
const [SQUARE_SIZE, NAMED_SIZE, MAX_SIZE] = [3, 11, 40];
const [ORANGE, BLUE] = [[213, 94, 0], [0, 114, 178]];
/** Opacity of the faintest cell, which has no number in it to be read; mirrors matrix_image.py. */
const MIN_VISIBLE = 0.82;
/** CSS pixels of a dot if there are few, of the bars of a difference; share that large dots cover. */
const [MAX_DOT, MIN_BAR, SPARSE] = [6, 3, 0.2];

/** @param {number} opacity  of a cell with a number, negative if it is blue */
function visibleOpacity(opacity) {
  const share = (Math.abs(opacity) - FAINT) / (FULL - FAINT);
  return MIN_VISIBLE + (1 - MIN_VISIBLE) * Math.min(Math.max(share, 0), 1);
}

export class Heatmap {
  /**
   * @param {number} classes
   * @param {(index: number) => string} nameAt  short name of a class by its index in the order shown
   * @param {{onHover(position: Position | null): void, onSelect(position: Position, add: boolean): void}} listener
   */
  constructor(classes, nameAt, listener) {
    this.classes = classes;
    this.nameAt = nameAt;
    this.listener = listener;
    /** @type {ColouredCells} */
    this.cells = { rows: new Uint16Array(0), columns: new Uint16Array(0), opacities: new Float32Array(0), isDifference: false };
    this.dots = 0;
    this.order = new Uint32Array(0);
    /** Pixels per cell, and the column and row at the upper left corner. */
    this.zoom = 1;
    this.left = 0;
    this.top = 0;
    /** @type {Position | null} */
    this.cursor = null;
    /** @type {Position[]} */
    this.selection = [];
    this.frame = 0;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "km-heatmap";
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-roledescription", "heatmap");
    this.listen();
    const size = new ResizeObserver(() => this.fit());
    size.observe(this.canvas);
    // The names use the theme's colour.
    const theme = new MutationObserver(() => this.schedule());
    theme.observe(document.body, { attributes: true });
    this.dispose = () => {
      size.disconnect();
      theme.disconnect();
      cancelAnimationFrame(this.frame);
    };
  }

  /** @param {ColouredCells} cells */
  show(cells) {
    this.cells = cells;
    const { opacities, isDifference } = cells;
    /** Number of dots, which cover what is drawn before them: plain cells and weaker dots. */
    this.dots = opacities.filter((opacity) => (isDifference ? opacity : opacity > 0)).length;
    const rank = (/** @type {number} */ k) => Math.abs(opacities[k]) + Number(!isDifference && opacities[k] > 0);
    this.order = Uint32Array.from(opacities.keys()).filter((k) => opacities[k]).sort((a, b) => rank(a) - rank(b));
    this.schedule();
  }

  // --- geometry ---------------------------------------------------------------------------------

  /** Width of the square for cells, without the names. */
  get plotWidth() {
    return Math.max(40, this.width - this.margin);
  }

  /** Width of the names, which appear once cells are large enough. */
  get margin() {
    return this.zoom >= NAMED_SIZE ? NAME_MARGIN : 0;
  }

  get minZoom() {
    return Math.min(this.width / this.classes, MAX_SIZE);
  }

  width = SIDE;

  fit() {
    const width = Math.round(this.canvas.clientWidth) || SIDE;
    if (width === this.width && this.canvas.width) return;
    const showsAll = this.zoom <= this.minZoom * 1.001;
    this.width = width;
    if (showsAll) this.zoom = this.minZoom;
    this.clampView();
    this.schedule();
  }

  clampView() {
    this.zoom = Math.min(Math.max(this.zoom, this.minZoom), MAX_SIZE);
    const visible = this.plotWidth / this.zoom;
    this.left = Math.min(Math.max(this.left, 0), Math.max(0, this.classes - visible));
    this.top = Math.min(Math.max(this.top, 0), Math.max(0, this.classes - visible));
  }

  /** @param {number} x @param {number} y  in CSS pixels of the canvas @returns {Position | null} */
  positionAt(x, y) {
    const column = Math.floor(this.left + (x - this.margin) / this.zoom);
    const row = Math.floor(this.top + (y - this.margin) / this.zoom);
    const inside = Math.min(row, column) >= 0 && Math.max(row, column) < this.classes;
    return inside && x >= this.margin && y >= this.margin ? { row, column } : null;
  }

  /** @param {number} factor @param {number} [x] @param {number} [y]  the point that stays in place */
  zoomBy(factor, x = this.margin + this.plotWidth / 2, y = this.margin + this.plotWidth / 2) {
    const column = this.left + (x - this.margin) / this.zoom;
    const row = this.top + (y - this.margin) / this.zoom;
    this.zoom *= factor;
    this.zoom = Math.min(Math.max(this.zoom, this.minZoom), MAX_SIZE);
    this.left = column - (x - this.margin) / this.zoom;
    this.top = row - (y - this.margin) / this.zoom;
    this.clampView();
    this.schedule();
  }

  /** Put the cursor on a cell and bring it into view. @param {Position} position @param {boolean} [zoomIn] */
  moveCursor(position, zoomIn = false) {
    this.cursor = position;
    if (zoomIn && this.zoom < NAMED_SIZE) this.zoom = NAMED_SIZE + 3;
    this.clampView();
    const visible = this.plotWidth / this.zoom;
    for (const [side, index] of /** @type {const} */ ([["left", position.column], ["top", position.row]])) {
      if (zoomIn || index < this[side] || index + 1 > this[side] + visible) this[side] = index + 0.5 - visible / 2;
    }
    this.clampView();
    this.schedule();
    this.listener.onHover(position);
  }

  // --- events -----------------------------------------------------------------------------------

  listen() {
    const { canvas } = this;
    /** @type {{x: number, y: number, left: number, top: number, moved: boolean} | null} */
    let drag = null;
    canvas.addEventListener("wheel", (event) => {
      // The wheel scrolls the page; it zooms only with a key held, or by a pinch.
      if (!(event.ctrlKey || event.metaKey || event.shiftKey)) return;
      event.preventDefault();
      this.zoomBy(Math.exp(-(event.deltaY || event.deltaX) / 240), event.offsetX, event.offsetY);
    }, { passive: false });
    canvas.addEventListener("dblclick", (event) => this.zoomBy(3, event.offsetX, event.offsetY));
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      drag = { x: event.clientX, y: event.clientY, left: this.left, top: this.top, moved: false };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (drag && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > 4) drag.moved = true;
      if (drag?.moved) {
        this.left = drag.left - (event.clientX - drag.x) / this.zoom;
        this.top = drag.top - (event.clientY - drag.y) / this.zoom;
        this.clampView();
        this.schedule();
        return;
      }
      this.listener.onHover(this.positionAt(event.offsetX, event.offsetY));
    });
    canvas.addEventListener("pointerup", (event) => {
      const position = this.positionAt(event.offsetX, event.offsetY);
      if (drag && !drag.moved && position) {
        this.cursor = position;
        this.schedule();
        this.listener.onSelect(position, event.ctrlKey || event.metaKey || event.shiftKey);
      }
      drag = null;
    });
    canvas.addEventListener("pointerleave", () => this.listener.onHover(this.cursor));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const step = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: [0, -step], ArrowRight: [0, step], ArrowUp: [-step, 0], ArrowDown: [step, 0] };
    const move = moves[/** @type {keyof typeof moves} */ (event.key)];
    const clamp = (/** @type {number} */ index) => Math.min(Math.max(index, 0), this.classes - 1);
    if (move) {
      const from = this.cursor ?? { row: Math.floor(this.top), column: Math.floor(this.left) };
      this.moveCursor({ row: clamp(from.row + move[0]), column: clamp(from.column + move[1]) });
    } else if (event.key === "+" || event.key === "=") {
      this.zoomBy(1.5);
    } else if (event.key === "-") {
      this.zoomBy(1 / 1.5);
    } else if (event.key === "0") {
      this.zoomBy(0);
    } else if ((event.key === "Enter" || event.key === " ") && this.cursor) {
      this.listener.onSelect(this.cursor, event.ctrlKey || event.metaKey || event.shiftKey);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  // --- drawing ----------------------------------------------------------------------------------

  schedule() {
    if (!this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.draw();
      });
    }
  }

  draw() {
    const scale = Math.max(1, Math.min(3, window.devicePixelRatio || 1));
    const side = Math.round(this.width * scale);
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, side, side);
    const cell = this.zoom * scale;
    const margin = this.margin * scale;
    if (cell >= SQUARE_SIZE) this.drawSquares(context, cell, margin, side);
    else this.drawPixels(context, cell, side, scale);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    if (this.margin) this.drawNames(context);
    this.drawOutlines(context);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} cell @param {number} margin @param {number} side */
  drawSquares(context, cell, margin, side) {
    const { rows, columns, opacities, isDifference } = this.cells;
    const gap = cell > 8 ? 1 : 0;
    const inset = isDifference ? Math.floor(0.3 * cell) : 0;
    for (let k = 0; k < opacities.length; k += 1) {
      const x = margin + (columns[k] - this.left) * cell;
      const y = margin + (rows[k] - this.top) * cell;
      if (x + cell < margin || y + cell < margin || x > side || y > side || !opacities[k]) continue;
      const [red, green, blue] = opacities[k] < 0 ? BLUE : ORANGE;
      context.fillStyle = `rgba(${red},${green},${blue},${visibleOpacity(opacities[k]).toFixed(3)})`;
      const [dx, dy] = opacities[k] < 0 ? [0, inset] : [inset, 0];
      const [x0, y0] = [Math.max(margin, Math.floor(x + dx)), Math.max(margin, Math.floor(y + dy))];
      const [x1, y1] = [Math.ceil(x + cell) - gap - dx, Math.ceil(y + cell) - gap - dy];
      context.fillRect(x0, y0, x1 - x0, y1 - y0);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {number} cell @param {number} side @param {number} scale */
  drawPixels(context, cell, side, scale) {
    const { rows, columns, opacities, isDifference } = this.cells;
    const plain = Math.ceil(cell);
    const room = (SPARSE * (isDifference ? 2 : 1)) / Math.max(1, this.dots);
    const wanted = Math.min(MAX_DOT * scale, side * Math.sqrt(room));
    const dot = Math.max(plain, Math.floor(Math.max(wanted, isDifference ? MIN_BAR * scale : 1)));
    const inset = isDifference ? Math.floor(0.4 * dot) : 0;
    const drawn = new Float32Array(side * side);
    for (const k of this.order) {
      const size = isDifference || opacities[k] > 0 ? dot : plain;
      const shift = Math.floor((size - plain) / 2);
      const [dx, dy] = opacities[k] < 0 ? [0, inset] : [inset, 0];
      const x = Math.floor((columns[k] - this.left) * cell) - shift;
      const y = Math.floor((rows[k] - this.top) * cell) - shift;
      const [x0, x1] = [Math.max(0, x + dx), Math.min(side, x + size - dx)];
      for (let line = Math.max(0, y + dy); x0 < x1 && line < Math.min(side, y + size - dy); line += 1) {
        drawn.fill(opacities[k], line * side + x0, line * side + x1);
      }
    }
    const image = context.createImageData(side, side);
    for (let pixel = 0; pixel < drawn.length; pixel += 1) {
      const opacity = drawn[pixel];
      if (!opacity) continue;
      image.data.set(opacity < 0 ? BLUE : ORANGE, 4 * pixel);
      image.data[4 * pixel + 3] = 255 * visibleOpacity(opacity);
    }
    context.putImageData(image, 0, 0);
  }

  /** @param {CanvasRenderingContext2D} context */
  drawNames(context) {
    context.fillStyle = getComputedStyle(this.canvas).color;
    context.font = "10px system-ui, sans-serif";
    context.textBaseline = "middle";
    const endColumn = Math.min(this.classes, Math.ceil(this.left + this.plotWidth / this.zoom));
    for (let column = Math.ceil(this.left); column < endColumn; column += 1) {
      const x = this.margin + (column - this.left + 0.5) * this.zoom;
      if (x > this.width - 4) continue;
      const name = this.nameAt(column);
      if (WIDE_CHARACTERS.test(name)) {
        context.textAlign = "center";
        [...name].reverse().forEach((character, index) => {
          context.fillText(character, x, this.margin - 4 - (index + 0.5) * UPRIGHT_STEP);
        });
        continue;
      }
      context.save();
      context.translate(x, this.margin - 4);
      context.rotate(-Math.PI / 2);
      context.textAlign = "left";
      context.fillText(name, 0, 0);
      context.restore();
    }
    const endRow = Math.min(this.classes, Math.ceil(this.top + this.plotWidth / this.zoom));
    context.textAlign = "right";
    for (let row = Math.ceil(this.top); row < endRow; row += 1) {
      const y = this.margin + (row - this.top + 0.5) * this.zoom;
      if (y > this.width - 4) continue;
      context.fillText(this.nameAt(row), this.margin - 5, y);
    }
  }

  /** @param {CanvasRenderingContext2D} context */
  drawOutlines(context) {
    const outline = (/** @type {Position} */ position, /** @type {string} */ colour) => {
      const size = Math.max(this.zoom, 5);
      const half = (size - this.zoom) / 2;
      const x = this.margin + (position.column - this.left) * this.zoom - half;
      const y = this.margin + (position.row - this.top) * this.zoom - half;
      if (x < this.margin - size || y < this.margin - size) return;
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.strokeRect(x - 1, y - 1, size + 2, size + 2);
    };
    const style = getComputedStyle(this.canvas);
    for (const position of this.selection) outline(position, style.getPropertyValue("--km-blue") || "#0072b2");
    if (this.cursor) outline(this.cursor, style.color);
  }
}
