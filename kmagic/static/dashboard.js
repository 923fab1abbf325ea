// @ts-check
/**
 * The live view of a training run.
 *
 * The kernel sends a complete snapshot in the trait `state`, and between two snapshots the news as
 * custom messages, numbered without a gap. A view that missed one waits for the next snapshot: so
 * a second view, or one after the page was loaded anew, is complete within a second.
 *
 * A widget is one file: kmagic/display/modules.py joins this one and those that it imports.
 *
 * @typedef {Record<string, number[]>} Curves  name -> x0, y0, x1, y1 ...; a value that is not
 *     finite comes as null
 * @typedef {{where: string, status: string, words: string, progress: number, elapsed: number,
 *     left: number | null, foot: string}} Head
 * @typedef {{columns: string[], rows: ({cells: string[], best: boolean} | null)[]}} Table
 * @typedef {{start: number, end: number, mark: {epoch: number, words: Record<string, string>} | null,
 *     metrics: string[]}} Axis
 * @typedef {{seq: number, run: string, name: string, epochs: number, before: number,
 *     answers: boolean, head: Head, axis: Axis, table: Table, messages: [number, string][],
 *     told: number, watched: Watched | null, curves: Curves, opening: Curves, tail: Curves}} State
 * @typedef {{seq: number, head: Head, tail: Curves, axis?: Axis, table?: Table,
 *     curves?: Curves, messages?: [number, string][], told?: number, watched?: Watched}} News
 * @typedef {import("./matrix.js").Watched} Watched
 * @typedef {{get(name: string): any, on(name: string, callback: Function): void,
 *     off(name: string, callback: Function): void, widget_manager?: any}} Model
 */

import { Brake } from "./brake.js";
import { Chart } from "./curves.js";
import { element, say } from "./elements.js";
import { about, duration } from "./figures.js";
import { Matrix } from "./matrix.js";

const MOST_MARKS = 60;
const MOST_MESSAGES = 4;
/** With more columns a row becomes a line that may break, where the page is narrow. */
const MOST_COLUMNS = 6;

class View {
  /** @param {Model} model @param {HTMLElement} host */
  constructor(model, host) {
    this.model = model;
    /** @type {State} */
    this.state = structuredClone(model.get("state"));
    /** @type {Curves[]} */
    this.earlier = model.get("earlier") ?? [];
    this.heard = Date.now();
    this.asked = 0;
    this.lost = false;
    /** @type {number | null} */
    this.hover = null;
    /** @type {Chart[]} */
    this.charts = [];
    this.matrix = new Matrix();
    this.wishes = { log: false, smooth: false };
    this.frame = 0;
    /** What the table shows, to leave it alone while that is so. */
    this.shown = "";
    this.told = 0;
    this.brake = new Brake(model, () => this.running());
    if (this.running() && this.state.answers) this.brake.hello(this.state.run);
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
    this.dot = element("span", "km-live-dot");
    this.where = element("span", "km-mute");
    this.elapsed = element("span", "km-num");
    this.left = element("span", "km-mute km-num");
    this.button = /** @type {HTMLButtonElement} */ (element("button", "", "\u25a0\u2002Stop"));
    this.button.type = "button";
    this.button.addEventListener("click", () => this.stop());
    const head = element("div", "km-head");
    const aside = element("span", "km-live-aside");
    aside.append(this.elapsed, this.left, this.button);
    head.append(this.dot, element("span", "km-title", this.state.name), this.where, element("span", "km-space"), aside);
    this.bar = element("div", "km-live-run");
    this.bar.setAttribute("role", "progressbar");
    this.bar.setAttribute("aria-label", "progress of the whole run");
    this.fill = element("span", "km-live-fill");
    this.bar.append(this.fill);
    const asked = this.state.epochs - this.state.before;
    for (let epoch = 1; asked <= MOST_MARKS && epoch < asked; epoch += 1) {
      const mark = element("i", "");
      mark.style.left = `${(100 * epoch) / asked}%`;
      this.bar.append(mark);
    }
    this.figures = element("div", "km-live-figures");
    this.table = element("table", "km-table");
    const scroll = element("div", "km-fit");
    scroll.append(this.table);
    this.messages = element("ul", "km-live-messages");
    this.messages.setAttribute("role", "log");
    this.messages.setAttribute("aria-label", "messages");
    this.foot = element("span", "");
    const tools = element("span", "km-live-tools");
    tools.setAttribute("role", "group");
    tools.setAttribute("aria-label", "how the curves are drawn");
    this.log = this.toggle("log", "logarithmic scale, where figures are positive and far apart");
    this.smooth = this.toggle("smooth", "take the noise out; the curves as they are stay behind, faint");
    tools.append(this.log, this.smooth);
    const foot = element("div", "km-foot km-live-foot");
    foot.append(this.foot, tools);
    this.news = element("div", "km-live-unseen");
    this.news.setAttribute("role", "status");
    root.append(head, this.bar, this.figures, this.messages, scroll, foot, this.news);
    host.append(root);
    this.root = root;
  }

