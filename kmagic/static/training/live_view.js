// @ts-check
/**
 * The live view of a training run.
 *
 * The kernel sends a complete snapshot in the trait `state`, and updates between two snapshots as
 * custom messages, numbered without gaps. A view that missed an update waits for the next snapshot,
 * so a second view, or one in a reloaded page, is complete within a second.
 *
 * A widget is one file: kmagic/display/kit/assets.py joins this module and those it imports. The
 * state comes from kmagic/display/training/widget_feed.py.
 *
 * @typedef {Record<string, number[]>} Curves  name -> x0, y0, x1, y1 ...; a value that is not
 *     finite is null
 * @typedef {{position: string, status: string, summary: string, progress: number, elapsed: number,
 *     remaining: number | null, footer: string}} Header
 * @typedef {{columns: string[], rows: ({cells: string[], best: boolean} | null)[]}} EpochTable
 * @typedef {{start: number, end: number, best: {epoch: number, labels: Record<string, string>} | null,
 *     metrics: string[]}} Axis
 * @typedef {{seq: number, run: string, name: string, epochs: number, initial_epoch: number,
 *     control_channel: boolean, header: Header, axis: Axis, table: EpochTable,
 *     messages: [number, string][], message_count: number, confusion: EpochConfusion | null,
 *     curves: Curves, first_epoch: Curves, current_epoch: Curves}} RunState
 * @typedef {{seq: number, header: Header, current_epoch: Curves, axis?: Axis, table?: EpochTable,
 *     curves?: Curves, messages?: [number, string][], message_count?: number,
 *     confusion?: EpochConfusion, stopping?: boolean}} RunUpdate
 * @typedef {import("./live_matrix.js").EpochConfusion} EpochConfusion
 * @typedef {{get(name: string): any, on(name: string, callback: Function): void,
 *     off(name: string, callback: Function): void, widget_manager?: any}} WidgetModel
 */

import { button, element, setText } from "../kit/elements.js";
import { formatDuration, formatRemaining } from "../kit/formatting.js";
import { ChartGroup } from "./chart_group.js";
import { attachFinishedRun } from "./finished_charts.js";
import { LiveMatrix } from "./live_matrix.js";
import { replaceOutput, saveNotebook } from "./notebook_output.js";
import { StopControl } from "./stop_control.js";

const MAX_EPOCH_MARKS = 60;
const MAX_MESSAGES = 4;
/** Milliseconds in which the kernel's message with the card arrives. */
const REPLACE_AFTER = 1000;

class LiveView {
  /** @param {WidgetModel} model @param {HTMLElement} host */
  constructor(model, host) {
    this.model = model;
    /** @type {RunState} */
    this.state = structuredClone(model.get("state"));
    this.receivedAt = Date.now();
    /** When Stop was clicked, or 0. */
    this.stopRequestedAt = 0;
    this.kernelLost = false;
    this.group = new ChartGroup(() => this.schedule());
    this.matrix = new LiveMatrix();
    this.frame = 0;
    /** The table as it is shown, to leave it alone until it changes. */
    this.shownTable = "";
    this.announcedAt = 0;
    this.stopControl = new StopControl(model, () => this.isRunning());
    if (this.isRunning() && this.state.control_channel) this.stopControl.announce(this.state.run);
    this.build(host);
    this.listen();
    this.render();
    if (this.isRunning()) saveNotebook(model);
    else this.replaceByCard();
  }

  isRunning() {
    return this.state.header.status === "running" && !this.kernelLost;
  }

  /** @param {HTMLElement} host */
  build(host) {
    const root = element("div", "kmagic km-live");
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", `training of ${this.state.name}`);
    this.position = element("span", "km-muted");
    this.elapsed = element("span", "km-number");
    this.remaining = element("span", "km-muted km-number");
    this.stopButton = button("\u25a0\u2002Stop", () => this.stop());
    const header = element("div", "km-header");
    const aside = element("span", "km-live-aside");
    aside.append(this.elapsed, this.remaining, this.stopButton);
    header.append(
      element("span", "km-live-dot"), element("span", "km-title", this.state.name), this.position,
      element("span", "km-spacer"), aside,
    );
    this.bar = element("div", "km-live-progress");
    this.bar.setAttribute("role", "progressbar");
    this.bar.setAttribute("aria-label", "training progress");
    this.fill = element("span", "km-live-fill");
    this.bar.append(this.fill);
    const epochs = this.state.epochs - this.state.initial_epoch;
    for (let epoch = 1; epochs <= MAX_EPOCH_MARKS && epoch < epochs; epoch += 1) {
      const mark = element("i", "");
      mark.style.left = `${(100 * epoch) / epochs}%`;
      this.bar.append(mark);
    }
    this.figures = element("div", "km-live-figures");
    this.table = element("table", "km-table");
    const scroll = element("div", "km-table-scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", `Epochs of ${this.state.name}`);
    scroll.append(this.table);
    this.messages = element("ul", "km-live-messages");
    this.messages.setAttribute("role", "log");
    this.messages.setAttribute("aria-label", "messages");
    this.footerText = element("span", "");
    const footer = element("div", "km-footer km-live-footer");
    footer.append(this.footerText, this.group.buttons);
    this.announcement = element("div", "km-live-hidden");
    this.announcement.setAttribute("role", "status");
    root.append(header, this.bar, this.figures, this.messages, scroll, footer, this.announcement);
    host.append(root);
    this.root = root;
  }

