/**
 * Brings the cards of a confusion matrix to life while their kernel is there.
 *
 * The card is HTML that the notebook keeps. This module belongs to a widget without a view; it looks
 * for elements with `data-km` and the widget's key, in the notebook and in every other view of its
 * output, and gives them what takes a kernel: any cell's samples, other orders and colours, a
 * threshold to be moved, a matrix to be zoomed into. When the widget goes, it takes all of it away.
 *
 * Whatever is text in a message is put on the page as text.
 *
 * @typedef {[number, number]} Cell  positions of the true and of the predicted class
 * @typedef {{thresholds: number[], counts: number[][], now: number, samples: number, unit: string}} Sweep
 * @typedef {{key: string, kind: "matrix" | "difference", names: string[], labels: (number | string)[],
 *     shown: number[], matrix: number[][] | null, order: string, ordered: number[], scale: string,
 *     diagonal: boolean, worst: Cell[], sweep: Sweep | null}} State
 * @typedef {{number: number, caption: string, title: string, text: string, mime?: string,
 *     width?: number, height?: number, pixelated?: boolean}} Sample
 * @typedef {{get(name: string): any, on(name: string, callback: Function): void,
 *     send(content: any): void, widget_manager?: any}} Model
 */

const [FAINT, FULL, TINT] = [0.15, 0.75, 0.15];
const PAGE = 12;
const PATIENCE = 600;
const PAUSE = 120;
const ORDERS = { given: "as given", name: "by name", support: "by support", error: "by error", similarity: "by similarity" };
const COLOURS = { orange: "213, 94, 0", blue: "0, 114, 178" };

// --- figures ------------------------------------------------------------------------------------

/** @param {number} value */
const tally = (value) => value.toLocaleString("en", { maximumFractionDigits: 2 });

/** @param {number} share @param {number} [digits] */
const percent = (share, digits = 1) => (100 * share).toFixed(digits);

/** @param {number} part @param {number} whole */
const share = (part, whole) => (whole ? part / whole : 0);

/**
 * How strongly cells are coloured, as `kmagic/tones.py` has it: right negative, wrong positive.
 * @param {ArrayLike<number>} values @param {(k: number) => boolean} right
 * @param {{log: boolean, diagonal: boolean}} how
 */
function tones(values, right, { log, diagonal }) {
  let [most, least] = [0, Infinity];
  for (let k = 0; k < values.length; k += 1) {
    if (values[k] > 0 && (diagonal || !right(k))) {
      most = Math.max(most, values[k]);
      least = Math.min(least, values[k]);
    }
  }
  const found = new Float32Array(values.length);
  for (let k = 0; k < values.length; k += 1) {
    if (!(values[k] > 0)) continue;
    const own = right(k);
    const part = log && most > least ? Math.log(values[k] / least) / Math.log(most / least) : values[k] / most;
    found[k] = own && !diagonal ? TINT : FAINT + (FULL - FAINT) * part;
    if (own) found[k] = -found[k];
  }
  return found;
}

/**
 * The same for what changed: better negative, worse positive.
 * @param {ArrayLike<number>} values @param {(k: number) => boolean} right
 */
function differenceTones(values, right) {
  let [most, all] = [0, 0];
  for (let k = 0; k < values.length; k += 1) {
    all = Math.max(all, Math.abs(values[k]));
    if (!right(k)) most = Math.max(most, Math.abs(values[k]));
  }
  most ||= all;
  return Float32Array.from(values, (value, k) => {
    if (!value) return 0;
    const size = FAINT + ((FULL - FAINT) * Math.min(Math.abs(value), most)) / most;
    return Math.sign(right(k) ? -value : value) * size;
  });
}

// --- elements -----------------------------------------------------------------------------------

/**
 * @param {string} tag @param {string} [className] @param {string} [text]
 * @returns {HTMLElement}
 */
