// @ts-check
/**
 * Two classes and a threshold between them, to be moved.
 *
 * @typedef {import("./companion.js").Sweep} Sweep
 * @typedef {import("./confusion.js").View} View
 * @typedef {import("./grid.js").Grid} Grid
 */

import { button } from "./controls.js";
import { element } from "./elements.js";
import { percent, share, tally } from "./figures.js";

/** Milliseconds that the slider rests before the samples follow. */
const PAUSE = 120;
const COLOURS = { orange: "213, 94, 0", blue: "0, 114, 178" };

export class Threshold {
  /** @param {View} view @param {Sweep} sweep */
  constructor(view, sweep) {
    this.view = view;
    this.sweep = sweep;
    this.start = sweep.thresholds.indexOf(sweep.now);
    this.facts = view.root.querySelector(".km-head .km-mute");
    this.before = this.facts?.textContent ?? "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.later = undefined;
    this.slider = /** @type {HTMLInputElement} */ (element("input"));
    this.value = element("output", "km-num");
    this.said = element("span", "km-mute km-num");
    this.back = button("back", () => {
      this.slider.value = String(this.start);
      this.move();
    });
    const row = this.build();
    (view.card.querySelector(".km-curves") ?? view.card).prepend(row);
    const kept = /** @type {HTMLTableElement | undefined} */ (view.grid?.table.cloneNode(true));
    view.undo.push(() => {
      clearTimeout(this.later);
      row.remove();
      view.card.classList.remove("km-moved");
      if (this.facts) this.facts.textContent = this.before;
      this.mark(sweep.counts[this.start]);
      if (!view.grid || !kept) return;
      view.grid.table.replaceWith(kept);
      view.grid.table = kept;
    });
    this.move();
  }

  build() {
    const { slider, sweep } = this;
    slider.type = "range";
    slider.min = "0";
    slider.max = String(sweep.thresholds.length - 1);
    slider.value = String(this.start);
    slider.addEventListener("input", () => this.move());
    // The arrows move the slider, and not the notebook's selection.
    slider.addEventListener("keydown", (event) => event.stopPropagation());
    const label = element("label");
    const name = element("bdi", "", this.view.state.names[1]);
    label.append("threshold: ", name, " is meant above ", slider);
    const row = element("div", "km-slide");
    row.append(label, this.value, this.back, this.said);
    return row;
  }

  /** Shows the matrix where the slider is. */
  move() {
    const { sweep, view } = this;
    const step = Number(this.slider.value);
    const moved = step !== this.start;
    const threshold = sweep.thresholds[step];
    const [rest, alarms, missed, hits] = sweep.counts[step];
    view.threshold = moved ? threshold : null;
    view.card.classList.toggle("km-moved", moved);
    view.matrix = [[rest, alarms], [missed, hits]];
    const right = share(rest + hits, rest + alarms + missed + hits);
    const text = threshold.toFixed(3).replace(/0+$/, "").replace(/\.$/, "");
    this.value.textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
    this.back.disabled = !moved;
    this.said.textContent = `accuracy ${right.toFixed(4)}, precision ${share(hits, hits + alarms).toFixed(4)}, ` +
      `recall ${share(hits, hits + missed).toFixed(4)}`;
    if (this.facts) {
      this.facts.textContent = !moved ? this.before
        : `${tally(sweep.samples)} ${sweep.unit} \u00b7 ${tally(alarms + missed)} wrong \u00b7 ` +
          `accuracy ${right.toFixed(4)} \u00b7 ${view.state.names[1]} above ${text}`;
    }
    if (view.grid) refill(view.grid, view.matrix);
    view.paint();
    view.mark();
    this.mark(sweep.counts[step]);
    clearTimeout(this.later);
    this.later = setTimeout(() => view.panel.again(), PAUSE);
  }

  /** Moves the points on the curves. @param {number[]} counts */
  mark([rest, alarms, missed, hits]) {
    const [false_, true_] = [share(alarms, rest + alarms), share(hits, missed + hits)];
    const charts = [...this.view.card.querySelectorAll(".km-curves .km-drawn svg")];
    [[false_, true_], [true_, share(hits, hits + alarms)]].forEach(([x, y], place) => {
      const mark = charts[place]?.querySelector(".km-at");
      const lines = charts[place]?.querySelectorAll(".km-grid");
      if (!mark || !lines?.length) return;
      // The first horizontal line is at 0, the last at 1; each has a vertical one after it.
      const at = (/** @type {number} */ line, /** @type {string} */ name) => Number(lines[line].getAttribute(name));
      const [x0, x1] = [at(1, "x1"), at(lines.length - 1, "x1")];
      const [y0, y1] = [at(0, "y1"), at(lines.length - 2, "y1")];
      mark.setAttribute("cx", String(x0 + x * (x1 - x0)));
      mark.setAttribute("cy", String(y0 + y * (y1 - y0)));
    });
  }
}

/**
 * Puts the matrix of another threshold into the table of two classes.
 * @param {Grid} grid @param {number[][]} matrix
 */
function refill(grid, matrix) {
  const all = matrix.flat().reduce((sum, each) => sum + each, 0);
  const rows = matrix.map(([a, b]) => a + b);
  const columns = [matrix[0][0] + matrix[1][0], matrix[0][1] + matrix[1][1]];
  grid.each((td, [row, column]) => {
    const count = matrix[row][column];
    td.className = count ? (row === column ? "km-r" : "") : "km-none";
    td.removeAttribute("title");
    if (!count) {
      td.textContent = "\u00b7";
      td.style.backgroundColor = "";
      return;
    }
    const parts = [share(count, rows[row]), share(count, columns[column]), share(count, all)];
    td.replaceChildren(element("b", "", tally(count)), ...parts.map((part) => element("i", "", percent(part))));
    td.style.backgroundColor = `rgba(${row === column ? COLOURS.blue : COLOURS.orange}, 0.15)`;
  });
  const body = grid.table.tBodies[0].rows;
  const foot = grid.table.tFoot?.rows[0].cells;
  grid.order().forEach((k, at) => {
    const right = matrix[k][k];
    const [recall, f1, support] = [...body[at].cells].slice(-3);
    const rate = share(right, rows[k]);
    const words = recall.querySelector(".km-recall > span:last-child");
    if (words) words.textContent = percent(rate);
    const fill = recall.querySelector(".km-bar > span");
    if (fill instanceof HTMLElement) fill.style.width = `${percent(rate)}%`;
    f1.textContent = percent(share(2 * right, rows[k] + columns[k]));
    support.textContent = tally(rows[k]);
    if (foot) foot[at + 1].textContent = columns[k] ? percent(share(right, columns[k])) : "\u2013";
  });
  const right = share(matrix[0][0] + matrix[1][1], all);
  if (foot) foot[foot.length - 1].textContent = `accuracy ${percent(right, 2)}`;
}