  /** Listen to the model, to the size of the cell and to the kernel's status. */
  listen() {
    const onState = () => this.setState(structuredClone(this.model.get("state")));
    const onCard = () => this.replaceByCard();
    const onMessage = (/** @type {RunUpdate} */ message) => this.onMessage(message);
    this.model.on("change:state", onState);
    this.model.on("change:card", onCard);
    this.model.on("msg:custom", onMessage);
    const size = new ResizeObserver(() => this.schedule());
    size.observe(/** @type {Element} */ (this.figures));
    const clock = setInterval(() => this.updateTimes(), 1000);
    const onKernelStatus = (/** @type {unknown} */ _, /** @type {string} */ status) => {
      if (["dead", "restarting", "autorestarting", "terminating"].includes(status)) {
        this.kernelLost = true;
        this.schedule();
      }
    };
    const signal = this.stopControl.kernel?.statusChanged;
    signal?.connect?.(onKernelStatus);
    this.dispose = () => {
      this.model.off("change:state", onState);
      this.model.off("change:card", onCard);
      this.model.off("msg:custom", onMessage);
      size.disconnect();
      clearInterval(clock);
      clearTimeout(this.timer);
      signal?.disconnect?.(onKernelStatus);
      this.stopControl.cancelTimer();
      this.group.dispose();
      cancelAnimationFrame(this.frame);
    };
  }

  /** Show the static card in place of this widget, unless the kernel's own message has done so. */
  replaceByCard() {
    const card = this.model.get("card");
    if (card) this.timer = setTimeout(() => replaceOutput(this.model, card), REPLACE_AFTER);
  }

  /** @param {RunState} state */
  setState(state) {
    this.state = state;
    this.receivedAt = Date.now();
    this.schedule();
  }

  /** @param {RunUpdate} update */
  onMessage(update) {
    if (update.stopping) {
      this.stopControl.cancelTimer();
      this.stopRequestedAt = this.stopRequestedAt || Date.now();
      return this.schedule();
    }
    if (update.seq !== this.state.seq + 1) return; // one was missed: wait for the next snapshot
    const state = this.state;
    this.receivedAt = Date.now();
    state.seq = update.seq;
    state.header = update.header;
    if (update.axis) state.axis = update.axis;
    if (update.table) state.table = update.table;
    if (update.messages) [state.messages, state.message_count] = [update.messages, update.message_count ?? 0];
    if (update.confusion) state.confusion = update.confusion;
    if (update.curves) {
      state.current_epoch = {};
      for (const [name, points] of Object.entries(update.curves)) {
        (state.curves[name] ??= []).push(...points);
      }
    }
    for (const [name, points] of Object.entries(update.current_epoch)) {
      (state.current_epoch[name] ??= []).push(...points);
    }
    this.schedule();
  }

  stop() {
    const again = this.stopRequestedAt > 0;
    this.stopRequestedAt = this.stopRequestedAt || Date.now();
    this.stopControl.request(this.state.run, this.state.control_channel, again);
    this.schedule();
  }

