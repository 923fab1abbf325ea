// @ts-check
/**
 * One chart of the live view. kmagic/display/kit/chart.py draws the same chart for the saved card.
 *
 * @typedef {import("./live_view.js").RunState} RunState
 * @typedef {import("./live_view.js").Curves} Curves
 * @typedef {[number, number][]} Points
 * @typedef {[number, number] | null} Zoom  the epochs that are shown, or all
 * @typedef {{log: boolean, smooth: boolean, trained: boolean, zoom: Zoom}} ChartOptions
 */

import { SVG, appendSvg, element, setText } from "../kit/elements.js";
import { formatNumber } from "../kit/formatting.js";
import {
  axisTicks, epochTicks, formatTick, logTicks, placeBeside, previousScaleValues, shownRange, smooth, spreadLabels,
} from "../kit/scales.js";

const HEIGHT = 158;
const PLOT = { left: 44, right: 72, top: 20, bottom: 22, padding: 4 };
const CHARACTER_WIDTH = 6.2;
/** With more points than this, only the last one gets a dot. */
const MAX_DOTS = 40;
/** The means of an epoch's first few batches are too noisy: to be drawn, to set the scale. */
const [NOISY_SHARE, UNSCALED_SHARE] = [0.03, 0.1];

/** @param {number[] | undefined} flat @returns {Points} */
function toPoints(flat) {
  /** @type {Points} */
  const points = [];
  for (let index = 0; flat && index < flat.length; index += 2) {
    points.push([flat[index], flat[index + 1] ?? NaN]);
  }
  return points;
}

/**
 * A curve's path: of several points in the same column of pixels the highest and the lowest, and
 * no line across values that are not finite.
 *
 * @param {Points} points @param {(x: number) => number} toX @param {(y: number) => number} toY
 */
function curvePath(points, toX, toY) {
  let [path, command, column] = ["", "M", NaN];
  /** @type {[number, number][]} */
  let group = [];
  const finish = () => {
    const heights = group.map(([, y]) => y);
    const kept = [heights.indexOf(Math.min(...heights)), heights.indexOf(Math.max(...heights)), group.length - 1];
    if (group.length > 3) group = group.filter((_, index) => kept.includes(index));
    for (const [x, y] of group) {
      path += `${command}${Math.round(x * 10) / 10},${Math.round(y * 10) / 10}`;
      command = "L";
    }
    group = [];
  };
  for (const [epoch, value] of points) {
    const x = toX(epoch);
    if (Math.floor(x) !== column || Number.isNaN(value)) finish();
    column = Math.floor(x);
    if (Number.isFinite(value)) group.push([x, toY(value)]);
    else command = "M";
  }
  finish();
  return path;
}

/** @param {Points} points @returns {Points} */
const finite = (points) => points.filter(([, y]) => Number.isFinite(y));

/** How much of its epoch is done at x; the end of an epoch is 1. @param {number} x */
const epochShare = (x) => x % 1 || 1;

/** A curve without the means of an epoch's first few batches. @param {Points} points @returns {Points} */
const withoutNoisyStart = (points) => points.filter(([x]) => epochShare(x) > NOISY_SHARE);

/** @param {[number, string][]} messages @returns {Map<number, string[]>} */
function groupByEpoch(messages) {
  const groups = new Map();
  for (const [epoch, text] of messages) groups.set(epoch, [...(groups.get(epoch) ?? []), text]);
  return groups;
}