function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** @param {string} text @param {() => void} act */
function button(text, act) {
  const made = /** @type {HTMLButtonElement} */ (element("button", "km-act", text));
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

/** @param {string} text @param {boolean} checked @param {(on: boolean) => void} act */
function checkbox(text, checked, act) {
  const label = element("label", "km-check");
  const box = /** @type {HTMLInputElement} */ (element("input"));
  box.type = "checkbox";
  box.checked = checked;
  box.addEventListener("change", () => act(box.checked));
  label.append(box, ` ${text}`);
  return label;
}

// --- the other end ------------------------------------------------------------------------------

/** One widget: what is asked of its kernel, and the cards in the page that show its matrix. */
class Companion {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {State} */
    this.state = model.get("state");
    this.seq = 0;
    /** @type {Map<number, {resolve: Function, reject: Function}>} */
    this.waiting = new Map();
    /** @type {Map<Element, View>} */
    this.views = new Map();
    model.on("msg:custom", (/** @type {any} */ reply, /** @type {DataView[]} */ buffers) => {
      const asked = this.waiting.get(reply.re);
      if (!asked) return;
      this.waiting.delete(reply.re);
      if (reply.error) asked.reject(new Error(reply.error));
      else asked.resolve({ ...reply, buffers: buffers ?? [] });
    });
  }

  /** @param {Record<string, any>} question @returns {Promise<any>} */
  ask(question) {
    this.seq += 1;
    const seq = this.seq;
    return new Promise((resolve, reject) => {
      this.waiting.set(seq, { resolve, reject });
      this.model.send({ seq, ...question });
    });
  }

  /** The cells of a large matrix, fetched once. */
  matrix() {
    this.cells ??= this.ask({ ask: "matrix" }).then(({ buffers: [places, counts] }) => ({
      places: new Uint32Array(places.buffer.slice(places.byteOffset, places.byteOffset + places.byteLength)),
      counts: new Float64Array(counts.buffer.slice(counts.byteOffset, counts.byteOffset + counts.byteLength)),
    }));
    return this.cells;
  }

  /** @param {HTMLElement} card */
  adopt(card) {
    for (const [known, view] of this.views) {
      if (!known.isConnected) {
        view.retire();
        this.views.delete(known);
      }
    }
    if (!this.views.has(card)) this.views.set(card, new View(this, card));
  }

  retire() {
    for (const view of this.views.values()) view.retire();
    this.views.clear();
  }
}

/** All companions of the page, and one observer that sees cards come. */
class Registry {
  constructor() {
    /** @type {Map<string, Companion>} */
    this.companions = new Map();
    this.observer = new MutationObserver((changes) => {
      for (const { addedNodes } of changes) {
        for (const node of addedNodes) if (node instanceof HTMLElement) this.look(node);
      }
    });
  }

  /** @param {HTMLElement} root */
  look(root) {
    const cards = root.matches("[data-km]") ? [root] : root.querySelectorAll("[data-km]");
    for (const card of cards) {
      if (card instanceof HTMLElement) this.companions.get(card.dataset.km ?? "")?.adopt(card);
    }
  }

  /** @param {Companion} companion */
  add(companion) {
    if (!this.companions.size) this.observer.observe(document.body, { childList: true, subtree: true });
    this.companions.set(companion.state.key, companion);
    this.look(document.body);
  }

  /** @param {Companion} companion */
  remove(companion) {
    this.companions.delete(companion.state.key);
    if (!this.companions.size) this.observer.disconnect();
    companion.retire();
  }
}

// --- the samples --------------------------------------------------------------------------------

/** Where samples are shown: in the place that the card keeps for them. */
class Panel {
  /** @param {View} view @param {HTMLElement} slot */
  constructor(view, slot) {
    this.view = view;
    this.slot = slot;
    this.kept = [...slot.childNodes];
    this.asked = 0;
    /** @type {string[]} */
    this.addresses = [];
    /** @type {Cell[]} */
    this.cells = [];
  }

  /** @param {Cell[]} cells */
  async show(cells) {
    this.asked += 1;
    const turn = this.asked;
    this.cells = cells;
    const late = setTimeout(() => turn === this.asked && this.say("waiting for the kernel ..."), PATIENCE);
    try {
      const reply = await this.fetch(cells, 0);
      if (turn !== this.asked) return;
      this.release();
      this.build(cells, reply);
    } catch (error) {
      if (turn === this.asked) this.say(String(error instanceof Error ? error.message : error));
    } finally {
      clearTimeout(late);
    }
  }

  /** @param {Cell[]} cells @param {number} first */
  fetch(cells, first) {
    const { threshold } = this.view;
    return this.view.companion.ask({ ask: "samples", cells, first, count: PAGE, threshold });
  }