  /** Draw once in the next frame, however many messages came. */
  schedule() {
    if (!this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.render();
      });
    }
  }

  render() {
    const { header, axis } = this.state;
    const running = this.isRunning();
    this.root?.classList.toggle("km-live-ended", !running);
    const position = this.kernelLost ? `${header.position}; the kernel was shut down`
      : running ? header.position : header.summary;
    setText(/** @type {Element} */ (this.position), this.stopRequestedAt && running ? `${position}, stopping` : position);
    this.bar?.setAttribute("aria-valuenow", String(Math.round(100 * header.progress)));
    this.bar?.setAttribute("aria-valuetext", running ? header.position : header.summary);
    if (this.fill) this.fill.style.width = `${100 * header.progress}%`;
    this.updateTimes();
    this.renderStopButton(running);
    if (this.group.setNames(axis.metrics)) {
      this.figures?.replaceChildren(...this.group.charts.map((chart) => chart.element), this.matrix.element);
    }
    this.group.draw(this.state, this.model.get("previous_runs") ?? []);
    this.matrix.draw(this.state.confusion);
    this.renderMessages();
    this.renderTable();
    const footer = [header.footer, this.group.previousText()].filter(Boolean).join(" \u00b7 ");
    setText(/** @type {Element} */ (this.footerText), footer);
  }

  updateTimes() {
    const { header } = this.state;
    const running = this.isRunning();
    const since = running ? (Date.now() - this.receivedAt) / 1000 : 0;
    setText(/** @type {Element} */ (this.elapsed), running ? formatDuration(header.elapsed + since) : "");
    const remaining = header.remaining === null || !running ? -1 : header.remaining - since;
    setText(/** @type {Element} */ (this.remaining), remaining < 0 ? "" : `about ${formatRemaining(remaining)} left`);
    if (this.stopRequestedAt) this.renderStopButton(running);
  }

  /** @param {boolean} running */
  renderStopButton(running) {
    const node = /** @type {HTMLButtonElement} */ (this.stopButton);
    const available = this.stopControl.isAvailable(this.state.control_channel);
    node.hidden = !running;
    node.disabled = !available;
    const late = this.stopRequestedAt && Date.now() - this.stopRequestedAt > 1000;
    const label = !available ? "To stop, use the notebook's interrupt button"
      : late ? "Interrupt" : this.stopRequestedAt ? "Stopping" : "\u25a0\u2002Stop";
    setText(node, label);
    node.title = late ? "stop immediately" : "stop after the current batch; the trained weights are kept";
  }

  renderMessages() {
    const { messages, message_count: count } = this.state;
    const newest = messages.slice(-MAX_MESSAGES);
    const earlier = count - newest.length;
    const lines = newest.map(([epoch, text]) => (epoch ? `epoch ${epoch.toLocaleString("en")}: ${text}` : text));
    if (earlier > 0) lines.unshift(`${earlier.toLocaleString("en")} earlier in run.messages`);
    const list = /** @type {HTMLElement} */ (this.messages);
    const shown = [...list.children].map((item) => item.textContent);
    if (shown.join("\n") === lines.join("\n")) return;
    const items = new Map([...list.children].map((item) => [item.textContent, item]));
    // Items that stay are reused, so that a screen reader reads out only the new ones.
    list.replaceChildren(...lines.map((text) => items.get(text) ?? element("li", "", text)));
  }

  renderTable() {
    const { columns, rows } = this.state.table;
    const key = JSON.stringify(this.state.table);
    if (key === this.shownTable) return;
    this.shownTable = key;
    const head = element("thead", "");
    const body = element("tbody", "");
    const headRow = element("tr", "");
    for (const column of columns) {
      const cell = element("th", "");
      cell.setAttribute("scope", "col");
      for (const part of column.split(/(?<=_)/)) cell.append(part, document.createElement("wbr"));
      headRow.append(cell);
    }
    head.append(headRow);
    for (const row of rows) {
      const bodyRow = element("tr", row?.best ? "km-best" : "");
      const cells = row ? row.cells : columns.map((_, index) => (index ? "" : "..."));
      bodyRow.append(...cells.map((text) => element("td", "", text)));
      body.append(bodyRow);
    }
    this.table?.replaceChildren(...(rows.length ? [head, body] : []));
    const last = rows[rows.length - 1];
    if (last && this.announcement && Date.now() - this.announcedAt > 3000) {
      this.announcedAt = Date.now();
      setText(this.announcement, last.cells.map((cell, index) => `${columns[index]} ${cell}`).join(", "));
    }
  }
}

export default {
  /** @param {{model: WidgetModel}} context */
  initialize({ model }) {
    return attachFinishedRun(model);
  },
  /** @param {{model: WidgetModel, el: HTMLElement}} context */
  render({ model, el }) {
    let view = new LiveView(model, el);
    let run = view.state.run;
    // One widget may show several runs, one after the other.
    const onState = () => {
      if (model.get("state").run === run) return;
      run = model.get("state").run;
      view.dispose?.();
      el.replaceChildren();
      view = new LiveView(model, el);
    };
    model.on("change:state", onState);
    return () => {
      model.off("change:state", onState);
      view.dispose?.();
    };
  },
};