export class LiveChart {
  /**
   * @param {string} name @param {(epoch: number | null) => void} onHover
   * @param {(zoom: Zoom) => void} onZoom
   */
  constructor(name, onHover, onZoom) {
    this.name = name;
    /** @type {Points} */
    this.training = [];
    /** @type {Points} */
    this.validation = [];
    this.element = element("figure", "km-live-figure");
    const caption = element("figcaption", "km-live-caption");
    caption.title = "drag across the chart or press + to zoom, double-click or press 0 to show all epochs";
    this.readout = element("span", "km-live-readout");
    this.activeOptions = element("span", "km-muted");
    caption.append(element("b", "", name), this.activeOptions, this.readout);
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("class", "km-chart");
    // The arrow keys choose an epoch and the value text gives its values: that is a slider, which
    // screen readers pass keys to and whose value they announce.
    this.svg.setAttribute("role", "slider");
    this.svg.setAttribute("aria-roledescription", "line chart");
    this.svg.setAttribute("aria-label", `${name} by epoch`);
    this.svg.setAttribute("tabindex", "0");
    this.element.append(caption, this.svg);
    /** @type {number | null} */
    this.hover = null;
    const show = (/** @type {number | null} */ epoch) => {
      this.hover = epoch; // immediately: the next key may come before the next frame
      onHover(epoch);
    };
    const epochAt = (/** @type {PointerEvent} */ event) =>
      this.epochAt(event.clientX - this.svg.getBoundingClientRect().left);
    this.svg.addEventListener("pointermove", (event) => {
      if (this.dragged) this.dragged[1] = epochAt(event);
      show(this.nearestEpoch(epochAt(event)));
    });
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.svg.setPointerCapture(event.pointerId);
      this.dragged = [epochAt(event), epochAt(event)];
    });
    this.svg.addEventListener("pointerup", () => {
      const dragged = this.dragged?.sort((a, b) => a - b);
      this.dragged = null;
      const shown = dragged ? this.epochs().filter((x) => x >= dragged[0] && x <= dragged[1]) : [];
      if (shown.length > 1) onZoom([shown[0], shown[shown.length - 1]]);
      else show(this.hover); // without the rectangle
    });
    this.svg.addEventListener("pointercancel", () => {
      this.dragged = null;
      show(this.hover);
    });
    this.svg.addEventListener("dblclick", () => onZoom(null));
    this.svg.addEventListener("pointerleave", () => show(null));
    this.svg.addEventListener("blur", () => show(null));
    this.svg.addEventListener("keydown", (event) => {
      const epochs = this.epochs();
      // Without a hovered epoch, start after the last one. A hovered point may have been dropped
      // by downsampling: then its neighbour counts.
      const current = this.hover === null ? epochs.length : epochs.indexOf(this.nearestEpoch(this.hover) ?? 0);
      const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (event.key === "Escape") show(null);
      if (event.key === "0") onZoom(null);
      if (event.key === "+" || event.key === "-") onZoom(this.zoomed(event.key === "+" ? 0.5 : 2));
      if (!steps || !epochs.length) return;
      event.preventDefault();
      show(epochs[Math.min(Math.max(current + steps, 0), epochs.length - 1)]);
    });
  }

  /** The epochs that have a value, in order. */
  epochs() {
    const numbers = new Set([...this.training, ...this.validation].map(([x]) => x));
    return [...Float64Array.from(numbers).sort()];
  }

  /** The shown epochs scaled around the hovered or the last one; null for all. @param {number} factor @returns {Zoom} */
  zoomed(factor) {
    const epochs = this.epochs();
    if (epochs.length < 3) return null;
    const [first, last] = [epochs[0], epochs[epochs.length - 1]];
    const half = Math.max(1, ((Math.min(this.end, last) - this.start) * factor) / 2);
    const centre = Math.min(Math.max(this.hover ?? last, first + half), last - half);
    const [from, to] = [Math.max(first, Math.round(centre - half)), Math.min(last, Math.round(centre + half))];
    return from <= first && to >= last ? null : [from, to];
  }

  /** @param {number} x */
  nearestEpoch(x) {
    let nearest = null;
    for (const epoch of this.epochs()) {
      if (nearest === null || Math.abs(epoch - x) < Math.abs(nearest - x)) nearest = epoch;
    }
    return nearest;
  }

  /** @param {number} pixels */
  epochAt(pixels) {
    const share = (pixels - this.left) / (this.width - PLOT.right - this.left);
    return this.start + share * (this.end - this.start);
  }

  start = 0;
  end = 1;
  width = 0;
  left = PLOT.left;
  isVisible = true;
  /** How many curves of previous runs are within the axes. */
  previousRuns = 0;
  /** The epochs between which the pointer is dragged. @type {number[] | null} */
  dragged = null;
  /** Whether a logarithmic axis would help. */
  allowsLog = false;

  /**
   * @param {RunState} state @param {Curves[]} previousRuns  of the same model
   * @param {ChartOptions} options @param {number | null} hover
   */
  draw(state, previousRuns, options, hover) {
    this.hover = hover;
    const { width } = this;
    const { best } = state.axis;
    const [start, end] = options.zoom ?? [state.axis.start, state.axis.end];
    [this.start, this.end] = [start, Math.max(end, start + 1e-9)];
    const inside = (/** @type {Points} */ points) => points.filter(([x]) => x >= start && x <= end);
    const [right, bottom] = [width - PLOT.right, HEIGHT - PLOT.bottom];
    const curves = [state.curves[this.name], state.curves[`val_${this.name}`]];
    [this.training, this.validation] = curves.map(toPoints);
    const firstEpoch = this.training.length === 1 ? withoutNoisyStart(toPoints(state.first_epoch[this.name])) : [];
    const all = toPoints(state.current_epoch[this.name]);
    const calm = withoutNoisyStart(all);
    const currentEpoch = this.training.length || calm.length ? calm : all;
    const inner = [...firstEpoch, ...currentEpoch].filter(([x]) => epochShare(x) > UNSCALED_SHARE);
    const scaled = [inner, this.training, this.validation].map((points) => finite(inside(points)).map(([, y]) => y));
    const range = shownRange(...scaled);
    const values = range.length ? range : finite(currentEpoch).map(([, y]) => y);
    const validated = this.validation.length || !this.training.length;
    const keys = validated ? [`val_${this.name}`, this.name] : [this.name];
    const previous = previousRuns.map((run) => toPoints(keys.map((key) => run[key]).find(Boolean)));
    const included = [...values, ...previousScaleValues(values, previous, this.end)];
    const powers = logTicks(included);
    this.allowsLog = powers !== null;
    const log = options.log ? powers : null;
    const [low, middle, high] = log ?? axisTicks(included);
    setText(this.activeOptions, [log ? "log" : "", options.smooth ? "smooth" : ""].filter(Boolean).join(", "));
    const tickTexts = [low, middle, high].map((tick) => formatTick(tick, log ? tick : middle - low));
    const longest = Math.max(...tickTexts.map(({ length }) => length));
    const left = (this.left = Math.max(PLOT.left, 8 + Math.ceil(CHARACTER_WIDTH * longest)));
    const toX = (/** @type {number} */ epoch) =>
      left + ((epoch - this.start) / (this.end - this.start)) * (right - left);
    const share = (/** @type {number} */ value) =>
      log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    const toY = (/** @type {number} */ value) =>
      bottom - Math.min(Math.max(log && value <= 0 ? -1 : share(value), -1), 2) * (bottom - PLOT.top);

    const svg = this.svg;
    svg.replaceChildren();
    svg.setAttribute("width", String(width));
    svg.setAttribute("height", String(HEIGHT));
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    for (const [index, tick] of [low, middle, high].entries()) {
      const y = toY(tick);
      appendSvg(svg, "line", { class: "km-grid", x1: left, x2: right, y1: y, y2: y });
      // Ticks without values would mean nothing.
      if (included.length) appendSvg(svg, "text", { x: left - 7, y: y + 3.5, "text-anchor": "end" }, tickTexts[index]);
    }
    const maxLabels = (right - left) / (14 + CHARACTER_WIDTH * String(Math.round(end)).length);
    for (const epoch of epochTicks(start, end, maxLabels)) {
      appendSvg(svg, "text", { x: toX(epoch), y: bottom + 17, "text-anchor": "middle" }, String(epoch));
    }
    for (const [epoch, texts] of groupByEpoch(state.messages)) {
      if (options.zoom && (epoch < start || epoch > end)) continue;
      const x = Math.max(toX(epoch), left);
      const tick = appendSvg(svg, "path", { class: "km-event", d: `M${x.toFixed(1)},${bottom}v-7` });
      appendSvg(tick, "title", {}, texts.join("\n"));
    }
    /** The middle of a text at an epoch that does not leave the chart. */
    const centreOf = (/** @type {number} */ epoch, /** @type {string} */ text) => {
      const half = (text.length * CHARACTER_WIDTH) / 2;
      return Math.min(Math.max(toX(epoch), left + half), width - half);
    };
    const bestLabel = best && best.epoch >= start && best.epoch <= end ? best.labels[this.name] : "";
    if (best && bestLabel) {
      const x = toX(best.epoch);
      appendSvg(svg, "line", { class: "km-dashed", x1: x, x2: x, y1: PLOT.top - 3, y2: bottom });
      appendSvg(svg, "text", { x: centreOf(best.epoch, bestLabel), y: PLOT.top - 7, "text-anchor": "middle" }, bestLabel);
    }

    // A nested <svg> clips what leaves the plot.
    const [x0, y0] = [left - PLOT.padding, PLOT.top - PLOT.padding];
    const [w, h] = [right - left + 2 * PLOT.padding, bottom - PLOT.top + 2 * PLOT.padding];
    const plot = appendSvg(svg, "svg", { class: "km-curves", x: x0, y: y0, width: w, height: h, viewBox: `${x0} ${y0} ${w} ${h}` });
    const label = this.validation.length ? "training" : "";
    /** @type {[string, Points, string][]} */
    const lines = [
      ...previous.map((points) => /** @type {[string, Points, string]} */ (["previous", points, ""])),
      ["batches", [...firstEpoch.slice(0, -1), ...this.training.slice(-1), ...currentEpoch],
        currentEpoch.length ? label : ""],
    ];
    const drawn = (/** @type {Points} */ points) => (options.smooth ? smooth(points) : points);
    if (options.smooth) lines.push(["raw km-train", this.training, ""], ["raw km-val", this.validation, ""]);
    lines.push(["train", drawn(this.training), currentEpoch.length ? "" : label]);
    if (this.validation.length) lines.push(["val", drawn(this.validation), "validation"]);
    /** @type {{kind: string, text: string, x: number, y: number}[]} */
    const labels = [];
    this.previousRuns = previous.filter((points) => inside(points).some(([, y]) => y >= low && y <= high)).length;
    for (const [kind, points, text] of lines) {
      appendSvg(plot, "path", { class: `km-${kind}`, d: curvePath(points, toX, toY) });
      const visible = finite(inside(points));
      let dots = kind === "val" || (kind !== "batches" && visible.length === 1) ? visible : [];
      if (kind.startsWith("raw")) dots = [];
      if (dots.length > MAX_DOTS) dots = dots.slice(-1);
      const d = dots.map(([x, y]) => `M${toX(x).toFixed(1)},${toY(y).toFixed(1)}h0`).join("");
      if (d) appendSvg(plot, "path", { class: `km-${kind}-dot`, d });
      if (visible.length && text) {
        const [x, y] = visible[visible.length - 1];
        labels.push({ kind, text, x: toX(x), y: toY(y) });
      }
    }
    /** @type {Points} */
    const extremes = [];
    for (const point of finite(inside([...this.training, ...this.validation]))) {
      if (!extremes.length || point[1] < extremes[0][1]) extremes[0] = point;
      if (extremes.length < 2 || point[1] > extremes[1][1]) extremes[1] = point;
    }
    let base = bottom;
    for (const [index, point] of extremes.entries()) {
      if (point[1] >= low && point[1] <= high) continue;
      const [sign, y] = index ? ["\u2191", PLOT.top - 7] : ["\u2193", bottom - 4];
      const text = `${sign} ${formatNumber(point[1])}`;
      const length = text.length * CHARACTER_WIDTH;
      let x = centreOf(point[0], text);
      if (index && best && bestLabel) {
        const distance = (length + bestLabel.length * CHARACTER_WIDTH) / 2 + 6;
        x = placeBeside(x, centreOf(best.epoch, bestLabel), distance, width - length / 2);
      } else if (!index && toX(point[0]) - length > left) x = toX(point[0]) - length / 2 - 4;
      const node = appendSvg(svg, "text", { x, y, "text-anchor": "middle" }, text);
      appendSvg(node, "title", {}, `outside the axis: ${formatNumber(point[1])} at epoch ${point[0]}`);
      // Labels keep clear of a text within the plot.
      if (!index && labels.some((label) => x + length / 2 > label.x)) base = y - 14;
    }
    const heights = spreadLabels(labels.map(({ y }) => y), PLOT.top, base);
    labels.forEach(({ kind, text, x }, index) => {
      const labelLeft = Math.min(x + 7, width - text.length * CHARACTER_WIDTH);
      appendSvg(svg, "text", { class: `km-label-${kind}`, x: labelLeft, y: heights[index] + 4 }, text);
    });
    if (hover !== null && hover >= start) {
      const x = toX(hover);
      appendSvg(svg, "line", { class: "km-cursor", x1: x, x2: x, y1: PLOT.top, y2: bottom });
    }
    if (this.dragged) {
      const [from, to] = this.dragged.map(toX).sort((a, b) => a - b);
      appendSvg(svg, "rect", { class: "km-zoom", x: from, y: PLOT.top, width: to - from, height: bottom - PLOT.top });
    }
    this.describe(hover);
  }

  /** Show the values at the cursor, and give them to screen readers. @param {number | null} hover */
  describe(hover) {
    const valueAt = (/** @type {Points} */ points, /** @type {number} */ x) =>
      points.find(([epoch]) => epoch === x)?.[1];
    const describeEpoch = (/** @type {number} */ x) => {
      const values = [["training", valueAt(this.training, x)], ["validation", valueAt(this.validation, x)]]
        .filter(([, y]) => y !== undefined)
        .map(([label, y]) => `${label} ${formatNumber(Number(y))}`);
      return `epoch ${x}: ${values.join(", ")}`;
    };
    setText(this.readout, hover === null ? "" : describeEpoch(hover));
    const [first, last] = [this.training[0], this.training[this.training.length - 1]];
    const epoch = hover ?? last?.[0];
    this.svg.setAttribute("aria-valuemin", String(first?.[0] ?? 0));
    this.svg.setAttribute("aria-valuemax", String(last?.[0] ?? 0));
    this.svg.setAttribute("aria-valuenow", String(epoch ?? 0));
    this.svg.setAttribute("aria-valuetext", epoch === undefined ? "no epoch finished yet" : describeEpoch(epoch));
  }
}