  /** @param {Cell[]} cells @param {any} reply */
  build(cells, reply) {
    const title = element("div", "km-sub");
    const name = element("b");
    name.append(...this.view.title(cells));
    title.append(name, " ", element("span", "km-mute", reply.words));
    const strip = element("div", reply.samples.some((/** @type {Sample} */ s) => s.mime) ? "km-thumbs" : "km-texts");
    let shown = 0;
    const more = button("more", async () => {
      more.disabled = true;
      const turn = this.asked;
      const next = await this.fetch(cells, shown);
      if (turn === this.asked) add(next);
    });
    const add = (/** @type {any} */ page) => {
      strip.append(...this.draw(page));
      shown += page.samples.length;
      more.hidden = shown >= page.total;
      more.disabled = false;
      more.textContent = `${tally(page.total - shown)} more`;
    };
    add(reply);
    const acts = element("div", "km-acts");
    const call = this.view.call(cells);
    const copy = button(call, () => {
      navigator.clipboard?.writeText(call).then(() => { copy.textContent = "copied"; }, () => {});
    });
    copy.classList.add("km-call");
    copy.title = "copy: it gives the numbers of these samples";
    const close = button("close", () => this.close());
    acts.append(more, copy, close);
    this.slot.replaceChildren(title, strip, acts);
    this.view.tell(`${title.textContent}: ${reply.samples.length} of ${tally(reply.total)} samples shown`);
  }

  /** @param {{samples: Sample[], buffers: DataView[]}} page */
  draw({ samples, buffers }) {
    let next = 0;
    return samples.map((sample) => {
      if (!sample.mime) {
        const line = element("div", "km-text");
        const caption = sample.caption === `no. ${tally(sample.number)}` ? "" : ` \u00b7 ${sample.caption}`;
        const text = element("bdi", "", sample.text);
        line.append(element("span", "km-mute", `no. ${tally(sample.number)}${caption} `), text);
        return line;
      }
      const figure = element("div", "km-thumb");
      figure.title = `no. ${tally(sample.number)}: ${sample.title}`;
      const picture = /** @type {HTMLImageElement} */ (element("img"));
      const address = URL.createObjectURL(new Blob([buffers[next]], { type: sample.mime }));
      next += 1;
      this.addresses.push(address);
      picture.src = address;
      picture.alt = `sample ${tally(sample.number)}: ${sample.title}`;
      picture.width = sample.width ?? 0;
      picture.height = sample.height ?? 0;
      if (sample.pixelated) picture.style.imageRendering = "pixelated";
      figure.append(picture, element("div", "km-mute", sample.caption));
      return figure;
    });
  }

  /** @param {string} words */
  say(words) {
    this.release();
    this.slot.replaceChildren(element("div", "km-mute", words));
  }

  close() {
    this.asked += 1;
    this.cells = [];
    this.release();
    this.slot.replaceChildren(...this.kept);
    this.view.closed();
  }

  release() {
    for (const address of this.addresses.splice(0)) URL.revokeObjectURL(address);
  }
}

// --- one card -----------------------------------------------------------------------------------

class View {
  /** @param {Companion} companion @param {HTMLElement} card */
  constructor(companion, card) {
    this.companion = companion;
    this.state = companion.state;
    this.card = card;
    this.root = /** @type {HTMLElement} */ (card.closest(".kmagic") ?? card);
    this.how = { log: this.state.scale === "log", diagonal: this.state.diagonal };
    /** The classes in the order they are shown. */
    this.order = this.state.shown;
    this.matrix = this.state.matrix;
    /** @type {number | null} */
    this.threshold = null;
    /** @type {Cell[]} */
    this.selection = [];
    /** @type {(() => void)[]} */
    this.undo = [];
    /** @type {Heat | null} */
    this.heat = null;
    this.table = /** @type {HTMLTableElement | null} */ (card.querySelector("table.km-matrix"));
    this.build();
  }

  /** @param {EventTarget} target @param {string} kind @param {(event: any) => void} act */
  on(target, kind, act) {
    target.addEventListener(kind, act);
    this.undo.push(() => target.removeEventListener(kind, act));
  }

  build() {
    const { card, state } = this;
    const slot = /** @type {HTMLElement} */ (card.querySelector(".km-slot"));
    for (const opened of card.querySelectorAll("details.km-cell[open]")) opened.removeAttribute("open");
    this.panel = new Panel(this, slot);
    this.news = element("div", "km-unseen");
    this.news.setAttribute("role", "status");
    this.tools = element("div", "km-tools");
    card.prepend(this.tools);
    card.append(this.news);
    card.classList.add("km-alive");
    this.undo.push(() => {
      card.classList.remove("km-alive");
      this.tools?.remove();
      this.news?.remove();
    });
    if (state.names.length > 2) this.tools.append(this.sorting());
    if (state.kind === "matrix") {
      this.tools.append(
        checkbox("log colours", this.how.log, (log) => this.recolour({ log })),
        checkbox("colour what is right too", this.how.diagonal, (diagonal) => this.recolour({ diagonal })),
      );
    }
    this.hint = element("span", "km-mute km-hint", "click a cell for its samples, with Ctrl several");
    this.tools.append(this.hint);
    if (this.table) this.bindTable(this.table);
    this.on(this.root, "change", (event) => {
      if (event.target?.name === "km-by") this.paint();
    });
    this.bindList();
    if (!this.matrix) this.bindMap();
    if (state.sweep) this.bindSweep(state.sweep);
  }

