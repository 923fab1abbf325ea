// @ts-check
/**
 * The live view of a training run.
 *
 * The kernel sends a complete snapshot in the trait `state`, and between two snapshots the news as
 * custom messages, numbered without a gap. A view that missed one waits for the next snapshot: so
 * a second view, or one after the page was loaded anew, is complete within a second.
 *
 * Whatever is text in a message is put on the page as text. `kmagic/display/chart.py` draws the
 * same curves for the picture that stays.
 *
 * @typedef {Record<string, number[]>} Curves  name -> x0, y0, x1, y1 ...; a value that is not
 *     finite comes as null
 * @typedef {{where: string, status: string, words: string, progress: number, elapsed: number,
 *     left: number | null, foot: string}} Head
 * @typedef {{columns: string[], rows: ({cells: string[], best: boolean} | null)[]}} Table
 * @typedef {{start: number, end: number, mark: {epoch: number, words: Record<string, string>} | null,
 *     metrics: string[]}} Axis
 * @typedef {{seq: number, run: string, name: string, epochs: number, before: number,
 *     answers: boolean, head: Head, axis: Axis, table: Table, curves: Curves, opening: Curves,
 *     tail: Curves}} State
 * @typedef {{seq: number, head: Head, tail: Curves, axis?: Axis, table?: Table, curves?: Curves}} News
 * @typedef {{get(name: string): any, on(name: string, callback: Function): void,
 *     off(name: string, callback: Function): void, widget_manager?: any}} Model
 */

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 158;
const PLOT = { left: 44, right: 72, top: 20, bottom: 22, pad: 4 };
const LABEL_HEIGHT = 13;
const CHARACTER = 6.2;
const DOTS = 40;
const PASSES = 40;
/** Of an epoch's course, the part whose means are of too few batches: to draw, to scale by. */
const [NOISY, YOUNG] = [0.03, 0.1];
const MOST_MARKS = 60;
const STEPS = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
const PATIENCE = 2000;

// --- figures ------------------------------------------------------------------------------------

/** @param {number | null} value */
function number(value) {
  if (value === null || !Number.isFinite(value)) return "not finite";
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-3 && size < 10)) return value.toFixed(4);
  if (size < 1e-3 || size >= 1e7) return value.toExponential(2).replace("+", "");
  const decimals = Math.max(1, 4 - Math.floor(Math.log10(size)));
  return value.toLocaleString("en", {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
}

/** @param {number} seconds */
function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** @param {number} seconds */
function about(seconds) {
  const grain = seconds < 20 ? 1 : seconds < 120 ? 5 : seconds < 600 ? 15 : 60;
  return duration(Math.ceil(Math.max(seconds, 0) / grain - 0.2) * grain);
}

// --- scales, as in chart.py ---------------------------------------------------------------------

/** @param {number[]} values @returns {[number, number, number]} */
function ticks(values) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (!values.length) [low, high] = [0, 1];
  if (high - low < 1e-9 * Math.max(Math.abs(high), Math.abs(low), 1e-9)) {
    const room = Math.abs(high) > 1e-300 ? Math.abs(high) / 10 : 1;
    [low, high] = [low - room, high + room];
  }
  const power = Math.floor(Math.log10((high - low) / 2));
  for (const exponent of [power, power + 1]) {
    const unit = 10 ** exponent;
    for (const step of STEPS) {
      const reach = 2 * step * unit;
      let base = Math.floor(low / unit + 1e-9) * unit;
      if (high <= 1 && base + reach > 1 + 1e-9) base = 1 - reach; // a share is never more than one
      if (base <= low + 1e-9 * unit && base + reach >= high - 1e-9 * unit) {
        return [base, base + reach / 2, base + reach];
      }
    }
  }
  return [low, (low + high) / 2, high];
}

