// @ts-check
/**
 * The samples behind cells: in the place that the card keeps for them.
 *
 * @typedef {import("./companion.js").Cell} Cell
 * @typedef {import("./companion.js").Sample} Sample
 * @typedef {import("./confusion.js").View} View
 */

import { button } from "./controls.js";
import { element } from "./elements.js";
import { tally } from "./figures.js";
import { cellCall, cellTitle } from "./wording.js";

const PAGE = 12;
/** Milliseconds after which a reader is told what is waited for. */
const LATE = 600;

export class Panel {
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
    const late = setTimeout(() => turn === this.asked && this.say("waiting for the kernel ..."), LATE);
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

  /** Shows anew what is shown, if anything is. */
  again() {
    if (this.cells.length) this.show(this.cells);
  }

  /** @param {Cell[]} cells @param {number} first */
  fetch(cells, first) {
    const { threshold } = this.view;
    return this.view.companion.ask({ ask: "samples", cells, first, count: PAGE, threshold });
  }

  /** @param {Cell[]} cells @param {any} reply */
  build(cells, reply) {
    const { state, threshold } = this.view;
    const title = element("div", "km-sub");
    const name = element("b");
    name.append(...cellTitle(state, cells));
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
    const call = cellCall(state, cells, threshold);
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
      if (!sample.mime) return this.drawText(sample);
      const packed = buffers[next];
      next += 1;
      return this.drawPicture(sample, packed);
    });
  }

  /** @param {Sample} sample */
  drawText(sample) {
    const line = element("div", "km-text");
    const caption = sample.caption === `no. ${tally(sample.number)}` ? "" : ` \u00b7 ${sample.caption}`;
    const text = element("bdi", "", sample.text);
    line.append(element("span", "km-mute", `no. ${tally(sample.number)}${caption} `), text);
    return line;
  }

  /** @param {Sample} sample @param {DataView} packed  its picture's file */
  drawPicture(sample, packed) {
    const figure = element("div", "km-thumb");
    figure.title = `no. ${tally(sample.number)}: ${sample.title}`;
    const picture = /** @type {HTMLImageElement} */ (element("img"));
    const address = URL.createObjectURL(new Blob([/** @type {any} */ (packed)], { type: sample.mime }));
    this.addresses.push(address);
    picture.src = address;
    picture.alt = `sample ${tally(sample.number)}: ${sample.title}`;
    picture.width = sample.width ?? 0;
    picture.height = sample.height ?? 0;
    if (sample.pixelated) picture.style.imageRendering = "pixelated";
    figure.append(picture, element("div", "km-mute", sample.caption));
    return figure;
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