  retire() {
    this.panel?.close();
    this.heat?.forget();
    for (const undo of this.undo.splice(0).reverse()) undo();
  }

  /** @param {string} words */
  tell(words) {
    if (this.news) this.news.textContent = words;
  }

  // --- words ------------------------------------------------------------------------------------

  /** @param {Cell[]} cells @returns {Node[]} */
  title(cells) {
    if (cells.length > 1) return [document.createTextNode(`${cells.length} cells`)];
    const [true_, predicted] = cells[0].map((k) => element("bdi", "", this.state.names[k]));
    if (cells[0][0] === cells[0][1]) return [true_, document.createTextNode(" right")];
    return [true_, document.createTextNode(" taken for "), predicted];
  }

  /** What gives the samples in Python. @param {Cell[]} cells */
  call(cells) {
    if (cells.length > 1) return this.state.kind === "matrix" ? ".selected()" : ".new.selected()";
    const [true_, predicted] = cells[0].map((k) => {
      const label = this.state.labels[k];
      return typeof label === "number" ? String(label) : `'${label.replace(/[\\']/g, "\\$&")}'`;
    });
    const moved = this.threshold === null ? "" : `.at(${this.threshold})`;
    const whose = this.state.kind === "matrix" ? moved : ".new";
    return `${whose}.indices(true=${true_}, pred=${predicted})`;
  }

  /** @param {Cell} cell */
  words([row, column]) {
    const { names } = this.state;
    return row === column ? `${names[row]} right` : `${names[row]} taken for ${names[column]}`;
  }

  // --- samples ----------------------------------------------------------------------------------

  /** @param {Cell} cell @param {boolean} more  whether it is added to what is selected */
  choose(cell, more) {
    const same = ([row, column]) => row === cell[0] && column === cell[1];
    if (!more || this.threshold !== null) this.selection = [cell];
    else if (this.selection.some(same)) this.selection = this.selection.filter((each) => !same(each));
    else this.selection = [...this.selection, cell];
    this.mark();
    this.keep();
    if (this.selection.length) this.panel?.show(this.selection);
    else this.panel?.close();
  }

  closed() {
    if (!this.selection.length) return;
    this.selection = [];
    this.mark();
    this.keep();
  }

  /** Tells Python what is selected; at a moved threshold that would be other samples there. */
  keep() {
    const cells = this.threshold === null ? this.selection : [];
    this.companion.ask({ ask: "select", cells }).catch(() => {});
  }

  mark() {
    const chosen = new Set(this.selection.map(([row, column]) => `${row},${column}`));
    this.eachCell((td, cell) => {
      const on = chosen.has(`${cell[0]},${cell[1]}`);
      td.classList.toggle("km-chosen", on);
      td.setAttribute("aria-selected", String(on));
    });
    this.card.classList.toggle("km-choosing", chosen.size > 0);
    if (this.heat) {
      const place = this.places();
      this.heat.chosen = this.selection.map(([row, column]) => ({ row: place[row], column: place[column] }));
      this.heat.schedule();
    }
  }

  // --- the table --------------------------------------------------------------------------------

  /** @param {(td: HTMLTableCellElement, cell: Cell) => void} act */
  eachCell(act) {
    const rows = this.table?.tBodies[0].rows ?? [];
    for (let row = 0; row < this.order.length && row < rows.length; row += 1) {
      for (let column = 0; column < this.order.length; column += 1) {
        act(rows[row].cells[column + 1], [this.tableOrder()[row], this.tableOrder()[column]]);
      }
    }
  }

  /** The classes in the table: of a large matrix only some. */
  tableOrder() {
    return this.matrix ? this.order : this.state.shown;
  }