  /**
   * A button that stays pressed until it is pressed again.
   *
   * @param {"log" | "smooth"} wish @param {string} title
   */
  toggle(wish, title) {
    const made = /** @type {HTMLButtonElement} */ (element("button", "", wish));
    made.type = "button";
    made.title = title;
    made.setAttribute("aria-pressed", "false");
    made.addEventListener("click", () => {
      this.wishes[wish] = !this.wishes[wish];
      made.setAttribute("aria-pressed", String(this.wishes[wish]));
      this.schedule();
    });
    return made;
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
    if (news.messages) [state.messages, state.told] = [news.messages, news.told ?? 0];
    if (news.watched) state.watched = news.watched;
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
    this.root?.classList.toggle("km-live-ended", !going);
    const where = this.lost ? `${head.where}; the kernel has gone` : going ? head.where : head.words;
    say(/** @type {Element} */ (this.where), this.asked && going ? `${where}, stopping` : where);
    this.bar?.setAttribute("aria-valuenow", String(Math.round(100 * head.progress)));
    this.bar?.setAttribute("aria-valuetext", going ? head.where : head.words);
    if (this.fill) this.fill.style.width = `${100 * head.progress}%`;
    this.tick();
    this.renderButton(going);
    const names = this.charts.map(({ name }) => name).join("\n");
    if (names !== axis.metrics.join("\n")) {
      this.charts = axis.metrics.map((name) => new Chart(name, (epoch) => {
        this.hover = epoch;
        this.schedule();
      }));
      this.figures?.replaceChildren(...this.charts.map((chart) => chart.element), this.matrix.element);
    }
    for (const chart of this.charts) {
      const width = Math.max(chart.element.clientWidth, 240);
      chart.draw(this.state, this.earlier, this.wishes, width, this.hover);
    }
    this.matrix.draw(this.state.watched);
    const log = /** @type {HTMLButtonElement} */ (this.log);
    log.disabled = !this.wishes.log && !this.charts.some(({ spans }) => spans);
    /** @type {HTMLElement} */ (log.parentElement).hidden = !this.charts.length;
    this.renderMessages();
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

  renderMessages() {
    const { messages, told } = this.state;
    const last = messages.slice(-MOST_MESSAGES);
    const more = told - last.length;
    const lines = last.map(([epoch, text]) => (epoch ? `epoch ${epoch.toLocaleString("en")}: ${text}` : text));
    if (more > 0) lines.unshift(`${more.toLocaleString("en")} earlier in run.messages`);
    const list = /** @type {HTMLElement} */ (this.messages);
    const known = [...list.children].map((item) => item.textContent);
    if (known.join("\n") === lines.join("\n")) return;
    // What stays is left alone, so that only what is new is read out.
    const kept = new Map([...list.children].map((item) => [item.textContent, item]));
    list.replaceChildren(...lines.map((text) => kept.get(text) ?? element("li", "", text)));
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
      const cell = element("th", "");
      cell.setAttribute("scope", "col");
      for (const part of column.split(/(?<=_)/)) cell.append(part, document.createElement("wbr"));
      line.append(cell);
    }
    head.append(line);
    for (const row of rows) {
      const made = element("tr", row?.best ? "km-best" : "");
      const cells = row ? row.cells : columns.map((_, index) => (index ? "" : "..."));
      made.append(...cells.map((text) => element("td", "", text)));
      body.append(made);
    }
    this.table?.classList.toggle("km-many-columns", columns.length > MOST_COLUMNS);
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
