// @ts-check
/**
 * Lets the user review probably wrong labels with keys and buttons, while the kernel runs.
 *
 * Decisions are made in Python at once. A moment later the saved card is replaced in the notebook's
 * document, so a saved notebook shows them without a kernel. The requests are answered by
 * kmagic/display/labels/label_review.py.
 *
 * @typedef {import("../kit/card_client.js").WidgetModel} WidgetModel
 * @typedef {{html?: string, marks: [string, string][], suggested: number[], progress: string,
 *     position?: number | null}} Reply
 */

import { CardClient, connectCards } from "../kit/card_client.js";
import { button, dropdown, element } from "../kit/elements.js";
import { replaceCard } from "../kit/saved_card.js";

/** Milliseconds after a decision until the card in the notebook is replaced. */
const SAVE_DELAY = 800;

/** The widget of a card: where the review is, in every view of it. */
export class ReviewClient extends CardClient {
  /** @param {WidgetModel} model */
  constructor(model) {
    super(model, (client, card) => new ReviewView(client, card));
    /** @type {{names: string[], page: number, total: number}} */
    this.state = model.get("state");
    /** The selected candidate, in the order of the card. */
    this.position = 0;
    /** Whether a view that is drawn again gets the focus. */
    this.hadFocus = false;
    /** Whether the saved card is being replaced, which takes the focus from its view. */
    this.isReplacing = false;
    this.saving = 0;
  }

  get first() {
    return this.position - (this.position % this.state.page);
  }

  saveLater() {
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.save(), SAVE_DELAY);
  }

  async save() {
    const { bundle } = await this.request("card");
    this.isReplacing = true;
    replaceCard(this.model, this.key, bundle);
    setTimeout(() => { this.isReplacing = false; }, SAVE_DELAY);
  }
}

/** One view of the card. */
export class ReviewView {
  /** @param {ReviewClient} client @param {HTMLElement} card */
  constructor(client, card) {
    this.client = client;
    this.card = card;
    this.list = /** @type {HTMLElement} */ (card.querySelector(".km-candidates"));
    this.progress = /** @type {HTMLElement} */ (card.querySelector(".km-progress"));
    this.saved = [this.list.innerHTML, this.progress.textContent ?? ""];
    this.suggested = /** @type {number[]} */ ([]);
    this.shownFirst = -1;
    this.abort = new AbortController();
    const { names } = client.state;
    this.tools = element("div", "km-tools");
    const options = Object.fromEntries(names.map((name, index) => [String(index), name]));
    this.menu = dropdown("as", options, "0", () => {});
    this.select = /** @type {HTMLSelectElement} */ (this.menu.querySelector("select"));
    this.select.setAttribute("aria-label", "relabel as");
    this.previous = button("\u2039", () => this.turn(-1));
    this.previous.setAttribute("aria-label", "previous page");
    this.next = button("\u203a", () => this.turn(1));
    this.next.setAttribute("aria-label", "next page");
    this.where = element("span", "km-muted km-number");
    this.hint = element("div", "km-muted km-keys",
      "Keys: arrows move, K keep, R relabel, C choose another class (then Enter), D drop, U undo");
    if (names.some((name) => /^\d$/.test(name))) this.hint.textContent += ", 0\u20139 that class";
    this.announcement = element("div", "km-visually-hidden");
    this.build();
    this.goTo(client.position);
    if (client.hadFocus) this.list.focus({ preventScroll: true });
  }

  build() {
    this.tools.append(
      button("Keep", () => this.decide("keep")), button("Relabel", () => this.relabel()), this.menu,
      button("Drop", () => this.decide("drop")), button("Undo", () => this.undo()),
      element("span", "km-spacer"), this.previous, this.where, this.next,
    );
    this.announcement.setAttribute("role", "status");
    this.card.prepend(this.tools);
    this.list.after(this.hint, this.announcement);
    this.card.classList.add("km-reviewing");
    for (const [name, value] of [["role", "listbox"], ["tabindex", "0"], ["aria-label", "candidates"]]) {
      this.list.setAttribute(name, value);
    }
    const { signal } = this.abort;
    // Before the notebook's own shortcuts, which are found on the way to the target: D D, R, K ...
    window.addEventListener("keydown", (event) => {
      if (event.target instanceof Node && this.card.contains(event.target)) this.onKey(event);
    }, { signal, capture: true });
    this.card.addEventListener("focusin", () => {
      if (!this.client.hadFocus) this.ask("marks", {}); // decisions may have been made in Python
      this.client.hadFocus = true;
    }, { signal });
    this.card.addEventListener("focusout", (event) => {
      const isInside = event.relatedTarget instanceof Node && this.card.contains(event.relatedTarget);
      if (!isInside && !this.client.isReplacing) this.client.hadFocus = false;
    }, { signal });
    this.list.addEventListener("click", (event) => {
      const item = /** @type {Element} */ (event.target).closest(".km-candidate");
      if (item) this.goTo(this.shownFirst + [...this.list.children].indexOf(item));
      this.list.focus({ preventScroll: true });
    }, { signal });
  }