  /** @param {HTMLTableElement} table */
  bindTable(table) {
    table.setAttribute("role", "grid");
    this.undo.push(() => {
      table.removeAttribute("role");
      this.eachCell((td) => {
        td.removeAttribute("tabindex");
        td.removeAttribute("aria-selected");
        td.classList.remove("km-chosen");
      });
      for (const summary of table.querySelectorAll("summary")) summary.removeAttribute("tabindex");
    });
    for (const summary of table.querySelectorAll("summary")) summary.setAttribute("tabindex", "-1");
    /** @type {HTMLTableCellElement | null} */
    let current = null;
    this.eachCell((td) => {
      td.tabIndex = -1;
      if (td.classList.contains("km-shown")) current = td;
    });
    current ??= table.tBodies[0].rows[0].cells[1];
    current.tabIndex = 0;
    /** @param {HTMLTableCellElement} td */
    const focus = (td) => {
      if (current) current.tabIndex = -1;
      current = td;
      td.tabIndex = 0;
    };
    this.on(table, "click", (event) => {
      const td = this.cellOf(event.target);
      if (!td) return;
      event.preventDefault();
      focus(td);
      this.open(td, event.ctrlKey || event.metaKey || event.shiftKey);
    });
    this.on(table, "keydown", (event) => {
      const td = this.cellOf(event.target);
      if (!td) return;
      const row = /** @type {HTMLTableRowElement} */ (td.parentElement);
      const { rows } = table.tBodies[0];
      const last = this.tableOrder().length;
      /** @type {Record<string, [number, number]>} */
      const moves = {
        ArrowLeft: [row.rowIndex - 1, td.cellIndex - 1], ArrowRight: [row.rowIndex - 1, td.cellIndex + 1],
        ArrowUp: [row.rowIndex - 2, td.cellIndex], ArrowDown: [row.rowIndex, td.cellIndex],
        Home: [row.rowIndex - 1, 1], End: [row.rowIndex - 1, last],
      };
      const to = moves[event.key];
      if (to) {
        const next = rows[to[0]]?.cells[to[1]];
        if (next && to[1] >= 1 && to[1] <= last) {
          focus(next);
          next.focus();
        }
      } else if (event.key === "Enter" || event.key === " ") {
        this.open(td, event.ctrlKey || event.metaKey || event.shiftKey);
      } else if (event.key === "Escape") {
        this.panel?.close();
      } else {
        return;
      }
      // Jupyter has its own use for these keys.
      event.preventDefault();
      event.stopPropagation();
    });
  }

  /** @param {EventTarget | null} target @returns {HTMLTableCellElement | null} */
  cellOf(target) {
    const td = target instanceof Element ? target.closest("td") : null;
    const inside = td && td.closest("tbody") && td.cellIndex >= 1 && td.cellIndex <= this.tableOrder().length;
    return inside && td.closest("table") === this.table ? td : null;
  }

  /** @param {HTMLTableCellElement} td @param {boolean} more */
  open(td, more) {
    const row = /** @type {HTMLTableRowElement} */ (td.parentElement).rowIndex - 1;
    const order = this.tableOrder();
    if (td.classList.contains("km-none")) return;
    this.choose([order[row], order[td.cellIndex - 1]], more);
  }

