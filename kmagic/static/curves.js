// @ts-check
/**
 * One chart of the live view. kmagic/display/chart.py draws the same for the picture that stays.
 *
 * @typedef {import("./dashboard.js").State} State
 * @typedef {import("./dashboard.js").Curves} Curves
 * @typedef {[number, number][]} Points
 * @typedef {{log: boolean, smooth: boolean}} Wishes
 */

import { number } from "./figures.js";
import { LABEL_HEIGHT, logTicks, reach, smoothed, spread, tickText, ticks, wholeSteps } from "./scales.js";
import { SVG, draw, element, say } from "./elements.js";

const HEIGHT = 158;
const PLOT = { left: 44, right: 72, top: 20, bottom: 22, pad: 4 };
const CHARACTER = 6.2;
const DOTS = 40;
/** Of an epoch's course, the part whose means are of too few batches: to draw, to scale by. */
const [NOISY, YOUNG] = [0.03, 0.1];

/** @param {number[] | undefined} flat @returns {Points} */
function pairs(flat) {
  /** @type {Points} */
  const found = [];
  for (let index = 0; flat && index < flat.length; index += 2) {
    found.push([flat[index], flat[index + 1] ?? NaN]);
  }
  return found;
}

/**
 * @param {Points} points
 * @returns {Points}
 */
const finite = (points) => points.filter(([, y]) => Number.isFinite(y));

/** How much of its epoch is done at x; the end of an epoch is 1. @param {number} x */
const within = (x) => x % 1 || 1;

/**
 * What is left of an epoch's course without the means of its first few batches.
 * @param {Points} course
 * @returns {Points}
 */
const steady = (course) => course.filter(([x]) => within(x) > NOISY);

/** @param {[number, string][]} messages @returns {Map<number, string[]>} */
function byEpoch(messages) {
  const found = new Map();
  for (const [epoch, text] of messages) found.set(epoch, [...(found.get(epoch) ?? []), text]);
  return found;
}

export class Chart {
  /** @param {string} name @param {(epoch: number | null) => void} onHover */
  constructor(name, onHover) {
    this.name = name;
    /** @type {Points} */
    this.trained = [];
    /** @type {Points} */
    this.checked = [];
    this.width = 0;
    this.element = element("figure", "km-live-figure");
    const caption = element("figcaption", "km-live-caption");
    this.readout = element("span", "km-live-readout");
    this.scaled = element("span", "km-mute");
    caption.append(element("b", "", name), this.scaled, this.readout);
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("class", "km-chart");
    this.svg.setAttribute("role", "img");
    this.svg.setAttribute("tabindex", "0");
    this.element.append(caption, this.svg);
    /** @type {number | null} */
    this.hover = null;
    const show = (/** @type {number | null} */ epoch) => {
      this.hover = epoch; // at once: the next key may come before the next frame
      onHover(epoch);
    };
    this.svg.addEventListener("pointermove", (event) => {
      const box = this.svg.getBoundingClientRect();
      show(this.nearest(this.epochAt(event.clientX - box.left)));
    });
    this.svg.addEventListener("pointerleave", () => show(null));
    this.svg.addEventListener("blur", () => show(null));
    this.svg.addEventListener("keydown", (event) => {
      const epochs = this.epochs();
      // Behind the last one, where nothing is shown yet; points that were thinned out have a neighbour.
      const at = this.hover === null ? epochs.length : epochs.indexOf(this.nearest(this.hover) ?? 0);
      const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (event.key === "Escape") show(null);
      if (!steps || !epochs.length) return;
      event.preventDefault();
      show(epochs[Math.min(Math.max(at + steps, 0), epochs.length - 1)]);
    });
  }

  epochs() {
    const whole = (/** @type {Points} */ points) => points.map(([x]) => x);
    return [...new Set([...whole(this.trained), ...whole(this.checked)])].sort((a, b) => a - b);
  }