/** @param {number} value @param {number} step */
function tickText(value, step) {
  if (value && (Math.max(Math.abs(value), step) >= 1e6 || step < 1e-4)) {

    return value.toExponential(1).replace("+", "");
  }
  let decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  if (Math.abs(step - Number(step.toFixed(decimals))) > 1e-9 * step) decimals += 1;
  return value.toLocaleString("en", {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
}

/** @param {number} start @param {number} end @param {number} room */
function wholeSteps(start, end, room) {
  let step = 1;
  while ((end - start) / step > Math.max(room, 1)) {
    step *= String(step).startsWith("2") ? 2.5 : 2;
  }
  const found = [];
  const first = Math.ceil(Math.max(start, 1) / step) * step;
  for (let epoch = first; epoch <= end; epoch += step) found.push(epoch);
  return found;
}

/** @param {number[]} heights @param {number} low @param {number} high */
function spread(heights, low, high) {
  const order = heights.map((_, index) => index).sort((a, b) => heights[a] - heights[b]);
  const placed = order.map((index) => Math.min(Math.max(heights[index], low), high));
  for (let pass = 0; pass < PASSES; pass += 1) {
    for (let above = 0; above + 1 < placed.length; above += 1) {
      const lacking = LABEL_HEIGHT - (placed[above + 1] - placed[above]);
      if (lacking > 0) {
        placed[above] -= lacking / 2;
        placed[above + 1] += lacking / 2;
      }
    }
  }
  const last = placed[placed.length - 1];
  const shift = placed.length ? Math.max(0, low - placed[0]) - Math.max(0, last - high) : 0;
  const result = new Array(heights.length);
  order.forEach((index, place) => {
    result[index] = placed[place] + shift;
  });
  return result;
}

// --- elements -----------------------------------------------------------------------------------

/**
 * @param {string} tag @param {string} className @param {string} [text]
 * @returns {HTMLElement}
 */
function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/**
 * @param {Element} parent @param {string} tag @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
function draw(parent, tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, typeof value === "number" ? String(Math.round(value * 10) / 10) : value);
  }
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

/** Sets a text only if it is another: a screen reader need not hear it twice. */
function say(/** @type {Element} */ where, /** @type {string} */ text) {
  if (where.textContent !== text) where.textContent = text;
}

/** @param {number[] | undefined} flat @returns {[number, number][]} */
function pairs(flat) {
  /** @type {[number, number][]} */
  const found = [];
  for (let index = 0; flat && index < flat.length; index += 2) {
    found.push([flat[index], flat[index + 1] ?? NaN]);
  }
  return found;
}

/**
 * @param {[number, number][]} points
 * @returns {[number, number][]}
 */
const finite = (points) => points.filter(([, y]) => Number.isFinite(y));

/** How much of its epoch is done at x; the end of an epoch is 1. @param {number} x */
const within = (x) => x % 1 || 1;

/**
 * What is left of an epoch's course without the means of its first few batches.
 * @param {[number, number][]} course
 * @returns {[number, number][]}
 */
const steady = (course) => course.filter(([x]) => within(x) > NOISY);

// --- one chart ----------------------------------------------------------------------------------

class Chart {
  /** @param {string} name @param {(epoch: number | null) => void} onHover */
  constructor(name, onHover) {
    this.name = name;
    /** @type {[number, number][]} */
    this.trained = [];
    /** @type {[number, number][]} */
    this.checked = [];
    this.width = 0;
    this.element = element("figure", "km-figure");
    const caption = element("figcaption", "km-caption");
    this.readout = element("span", "km-readout");
    caption.append(element("b", "", name), this.readout);
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("class", "km-chart");
    this.svg.setAttribute("role", "img");
    this.svg.setAttribute("tabindex", "0");
    this.element.append(caption, this.svg);
    this.svg.addEventListener("pointermove", (event) => {
      const box = this.svg.getBoundingClientRect();
      onHover(this.nearest(this.epochAt(event.clientX - box.left)));
    });
    this.svg.addEventListener("pointerleave", () => onHover(null));
    this.svg.addEventListener("blur", () => onHover(null));
    this.svg.addEventListener("keydown", (event) => {
      const epochs = this.epochs();
      const at = epochs.indexOf(this.hover ?? epochs[epochs.length - 1] + 1);
      const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") onHover(null);
      if (!steps || !epochs.length) return;
      event.preventDefault();
      onHover(epochs[at < 0 ? epochs.length - 1 : Math.min(Math.max(at + steps, 0), epochs.length - 1)]);
    });
    /** @type {number | null} */
    this.hover = null;
  }

  epochs() {
    const whole = (/** @type {[number, number][]} */ points) => points.map(([x]) => x);
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

  /** @param {State} state @param {number} width @param {number | null} hover */
  draw(state, width, hover) {
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
    const [low, middle, high] = ticks((scale.length ? scale : finite(tail)).map(([, y]) => y));
    const toX = (/** @type {number} */ epoch) =>
      PLOT.left + ((epoch - this.start) / (this.end - this.start)) * (right - PLOT.left);
    const toY = (/** @type {number} */ value) =>
      bottom - Math.min(Math.max((value - low) / (high - low), -1), 2) * (bottom - PLOT.top);

    const svg = this.svg;
    svg.replaceChildren();
    svg.setAttribute("width", String(width));
    svg.setAttribute("height", String(HEIGHT));
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    for (const tick of [low, middle, high]) {
      const y = toY(tick);
      draw(svg, "line", { class: "km-grid", x1: PLOT.left, x2: right, y1: y, y2: y });
      draw(svg, "text", { x: PLOT.left - 7, y: y + 3.5, "text-anchor": "end" }, tickText(tick, middle - low));
    }
    const room = (right - PLOT.left) / (14 + CHARACTER * String(Math.round(end)).length);
    for (const epoch of wholeSteps(start, end, room)) {
      draw(svg, "text", { x: toX(epoch), y: bottom + 17, "text-anchor": "middle" }, String(epoch));
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
    /** @type {[string, [number, number][], string][]} */
    const lines = [
      ["course", [...opening.slice(0, -1), ...this.trained.slice(-1), ...tail], tail.length ? label : ""],
      ["train", this.trained, tail.length ? "" : label],
    ];
    if (this.checked.length) lines.push(["val", this.checked, "validation"]);
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
      let dots = kind === "val" || (kind === "train" && real.length === 1) ? real : [];
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
    const at = (/** @type {[number, number][]} */ points, /** @type {number} */ x) =>
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

// --- stopping -----------------------------------------------------------------------------------

/**
 * Ends a training while its cell runs. A widget's own messages would wait for the cell, so this
 * asks on the kernel's control channel; with no answer in two seconds it interrupts the kernel.
 */
class Brake {
  /** @param {Model} model @param {() => boolean} running */
  constructor(model, running) {
    this.kernel = model.widget_manager?.kernel;
    this.running = running;
    this.answers = typeof this.kernel?.sendControlMessage === "function";
    this.interrupts = typeof this.kernel?.interrupt === "function";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** @param {boolean} listening  whether the other end answers to control messages */
  works(listening) {
    return (this.answers && listening) || this.interrupts;
  }

  /** @param {string} run @param {boolean} listening @param {boolean} now */
  pull(run, listening, now) {
    this.release();
    if (!this.running()) return;
    if (!(this.answers && listening)) return this.interrupt();
    const header = {
      date: new Date().toISOString(),
      msg_id: `kmagic-${Date.now()}-${Math.random().toString(36).slice(2)}`,
      msg_type: "kmagic_stop",
      session: this.kernel.clientId ?? "",
      username: this.kernel.username ?? "",
      version: "5.3",
    };
    const message = {
      header, parent_header: {}, metadata: {}, content: { run, now }, channel: "control", buffers: [],
    };
    try {
      const future = this.kernel.sendControlMessage(message, true, true);
      if (future) future.onReply = () => this.release();
    } catch {
      return this.interrupt();
    }
    this.timer = setTimeout(() => this.interrupt(), PATIENCE);
  }

  interrupt() {
    this.release();
    // Never after the run has ended: the interrupt would hit whatever the kernel does then.
    if (this.interrupts && this.running()) this.kernel.interrupt();
  }

  release() {
    clearTimeout(this.timer);
  }
}

// --- the view -----------------------------------------------------------------------------------

class View {
  /** @param {Model} model @param {HTMLElement} host */
  constructor(model, host) {
    this.model = model;
    /** @type {State} */
    this.state = structuredClone(model.get("state"));
    this.heard = Date.now();
    this.asked = 0;
    this.lost = false;
    /** @type {number | null} */
    this.hover = null;
    /** @type {Chart[]} */
    this.charts = [];
    this.frame = 0;
    /** What the table shows, to leave it alone while that is so. */
    this.shown = "";
    this.told = 0;
    this.brake = new Brake(model, () => this.running());
    this.build(host);
    this.follow();
    this.render();
  }

  running() {
    return this.state.head.status === "running" && !this.lost;
  }

  /** @param {HTMLElement} host */
  build(host) {
    const root = element("div", "kmagic km-live");
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", `training of ${this.state.name}`);
    this.dot = element("span", "km-dot");
    this.where = element("span", "km-mute");
    this.elapsed = element("span", "km-num");
    this.left = element("span", "km-mute km-num");
    this.button = /** @type {HTMLButtonElement} */ (element("button", "", "\u25a0\u2002Stop"));
    this.button.type = "button";
    this.button.addEventListener("click", () => this.stop());
    const head = element("div", "km-head");
    const aside = element("span", "km-aside");
    aside.append(this.elapsed, this.left, this.button);
    head.append(this.dot, element("span", "km-title", this.state.name), this.where, element("span", "km-space"), aside);
    this.bar = element("div", "km-run");
    this.bar.setAttribute("role", "progressbar");
    this.bar.setAttribute("aria-label", "progress of the whole run");
    this.fill = element("span", "km-fill");
    this.bar.append(this.fill);
    const asked = this.state.epochs - this.state.before;
    for (let epoch = 1; asked <= MOST_MARKS && epoch < asked; epoch += 1) {
      const mark = element("i", "");
      mark.style.left = `${(100 * epoch) / asked}%`;
      this.bar.append(mark);
    }
    this.figures = element("div", "km-figures");
    this.table = element("table", "km-table");
    const scroll = element("div", "km-scroll");
    scroll.append(this.table);
    this.foot = element("div", "km-foot");
    this.news = element("div", "km-unseen");
    this.news.setAttribute("role", "status");
    root.append(head, this.bar, this.figures, scroll, this.foot, this.news);
    host.append(root);
    this.root = root;
  }

  /** Listens to the model, to the size of the cell and to the kernel's life. */
  follow() {
    const onState = () => this.take(structuredClone(this.model.get("state")));
    const onMessage = (/** @type {News & {stopping?: boolean}} */ message) => this.hear(message);
    this.model.on("change:state", onState);
    this.model.on("msg:custom", onMessage);
    const size = new ResizeObserver(() => this.schedule());
    size.observe(/** @type {Element} */ (this.figures));
    const clock = setInterval(() => this.tick(), 1000);
    const onKernel = (/** @type {unknown} */ _, /** @type {string} */ status) => {
      if (["dead", "restarting", "autorestarting", "terminating"].includes(status)) {
        this.lost = true;
        this.schedule();
      }
    };
    const signal = this.brake.kernel?.statusChanged;
    signal?.connect?.(onKernel);
    this.forget = () => {
      this.model.off("change:state", onState);
      this.model.off("msg:custom", onMessage);
      size.disconnect();
      clearInterval(clock);
      signal?.disconnect?.(onKernel);
      this.brake.release();
      cancelAnimationFrame(this.frame);
    };
  }

  /** @param {State} state */
  take(state) {
    this.state = state;
    this.heard = Date.now();
    this.schedule();
  }

  /** @param {News & {stopping?: boolean}} news */
  hear(news) {
    if (news.stopping) {
      this.brake.release();
      this.asked = this.asked || Date.now();
      return this.schedule();
    }
    if (news.seq !== this.state.seq + 1) return; // the next snapshot makes up for what was missed
    const state = this.state;
    this.heard = Date.now();
    state.seq = news.seq;
    state.head = news.head;
    if (news.axis) state.axis = news.axis;
    if (news.table) state.table = news.table;
    if (news.curves) {
      state.tail = {};
      for (const [name, points] of Object.entries(news.curves)) {
        (state.curves[name] ??= []).push(...points);
      }
    }
    for (const [name, points] of Object.entries(news.tail)) (state.tail[name] ??= []).push(...points);
    this.schedule();
  }

  stop() {
    const again = this.asked > 0;
    this.asked = this.asked || Date.now();
    this.brake.pull(this.state.run, this.state.answers, again);
    this.schedule();
  }

  /** Draws once in the next frame, however much has come. */
  schedule() {
    if (!this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.render();
      });
    }
  }

  render() {
    const { head, axis } = this.state;
    const going = this.running();
    this.root?.classList.toggle("km-ended", !going);
    const where = this.lost ? `${head.where}; the kernel has gone` : going ? head.where : head.words;
    say(/** @type {Element} */ (this.where), this.asked && going ? `${where}, stopping` : where);
    this.bar?.setAttribute("aria-valuenow", String(Math.round(100 * head.progress)));
    if (this.fill) this.fill.style.width = `${100 * head.progress}%`;
    this.tick();
    this.renderButton(going);
    const names = this.charts.map(({ name }) => name).join("\n");
    if (names !== axis.metrics.join("\n")) {
      this.charts = axis.metrics.map((name) => new Chart(name, (epoch) => {
        this.hover = epoch;
        this.schedule();
      }));
      this.figures?.replaceChildren(...this.charts.map((chart) => chart.element));
    }
    for (const chart of this.charts) {
      chart.draw(this.state, Math.max(chart.element.clientWidth, 240), this.hover);
    }
    this.renderTable();
    say(/** @type {Element} */ (this.foot), head.foot);
  }

  tick() {
    const { head } = this.state;
    const since = this.running() ? (Date.now() - this.heard) / 1000 : 0;
    say(/** @type {Element} */ (this.elapsed), this.running() ? duration(head.elapsed + since) : "");
    const left = head.left === null || !this.running() ? null : head.left - since;
    say(/** @type {Element} */ (this.left), left === null || left < 0 ? "" : `about ${about(left)} left`);
    if (this.asked) this.renderButton(this.running());
  }

  /** @param {boolean} going */
  renderButton(going) {
    const button = /** @type {HTMLButtonElement} */ (this.button);
    const works = this.brake.works(this.state.answers);
    button.hidden = !going;
    button.disabled = !works;
    const late = this.asked && Date.now() - this.asked > 1000;
    const label = !works ? "stop by the notebook's interrupt button"
      : late ? "Interrupt" : this.asked ? "Stopping" : "\u25a0\u2002Stop";
    say(button, label);
    button.title = late ? "break off where it is" : "end the training after this batch; what it has learned is kept";
  }

  renderTable() {
    const { columns, rows } = this.state.table;
    const key = JSON.stringify(this.state.table);
    if (key === this.shown) return;
    this.shown = key;
    const head = element("thead", "");
    const body = element("tbody", "");
    const line = element("tr", "");
    for (const column of columns) {
      const cell = element("th", "", column);
      cell.setAttribute("scope", "col");
      line.append(cell);
    }
    head.append(line);
    for (const row of rows) {
      const made = element("tr", row?.best ? "km-best" : "");
      for (const text of row ? row.cells : columns.map((_, index) => (index ? "" : "..."))) {
        made.append(element("td", "", text));
      }
      body.append(made);
    }
    this.table?.replaceChildren(...(rows.length ? [head, body] : []));
    const last = rows[rows.length - 1];
    if (last && this.news && Date.now() - this.told > 3000) {
      this.told = Date.now();
      say(this.news, last.cells.map((cell, index) => `${columns[index]} ${cell}`).join(", "));
    }
  }
}

export default {
  /** @param {{model: Model, el: HTMLElement}} context */
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.forget?.();
  },
};

// For the test that holds them against their twins in Python.
export { about, duration, number, spread, tickText, ticks, wholeSteps };