  bindList() {
    for (const item of this.card.querySelectorAll(".km-list li")) {
      const place = [...(item.parentElement?.children ?? [])].indexOf(item);
      const cell = this.state.worst[place];
      if (!cell) continue;
      item.classList.add("km-goes");
      item.setAttribute("tabindex", "0");
      item.setAttribute("role", "button");
      this.undo.push(() => {
        item.classList.remove("km-goes");
        item.removeAttribute("tabindex");
        item.removeAttribute("role");
      });
      const go = () => {
        this.choose(cell, false);
        this.goTo(cell);
      };
      this.on(item, "click", go);
      this.on(item, "keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        go();
      });
    }
  }

  // --- order and colours ------------------------------------------------------------------------

  sorting() {
    const label = element("label", "km-check", "sort ");
    const choice = /** @type {HTMLSelectElement} */ (element("select"));
    for (const [value, words] of Object.entries(ORDERS)) {
      const option = /** @type {HTMLOptionElement} */ (element("option", "", words));
      option.value = value;
      option.selected = value === this.state.order;
      choice.append(option);
    }
    choice.addEventListener("change", async () => {
      const { order } = await this.companion.ask({ ask: "order", by: choice.value });
      if (this.matrix) this.reorder(order);
      this.order = order;
      this.mark();
      this.paint();
      this.tell(`classes sorted ${ORDERS[/** @type {keyof typeof ORDERS} */ (choice.value)]}`);
    });
    label.append(choice);
    const before = this.state.shown;
    this.undo.push(() => this.matrix && this.reorder(before));
    return label;
  }

  /** Moves the table's rows and columns. @param {number[]} order */
  reorder(order) {
    if (!this.table) return;
    const place = new Map(this.order.map((k, at) => [k, at]));
    const moves = order.map((k) => /** @type {number} */ (place.get(k)));
    const body = this.table.tBodies[0];
    const rows = [...body.rows];
    body.append(...moves.map((at) => rows[at]));
    for (const row of this.table.rows) {
      const cells = [...row.cells];
      const after = cells[order.length + 1] ?? null;
      for (const at of moves) row.insertBefore(cells[at + 1], after);
    }
    this.order = order;
  }

  /** @param {Partial<{log: boolean, diagonal: boolean}>} change */
  recolour(change) {
    this.how = { ...this.how, ...change };
    this.paint();
  }

  /** What percentages and colours are of. */
  over() {
    const chosen = this.root.querySelector('input[name="km-by"]:checked');
    return chosen instanceof HTMLInputElement ? chosen.value : "counts";
  }

  /** The values of cells as they are coloured: counts, or shares of rows or columns. */
  shares(/** @type {ArrayLike<number>} */ counts, /** @type {ArrayLike<number>} */ rows,
    /** @type {ArrayLike<number>} */ columns, /** @type {string} */ over) {
    if (over !== "true" && over !== "pred") return counts;
    const side = over === "true" ? rows : columns;
    const sums = new Float64Array(this.state.names.length);
    for (let k = 0; k < counts.length; k += 1) sums[side[k]] += counts[k];
    return Float64Array.from({ length: counts.length }, (_, k) => share(counts[k], sums[side[k]]));
  }

  paint() {
    if (this.heat) this.paintMap();
    if (!this.matrix || this.state.kind !== "matrix") return;
    const classes = this.matrix.length;
    const flat = this.matrix.flat();
    const rows = flat.map((_, k) => Math.floor(k / classes));
    const columns = flat.map((_, k) => k % classes);
    const right = (/** @type {number} */ k) => rows[k] === columns[k];
    const [counts, true_, predicted] = ["counts", "true", "pred"].map((over) =>
      tones(this.shares(flat, rows, columns, over), right, this.how));
    this.eachCell((td, [row, column]) => {
      const k = row * classes + column;
      if (!flat[k]) return;
      const strength = (/** @type {Float32Array} */ of) => Math.abs(of[k]).toFixed(3);
      td.style.setProperty("--c", strength(counts));
      td.style.setProperty("--t", strength(true_));
      td.style.setProperty("--p", strength(predicted));
    });
  }

  // --- a large matrix ---------------------------------------------------------------------------

  /** Where each class is in the order shown. */
  places() {
    const place = new Uint16Array(this.state.names.length);
    this.mapOrder.forEach((k, at) => { place[k] = at; });
    return place;
  }

  get mapOrder() {
    return this.order.length === this.state.names.length ? this.order : this.state.ordered;
  }

  async bindMap() {
    const host = this.card.querySelector(".km-map");
    const still = host?.querySelector("img");
    const read = host?.querySelector(".km-read");
    if (!host || !still || !read) return;
    const { names } = this.state;
    const words = read.textContent ?? "";
    const cells = await this.companion.matrix();
    if (!this.card.classList.contains("km-alive")) return; // it has gone meanwhile
    const classes = names.length;
    this.cells = cells;
    this.rows = Uint32Array.from(cells.places, (place) => Math.floor(place / classes));
    this.columns = Uint32Array.from(cells.places, (place) => place % classes);
    /** @type {Map<number, number>} */
    const count = new Map();
    cells.places.forEach((place, k) => count.set(place, cells.counts[k]));
    const sums = new Float64Array(classes);
    cells.counts.forEach((value, k) => { sums[/** @type {Uint32Array} */ (this.rows)[k]] += value; });
    const describe = (/** @type {Cell} */ [row, column]) => {
      const value = count.get(row * classes + column) ?? 0;
      const what = `${this.words([row, column])}: ${value < 0 ? "\u2212" : ""}${tally(Math.abs(value))}`;
      return this.state.kind === "difference" ? what : `${what} of ${tally(sums[row])}`;
    };
    const heat = new Heat(classes, (place) => names[this.mapOrder[place]], {
      hover: (place) => {
        const cell = place && /** @type {Cell} */ ([this.mapOrder[place.row], this.mapOrder[place.column]]);
        read.textContent = cell ? describe(cell) : words;
        heat.canvas.setAttribute("aria-label", cell ? describe(cell) : words);
      },
      choose: ({ row, column }, more) => {
        const cell = /** @type {Cell} */ ([this.mapOrder[row], this.mapOrder[column]]);
        if (count.get(cell[0] * classes + cell[1])) this.choose(cell, more);
      },
    });
    this.heat = heat;
    heat.canvas.setAttribute("aria-label", words);
    still.before(heat.canvas);
    still.hidden = true;
    let at = -1;
    const next = (/** @type {number} */ step) => {
      at = Math.min(Math.max(at + step, 0), this.state.worst.length - 1);
      const cell = this.state.worst[at];
      if (!cell) return;
      this.goTo(cell);
      this.choose(cell, false);
    };
    const acts = element("div", "km-acts");
    const still_ = { "+": "zoom in", "\u2212": "zoom out", whole: "show all classes" };
    acts.append(
      button("+", () => heat.zoomBy(2)), button("\u2212", () => heat.zoomBy(0.5)), button("whole", () => heat.zoomBy(0)),
      button("\u2039 worst", () => next(-1)), button("worst \u203a", () => next(1)),
    );
    for (const each of acts.querySelectorAll("button")) {
      each.title = still_[/** @type {keyof typeof still_} */ (each.textContent ?? "")] ?? "walk through the worst cells";
      each.setAttribute("aria-label", each.title);
    }
    read.after(acts);
    this.undo.push(() => {
      heat.canvas.remove();
      acts.remove();
      still.hidden = false;
      read.textContent = words;
    });
    heat.fit();
    this.paintMap();
  }

  /** @param {Cell} cell */
  goTo([row, column]) {
    const place = this.places();
    this.heat?.go({ row: place[row], column: place[column] }, true);
  }

  paintMap() {
    const { cells, rows, columns } = this;
    if (!cells || !rows || !columns || !this.heat) return;
    const right = (/** @type {number} */ k) => rows[k] === columns[k];
    const strength = this.state.kind === "difference"
      ? differenceTones(cells.counts, right)
      : tones(this.shares(cells.counts, rows, columns, this.over()), right, this.how);
    const place = this.places();
    this.heat.show({
      rows: Uint16Array.from(rows, (k) => place[k]), columns: Uint16Array.from(columns, (k) => place[k]), tones: strength,
    });
  }

  // --- two classes and a threshold --------------------------------------------------------------

  /** @param {Sweep} sweep */
  bindSweep(sweep) {
    const curves = this.card.querySelector(".km-curves") ?? this.card;
    const row = element("div", "km-slide");
    const label = element("label", "");
    const slider = /** @type {HTMLInputElement} */ (element("input"));
    slider.type = "range";
    slider.min = "0";
    slider.max = String(sweep.thresholds.length - 1);
    const start = sweep.thresholds.indexOf(sweep.now);
    slider.value = String(start);
    const name = element("bdi", "", this.state.names[1]);
    label.append("threshold: ", name, " is meant above ", slider);
    const value = element("output", "km-num");
    const said = element("span", "km-mute km-num");
    const back = button("back", () => {
      slider.value = String(start);
      move();
    });
    row.append(label, value, back, said);
    curves.prepend(row);
    const facts = this.root.querySelector(".km-head .km-mute");
    const before = facts?.textContent ?? "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let later;
    const move = () => {
      const step = Number(slider.value);
      const threshold = sweep.thresholds[step];
      const [rest, alarms, missed, hits] = sweep.counts[step];
      this.threshold = step === start ? null : threshold;
      this.card.classList.toggle("km-moved", step !== start);
      this.matrix = [[rest, alarms], [missed, hits]];
      const right = share(rest + hits, rest + alarms + missed + hits);
      const text = threshold.toFixed(3).replace(/0+$/, "").replace(/\.$/, "");
      value.textContent = text;
      slider.setAttribute("aria-valuetext", text);
      back.disabled = step === start;
      said.textContent = `accuracy ${right.toFixed(4)}, precision ${share(hits, hits + alarms).toFixed(4)}, ` +
        `recall ${share(hits, hits + missed).toFixed(4)}`;
      if (facts) {
        facts.textContent = step === start ? before
          : `${tally(sweep.samples)} ${sweep.unit} \u00b7 ${tally(alarms + missed)} wrong \u00b7 ` +
            `accuracy ${right.toFixed(4)} \u00b7 ${this.state.names[1]} above ${text}`;
      }
      this.refill();
      this.moveMarks([share(alarms, rest + alarms), share(hits, missed + hits)], share(hits, hits + alarms));
      clearTimeout(later);
      later = setTimeout(() => {
        if (this.panel?.cells.length) this.panel.show(this.panel.cells);
      }, PAUSE);
    };
    slider.addEventListener("input", move);
    // The arrows move the slider, and not the notebook's selection.
    slider.addEventListener("keydown", (event) => event.stopPropagation());
    const kept = this.table?.cloneNode(true);
    this.undo.push(() => {
      clearTimeout(later);
      row.remove();
      this.card.classList.remove("km-moved");
      if (facts) facts.textContent = before;
      const [mark] = [sweep.counts[start]];
      this.moveMarks([share(mark[1], mark[0] + mark[1]), share(mark[3], mark[2] + mark[3])], share(mark[3], mark[1] + mark[3]));
      if (kept && this.table) this.table.replaceWith(kept);
    });
    move();
  }

  /** Puts the matrix of another threshold into the table of two classes. */
  refill() {
    const { matrix, table } = this;
    if (!matrix || !table) return;
    const all = matrix.flat().reduce((sum, each) => sum + each, 0);
    const rows = matrix.map(([a, b]) => a + b);
    const columns = [matrix[0][0] + matrix[1][0], matrix[0][1] + matrix[1][1]];
    this.eachCell((td, [row, column]) => {
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
    const body = table.tBodies[0].rows;
    this.tableOrder().forEach((k, at) => {
      const right = matrix[k][k];
      const [recall, f1, support] = [...body[at].cells].slice(-3);
      const rate = share(right, rows[k]);
      const words = recall.querySelector(".km-recall > span:last-child");
      if (words) words.textContent = percent(rate);
      const fill = recall.querySelector(".km-bar > span");
      if (fill instanceof HTMLElement) fill.style.width = `${percent(rate)}%`;
      f1.textContent = percent(share(2 * right, rows[k] + columns[k]));
      support.textContent = tally(rows[k]);
      const foot = table.tFoot?.rows[0].cells;
      if (foot) foot[at + 1].textContent = columns[k] ? percent(share(right, columns[k])) : "\u2013";
    });
    const foot = table.tFoot?.rows[0].cells;
    const right = share(matrix[0][0] + matrix[1][1], all);
    if (foot) foot[foot.length - 1].textContent = `accuracy ${percent(right, 2)}`;
    this.paint();
    this.mark();
  }

  /** @param {[number, number]} roc @param {number} precision */
  moveMarks(roc, precision) {
    const charts = [...this.card.querySelectorAll(".km-curves .km-drawn svg")];
    [roc, /** @type {[number, number]} */ ([roc[1], precision])].forEach(([x, y], place) => {
      const chart = charts[place];
      const mark = chart?.querySelector(".km-at");
      const [low, high] = [chart, chart].map((each) => each?.querySelectorAll(".km-grid"));
      if (!mark || !low?.length || !high?.length) return;
      // The first horizontal line is at 0, the last at 1; each has a vertical one after it.
      const at = (/** @type {number} */ line, /** @type {string} */ name) => Number(low[line].getAttribute(name));
      const [x0, x1] = [at(1, "x1"), at(low.length - 1, "x1")];
      const [y0, y1] = [at(0, "y1"), at(low.length - 2, "y1")];
      mark.setAttribute("cx", String(x0 + x * (x1 - x0)));
      mark.setAttribute("cy", String(y0 + y * (y1 - y0)));
    });
  }
}

// Each widget brings this module along; the page has one registry.
const REGISTRY = Symbol.for("kmagic.cards");

export default {
  /** @param {{model: Model, signal?: AbortSignal}} context */
  initialize({ model, signal }) {
    const page = /** @type {any} */ (window);
    /** @type {Registry} */
    const registry = (page[REGISTRY] ??= new Registry());
    const companion = new Companion(model);
    registry.add(companion);
    // Jupyter keeps a widget whose kernel was started anew, but nobody answers it any more.
    const life = model.widget_manager?.kernel?.statusChanged;
    const onKernel = (/** @type {unknown} */ _, /** @type {string} */ status) => {
      if (["dead", "restarting", "autorestarting", "terminating"].includes(status)) leave();
    };
    const leave = () => {
      life?.disconnect?.(onKernel);
      registry.remove(companion);
    };
    life?.connect?.(onKernel);
    signal?.addEventListener("abort", leave);
    return leave;
  },
};

// For the test that holds them against their twins in Python.
export { differenceTones, tones };
