// @ts-check
/**
 * A matrix of up to a thousand classes on a canvas: zoom, drag, hover, and a cursor for the keys.
 *
 * Only cells that hold something are drawn. Where several fall on one pixel the strongest is seen,
 * so a single mistake among a million cells is still a dot.
 *
 * @typedef {{row: number, column: number}} Place  in the order shown
 * @typedef {{rows: Uint16Array, columns: Uint16Array, tones: Float32Array}} Dots
 */

const CANVAS = { side: 360, edge: 76, least: 3, most: 40, named: 11, orange: [213, 94, 0], blue: [0, 114, 178] };
/** A dot must be seen better than a cell with a figure in it. */
const STRONGER = 0.25;

export class Heat {
  /**
   * @param {number} classes
   * @param {(place: number) => string} name  of the class at a place
   * @param {{hover(place: Place | null): void, choose(place: Place, more: boolean): void}} hear
   */
  constructor(classes, name, hear) {
    this.classes = classes;
    this.name = name;
    this.hear = hear;
    /** @type {Dots} */
    this.dots = { rows: new Uint16Array(0), columns: new Uint16Array(0), tones: new Float32Array(0) };
    /** Pixels a cell, and the place at the upper left corner. */
    this.zoom = 1;
    this.left = 0;
    this.top = 0;
    /** @type {Place | null} */
    this.cursor = null;
    /** @type {Place[]} */
    this.chosen = [];
    this.frame = 0;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "km-heat";
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-roledescription", "heatmap");
    this.listen();
    const size = new ResizeObserver(() => this.fit());
    size.observe(this.canvas);
    // The names are in the theme's colour.
    const theme = new MutationObserver(() => this.schedule());
    theme.observe(document.body, { attributes: true });
    this.forget = () => {
      size.disconnect();
      theme.disconnect();
      cancelAnimationFrame(this.frame);
    };
  }

  /** @param {Dots} dots */
  show(dots) {
    this.dots = dots;
    this.schedule();
  }

  // --- where things are -------------------------------------------------------------------------

  /** Width of the square that the cells have, without the names. */
  get room() {
    return Math.max(40, this.width - this.margin);
  }

  /** Room for names, once cells are large enough to have one. */
  get margin() {
    return this.zoom >= CANVAS.named ? CANVAS.edge : 0;
  }

  get least() {
    return Math.min(this.width / this.classes, CANVAS.most);
  }

  width = CANVAS.side;

  fit() {
    const width = Math.round(this.canvas.clientWidth) || CANVAS.side;
    if (width === this.width && this.canvas.width) return;
    const whole = this.zoom <= this.least * 1.001;
    this.width = width;
    if (whole) this.zoom = this.least;
    this.keepInside();
    this.schedule();
  }

  keepInside() {
    this.zoom = Math.min(Math.max(this.zoom, this.least), CANVAS.most);
    const seen = this.room / this.zoom;
    this.left = Math.min(Math.max(this.left, 0), Math.max(0, this.classes - seen));
    this.top = Math.min(Math.max(this.top, 0), Math.max(0, this.classes - seen));
  }

  /** @param {number} x @param {number} y  in CSS pixels of the canvas @returns {Place | null} */
  at(x, y) {
    const column = Math.floor(this.left + (x - this.margin) / this.zoom);
    const row = Math.floor(this.top + (y - this.margin) / this.zoom);
    const inside = Math.min(row, column) >= 0 && Math.max(row, column) < this.classes;
    return inside && x >= this.margin && y >= this.margin ? { row, column } : null;
  }

  /** @param {number} factor @param {number} [x] @param {number} [y]  which point stays */
  zoomBy(factor, x = this.margin + this.room / 2, y = this.margin + this.room / 2) {
    const column = this.left + (x - this.margin) / this.zoom;
    const row = this.top + (y - this.margin) / this.zoom;
    this.zoom *= factor;
    this.zoom = Math.min(Math.max(this.zoom, this.least), CANVAS.most);
    this.left = column - (x - this.margin) / this.zoom;
    this.top = row - (y - this.margin) / this.zoom;
    this.keepInside();
    this.schedule();
  }

  /** Puts the cursor on a cell and brings it into view. @param {Place} place @param {boolean} [near] */
  go(place, near = false) {
    this.cursor = place;
    if (near && this.zoom < CANVAS.named) this.zoom = CANVAS.named + 3;
    this.keepInside();
    const seen = this.room / this.zoom;
    for (const [side, at] of /** @type {const} */ ([["left", place.column], ["top", place.row]])) {
      if (near || at < this[side] || at + 1 > this[side] + seen) this[side] = at + 0.5 - seen / 2;
    }
    this.keepInside();
    this.schedule();
    this.hear.hover(place);
  }

  // --- hearing ----------------------------------------------------------------------------------