  /** @param {number} x */
  nearest(x) {
    let best = null;
    for (const epoch of this.epochs()) {
      if (best === null || Math.abs(epoch - x) < Math.abs(best - x)) best = epoch;
    }
    return best;
  }

  /** @param {number} pixels */
  epochAt(pixels) {
    const share = (pixels - PLOT.left) / (this.width - PLOT.right - PLOT.left);
    return this.start + share * (this.end - this.start);
  }

  start = 0;
  end = 1;
  /** Whether a logarithmic axis would be of use. */
  spans = false;

  /**
   * @param {State} state @param {Curves[]} earlier  earlier runs of the same model
   * @param {Wishes} wishes @param {number} width @param {number | null} hover
   */
  draw(state, earlier, wishes, width, hover) {
    this.width = width;
    this.hover = hover;
    const { start, end, mark } = state.axis;
    [this.start, this.end] = [start, Math.max(end, start + 1e-9)];
    const [right, bottom] = [width - PLOT.right, HEIGHT - PLOT.bottom];
    this.trained = pairs(state.curves[this.name]);
    this.checked = pairs(state.curves[`val_${this.name}`]);
    const opening = this.trained.length === 1 ? steady(pairs(state.opening[this.name])) : [];
    const whole = pairs(state.tail[this.name]);
    const calm = steady(whole);
    const tail = this.trained.length || calm.length ? calm : whole;
    const scale = finite([
      ...this.trained, ...this.checked, ...[...opening, ...tail].filter(([x]) => within(x) > YOUNG),
    ]);
    const values = (scale.length ? scale : finite(tail)).map(([, y]) => y);
    const keys = this.checked.length || !this.trained.length ? [`val_${this.name}`, this.name] : [this.name];
    const ghosts = earlier.map((run) => pairs(keys.map((key) => run[key]).find(Boolean)));
    const held = [...values, ...reach(values, ghosts, this.end)];
    const powers = logTicks(held);
    this.spans = powers !== null;
    const log = wishes.log ? powers : null;
    const [low, middle, high] = log ?? ticks(held);
    say(this.scaled, [log ? "log" : "", wishes.smooth ? "smooth" : ""].filter(Boolean).join(", "));
    const toX = (/** @type {number} */ epoch) =>
      PLOT.left + ((epoch - this.start) / (this.end - this.start)) * (right - PLOT.left);
    const share = (/** @type {number} */ value) =>
      log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    const toY = (/** @type {number} */ value) =>
      bottom - Math.min(Math.max(log && value <= 0 ? -1 : share(value), -1), 2) * (bottom - PLOT.top);

    const svg = this.svg;
    svg.replaceChildren();
    svg.setAttribute("width", String(width));
    svg.setAttribute("height", String(HEIGHT));
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    for (const tick of [low, middle, high]) {
      const y = toY(tick);
      draw(svg, "line", { class: "km-grid", x1: PLOT.left, x2: right, y1: y, y2: y });
      draw(svg, "text", { x: PLOT.left - 7, y: y + 3.5, "text-anchor": "end" }, tickText(tick, log ? tick : middle - low));
    }
    const room = (right - PLOT.left) / (14 + CHARACTER * String(Math.round(end)).length);
    for (const epoch of wholeSteps(start, end, room)) {
      draw(svg, "text", { x: toX(epoch), y: bottom + 17, "text-anchor": "middle" }, String(epoch));
    }
    for (const [epoch, texts] of byEpoch(state.messages)) {
      const x = Math.max(toX(epoch), PLOT.left);
      const tick = draw(svg, "path", { class: "km-note", d: `M${x.toFixed(1)},${bottom}v-7` });
      draw(tick, "title", {}, texts.join("\n"));
    }
    const words = mark?.words[this.name];
    if (mark && words) {
      const x = toX(mark.epoch);
      const half = (words.length * CHARACTER) / 2;
      draw(svg, "line", { class: "km-hair", x1: x, x2: x, y1: PLOT.top - 3, y2: bottom });
      const at = Math.min(Math.max(x, PLOT.left + half), width - half);
      draw(svg, "text", { x: at, y: PLOT.top - 7, "text-anchor": "middle" }, words);
    }

    // A picture inside the picture cuts off what leaves the plot.
    const [x0, y0] = [PLOT.left - PLOT.pad, PLOT.top - PLOT.pad];
    const [w, h] = [right - PLOT.left + 2 * PLOT.pad, bottom - PLOT.top + 2 * PLOT.pad];
    const plot = draw(svg, "svg", { x: x0, y: y0, width: w, height: h, viewBox: `${x0} ${y0} ${w} ${h}` });
    const label = this.checked.length ? "training" : "";
    /** @type {[string, Points, string][]} */
    const lines = [
      ...ghosts.map((points) => /** @type {[string, Points, string]} */ (["ghost", points, ""])),
      ["course", [...opening.slice(0, -1), ...this.trained.slice(-1), ...tail], tail.length ? label : ""],
    ];
    const calmer = (/** @type {Points} */ points) => (wishes.smooth ? smoothed(points) : points);
    if (wishes.smooth) lines.push(["raw km-train", this.trained, ""], ["raw km-val", this.checked, ""]);
    lines.push(["train", calmer(this.trained), tail.length ? "" : label]);
    if (this.checked.length) lines.push(["val", calmer(this.checked), "validation"]);
    /** @type {{kind: string, label: string, x: number, y: number}[]} */
    const ends = [];
    for (const [kind, points, words] of lines) {
      let path = "";
      let pen = "M";
      for (const [x, y] of points) {
        if (Number.isFinite(y)) path += `${pen}${toX(x).toFixed(1)},${toY(y).toFixed(1)}`;
        pen = Number.isFinite(y) ? "L" : "M";
      }
      draw(plot, "path", { class: `km-${kind}`, d: path });
      const real = finite(points);
      let dots = kind === "val" || (kind !== "course" && real.length === 1) ? real : [];
      if (kind.startsWith("raw")) dots = [];
      if (dots.length > DOTS) dots = dots.slice(-1);
      const d = dots.map(([x, y]) => `M${toX(x).toFixed(1)},${toY(y).toFixed(1)}h0`).join("");
      if (d) draw(plot, "path", { class: `km-${kind}-dot`, d });
      if (real.length && words) {
        const [x, y] = real[real.length - 1];
        ends.push({ kind, label: words, x: toX(x), y: toY(y) });
      }
    }
    const heights = spread(ends.map(({ y }) => y), PLOT.top, bottom);
    ends.forEach(({ kind, label, x }, index) => {
      const left = Math.min(x + 7, width - label.length * CHARACTER);
      draw(svg, "text", { class: `km-l${kind}`, x: left, y: heights[index] + 4 }, label);
    });
    if (hover !== null && hover >= start) {
      const x = toX(hover);
      draw(svg, "line", { class: "km-cursor", x1: x, x2: x, y1: PLOT.top, y2: bottom });
    }
    this.tell(hover);
  }

  /** Says the values at the cursor, and what the picture shows. @param {number | null} hover */
  tell(hover) {
    const at = (/** @type {Points} */ points, /** @type {number} */ x) =>
      points.find(([epoch]) => epoch === x)?.[1];
    const values = (/** @type {number} */ x) => {
      const both = [["training", at(this.trained, x)], ["validation", at(this.checked, x)]];
      return both.filter(([, y]) => y !== undefined).map(([label, y]) => `${label} ${number(Number(y))}`);
    };
    say(this.readout, hover === null ? "" : `epoch ${hover}: ${values(hover).join(", ")}`);
    const last = this.trained[this.trained.length - 1]?.[0];
    const words = last === undefined ? "no epoch finished yet" : `epoch ${last}, ${values(last).join(", ")}`;
    this.svg.setAttribute("aria-label", hover === null ? `${this.name}: ${words}` : `${this.name}, ${this.readout.textContent}`);
  }
}