  dispose() {
    this.abort.abort();
    for (const part of [this.tools, this.hint, this.announcement]) part?.remove();
    this.card.classList.remove("km-reviewing");
    for (const name of ["role", "tabindex", "aria-label", "aria-activedescendant"]) this.list.removeAttribute(name);
    for (const item of this.list.children) item.removeAttribute("aria-selected");
    if (this.shownFirst > 0) [this.list.innerHTML, this.progress.textContent] = this.saved;
  }

  // --- moving -----------------------------------------------------------------------------------

  /** Select a candidate, on whichever page it is. @param {number} position */
  async goTo(position) {
    const { client } = this;
    client.position = Math.max(0, Math.min(client.state.total - 1, position));
    if (client.first !== this.shownFirst) {
      const { first } = client;
      const reply = await this.ask("page", {});
      if (!reply || first !== client.first) return;
      this.shownFirst = first;
    }
    this.mark();
  }

  /** @param {number} pages */
  turn(pages) {
    this.list.focus({ preventScroll: true }); // the button may become disabled
    this.goTo(this.client.first + pages * this.client.state.page);
  }

  /** Show which candidate is selected. */
  mark() {
    const { client } = this;
    const selected = client.position - this.shownFirst;
    [...this.list.children].forEach((item, index) => {
      item.id = `km-${client.key}-${index}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(index === selected));
    });
    const item = this.list.children[selected];
    this.list.setAttribute("aria-activedescendant", item?.id ?? "");
    if (client.hadFocus) item?.scrollIntoView({ block: "nearest" });
    this.select.value = String(this.suggested[selected] ?? 0);
    const last = Math.min(this.shownFirst + client.state.page, client.state.total);
    this.where.textContent = `${this.shownFirst + 1}\u2013${last} of ${client.state.total}`;
    this.previous.disabled = this.shownFirst === 0;
    this.next.disabled = last === client.state.total;
  }

  /** Candidates in one row of the list. */
  columns() {
    const items = /** @type {HTMLElement[]} */ ([...this.list.children]);
    return Math.max(1, items.filter((item) => item.offsetTop === items[0].offsetTop).length);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    event.stopPropagation();
    const target = /** @type {Element} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { client } = this;
    const key = event.key.toLowerCase();
    if (target === this.select) {
      if (key === "enter") this.relabel();
      else if (key === "escape") this.list.focus();
      else return;
      event.preventDefault();
      return;
    }
    if (target.closest("button") && (key === "enter" || key === " ")) return;
    const { page, total } = client.state;
    /** @type {Record<string, number>} */
    const moves = {
      arrowleft: -1, arrowright: 1, arrowup: -this.columns(), arrowdown: this.columns(),
      pageup: -page, pagedown: page, home: -total, end: total,
    };
    const named = client.state.names.indexOf(key);
    if (key in moves) this.goTo(client.position + moves[key]);
    else if (key === "k") this.decide("keep");
    else if (key === "r") this.relabel();
    else if (key === "d") this.decide("drop");
    else if (key === "u") this.undo();
    else if (key === "c") this.select.focus();
    else if (/^\d$/.test(key) && named >= 0) this.decide("relabel", named);
    else return;
    event.preventDefault();
  }

  // --- decisions --------------------------------------------------------------------------------

  /** Decide about the selected candidate, and go to the next one. @param {string} action @param {number} [label] */
  async decide(action, label) {
    const { position } = this.client;
    this.list.focus({ preventScroll: true });
    const first = this.shownFirst;
    const asked = this.ask("decide", { position, action, label: label ?? null });
    this.goTo(position + 1); // at once, since the next key may follow quickly
    const reply = await asked;
    if (!reply) return;
    const [, text] = reply.marks[position - first] ?? ["", ""];
    this.announcement.textContent = `candidate ${position + 1} ${text}; ${reply.progress}`;
    this.client.saveLater();
  }

  /** Relabel as the class in the menu, which is the predicted one unless another is chosen. */
  relabel() {
    this.decide("relabel", Number(this.select.value));
  }

  async undo() {
    const reply = await this.ask("undo", {});
    if (!reply) return;
    this.announcement.textContent = `undone; ${reply.progress}`;
    this.client.saveLater();
    if (typeof reply.position === "number") await this.goTo(reply.position);
  }

  /**
   * Send a request about the page that is shown, and show the reply.
   *
   * @param {string} kind @param {Record<string, any>} parameters @returns {Promise<Reply | null>}
   */
  async ask(kind, parameters) {
    const first = kind === "page" ? this.client.first : Math.max(this.shownFirst, 0);
    try {
      /** @type {Reply} */
      const reply = await this.client.request(kind, { first, ...parameters });
      this.progress.textContent = reply.progress;
      if (first !== (kind === "page" ? this.client.first : this.shownFirst)) return reply;
      if (reply.html !== undefined) this.list.innerHTML = reply.html;
      this.suggested = reply.suggested;
      reply.marks.forEach(([action, text], index) => {
        const mark = /** @type {HTMLElement | null} */ (this.list.children[index]?.querySelector(".km-decision"));
        if (!mark) return;
        mark.dataset.action = action;
        mark.textContent = text;
      });
      return reply;
    } catch (error) {
      this.progress.textContent = error instanceof Error ? error.message : String(error);
      return null;
    }
  }
}

export default {
  /** @param {{model: WidgetModel, signal?: AbortSignal}} context */
  initialize({ model, signal }) {
    return connectCards(new ReviewClient(model), signal);
  },
};