  listen() {
    const { canvas } = this;
    /** @type {{x: number, y: number, left: number, top: number, moved: boolean} | null} */
    let drag = null;
    canvas.addEventListener("wheel", (event) => {
      // Scrolling the page goes on: only with a key held, or a pinch, does the wheel zoom.
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
        this.keepInside();
        this.schedule();
        return;
      }
      this.hear.hover(this.at(event.offsetX, event.offsetY));
    });
    canvas.addEventListener("pointerup", (event) => {
      const place = this.at(event.offsetX, event.offsetY);
      if (drag && !drag.moved && place) {
        this.cursor = place;
        this.schedule();
        this.hear.choose(place, event.ctrlKey || event.metaKey || event.shiftKey);
      }
      drag = null;
    });
    canvas.addEventListener("pointerleave", () => this.hear.hover(this.cursor));
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: [0, -step], ArrowRight: [0, step], ArrowUp: [-step, 0], ArrowDown: [step, 0] };
    const move = moves[/** @type {keyof typeof moves} */ (event.key)];
    const clip = (/** @type {number} */ at) => Math.min(Math.max(at, 0), this.classes - 1);
    if (move) {
      const from = this.cursor ?? { row: Math.floor(this.top), column: Math.floor(this.left) };
      this.go({ row: clip(from.row + move[0]), column: clip(from.column + move[1]) });
    } else if (event.key === "+" || event.key === "=") {
      this.zoomBy(1.5);
    } else if (event.key === "-") {
      this.zoomBy(1 / 1.5);
    } else if (event.key === "0") {
      this.zoomBy(0);
    } else if ((event.key === "Enter" || event.key === " ") && this.cursor) {
      this.hear.choose(this.cursor, event.ctrlKey || event.metaKey || event.shiftKey);
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
    const edge = this.margin * scale;
    if (cell >= CANVAS.least) this.drawCells(context, cell, edge, side);
    else this.drawPixels(context, cell, side);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    if (this.margin) this.drawNames(context);
    this.drawMarks(context);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} cell @param {number} edge @param {number} side */
  drawCells(context, cell, edge, side) {
    const { rows, columns, tones } = this.dots;
    const gap = cell > 8 ? 1 : 0;
    for (let k = 0; k < tones.length; k += 1) {
      const x = edge + (columns[k] - this.left) * cell;
      const y = edge + (rows[k] - this.top) * cell;
      if (x + cell < edge || y + cell < edge || x > side || y > side || !tones[k]) continue;
      const [red, green, blue] = tones[k] < 0 ? CANVAS.blue : CANVAS.orange;
      context.fillStyle = `rgba(${red},${green},${blue},${Math.min(1, Math.abs(tones[k]) + STRONGER / 2).toFixed(3)})`;
      const [x0, y0] = [Math.max(edge, Math.floor(x)), Math.max(edge, Math.floor(y))];
      context.fillRect(x0, y0, Math.ceil(x + cell) - x0 - gap, Math.ceil(y + cell) - y0 - gap);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {number} cell @param {number} side */
  drawPixels(context, cell, side) {
    const { rows, columns, tones } = this.dots;
    const strongest = new Float32Array(side * side);
    const thick = Math.max(1, Math.round(cell));
    for (let k = 0; k < tones.length; k += 1) {
      const x = Math.floor((columns[k] - this.left) * cell);
      const y = Math.floor((rows[k] - this.top) * cell);
      if (x < 0 || y < 0) continue;
      for (let dy = 0; dy < thick && y + dy < side; dy += 1) {
        for (let dx = 0; dx < thick && x + dx < side; dx += 1) {
          const at = (y + dy) * side + x + dx;
          if (Math.abs(tones[k]) > Math.abs(strongest[at])) strongest[at] = tones[k];
        }
      }
    }
    const image = context.createImageData(side, side);
    for (let at = 0; at < strongest.length; at += 1) {
      const tone = strongest[at];
      if (!tone) continue;
      image.data.set(tone < 0 ? CANVAS.blue : CANVAS.orange, 4 * at);
      image.data[4 * at + 3] = 255 * Math.min(1, STRONGER + Math.abs(tone));
    }
    context.putImageData(image, 0, 0);
  }

  /** @param {CanvasRenderingContext2D} context */
  drawNames(context) {
    context.fillStyle = getComputedStyle(this.canvas).color;
    context.font = "10px system-ui, sans-serif";
    context.textBaseline = "middle";
    const last = Math.min(this.classes, Math.ceil(this.left + this.room / this.zoom));
    for (let place = Math.ceil(this.left); place < last; place += 1) {
      const x = this.margin + (place - this.left + 0.5) * this.zoom;
      if (x > this.width - 4) continue;
      context.save();
      context.translate(x, this.margin - 4);
      context.rotate(-Math.PI / 2);
      context.textAlign = "left";
      context.fillText(short(this.name(place), 13), 0, 0);
      context.restore();
    }
    const below = Math.min(this.classes, Math.ceil(this.top + this.room / this.zoom));
    context.textAlign = "right";
    for (let place = Math.ceil(this.top); place < below; place += 1) {
      const y = this.margin + (place - this.top + 0.5) * this.zoom;
      if (y <= this.width - 4) context.fillText(short(this.name(place), 13), this.margin - 5, y);
    }
  }

  /** @param {CanvasRenderingContext2D} context */
  drawMarks(context) {
    const ring = (/** @type {Place} */ place, /** @type {string} */ colour) => {
      const size = Math.max(this.zoom, 5);
      const half = (size - this.zoom) / 2;
      const x = this.margin + (place.column - this.left) * this.zoom - half;
      const y = this.margin + (place.row - this.top) * this.zoom - half;
      if (x < this.margin - size || y < this.margin - size) return;
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.strokeRect(x - 1, y - 1, size + 2, size + 2);
    };
    const style = getComputedStyle(this.canvas);
    for (const place of this.chosen) ring(place, style.getPropertyValue("--km-blue") || "#0072b2");
    if (this.cursor) ring(this.cursor, style.color);
  }
}

/** @param {string} name @param {number} most */
function short(name, most) {
  if (name.length <= most) return name;
  const head = Math.floor((most - 1) / 2);
  return `${name.slice(0, head)}\u2026${name.slice(name.length - (most - 1 - head))}`;
}
