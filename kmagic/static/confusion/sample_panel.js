// @ts-check
/**
 * The samples of the selected cells, in the part of the card that is reserved for samples.
 *
 * @typedef {import("./matrix_client.js").Cell} Cell
 * @typedef {import("./matrix_client.js").Sample} Sample
 * @typedef {import("./interactive_matrix.js").MatrixView} MatrixView
 */

import { button, element } from "../kit/elements.js";
import { formatCount } from "../kit/formatting.js";
import { cellCall, cellTitle } from "./cell_text.js";

const PAGE_SIZE = 12;
/** Milliseconds after which the panel says that it is waiting. */
const WAITING_DELAY = 600;

export class SamplePanel {
  /** @param {MatrixView} view @param {HTMLElement} container */
  constructor(view, container) {
    this.view = view;
    this.container = container;
    this.originalContent = [...container.childNodes];
    /** Counts requests, so that a late reply to an older one is dropped. */
    this.latest = 0;
    /** @type {string[]} */
    this.imageUrls = [];
    /** @type {Cell[]} */
    this.cells = [];
  }

  /** @param {Cell[]} cells */
  async show(cells) {
    this.latest += 1;
    const current = this.latest;
    this.cells = cells;
    const waiting = setTimeout(
      () => current === this.latest && this.showMessage("Waiting for the kernel ..."), WAITING_DELAY);
    try {
      const reply = await this.fetch(cells, 0);
      if (current !== this.latest) return;
      this.releaseImages();
      this.build(cells, reply);
    } catch (error) {
      if (current === this.latest) this.showMessage(String(error instanceof Error ? error.message : error));
    } finally {
      clearTimeout(waiting);
    }
  }

  /** Show what belongs to the view's threshold. */
  refresh() {
    if (this.cells.length) this.show(this.cells);
    else this.showUnselected();
  }

  /** Without a selection: the samples of the saved card, which belong to its own threshold. */
  showUnselected() {
    const isStale = this.view.threshold !== null && this.originalContent.length > 0;
    const hint = element("div", "km-muted", "Click a cell to see its samples at this threshold.");
    this.container.replaceChildren(...(isStale ? [hint] : this.originalContent));
  }

  /** @param {Cell[]} cells @param {number} first */
  fetch(cells, first) {
    const { client, threshold } = this.view;
    return client.request("samples", { cells, first, count: PAGE_SIZE, threshold });
  }

  /** @param {Cell[]} cells @param {any} reply */
  build(cells, reply) {
    const { state, threshold } = this.view;
    const title = element("div", "km-subtitle");
    const name = element("b");
    name.append(...cellTitle(state, cells));
    title.append(name, " ", element("span", "km-muted", reply.summary));
    const hasImages = reply.samples.some((/** @type {Sample} */ sample) => sample.mime);
    const list = element("div", hasImages ? "km-thumbs" : "km-texts");
    list.setAttribute("role", "group");
    list.setAttribute("aria-label", "samples");
    let shown = 0;
    const more = button("more", async () => {
      more.disabled = true;
      const current = this.latest;
      const next = await this.fetch(cells, shown);
      if (current === this.latest) addPage(next);
    });
    const addPage = (/** @type {any} */ page) => {
      list.append(...this.drawSamples(page));
      shown += page.samples.length;
      // More than one page may scroll, by keys too.
      if (shown > PAGE_SIZE) list.tabIndex = 0;
      more.hidden = shown >= page.total;
      more.disabled = false;
      more.textContent = `${formatCount(page.total - shown)} more`;
    };
    addPage(reply);
    const actions = element("div", "km-actions");
    const call = cellCall(state, cells, threshold);
    const copy = button(call, () => {
      navigator.clipboard?.writeText(call).then(() => { copy.textContent = "copied"; }, () => {});
    }, "km-call");
    copy.hidden = !call;
    copy.title = "copy this call, which returns the indices of these samples";
    actions.append(more, copy, button("close", () => this.close()));
    this.container.replaceChildren(title, list, actions);
    this.view.announce(`${title.textContent}: ${reply.samples.length} of ${formatCount(reply.total)} samples shown`);
  }

  /** @param {{samples: Sample[], buffers: DataView[]}} page */
  drawSamples({ samples, buffers }) {
    let nextBuffer = 0;
    return samples.map((sample) => {
      if (!sample.mime) return this.drawText(sample);
      const file = buffers[nextBuffer];
      nextBuffer += 1;
      return this.drawImage(sample, file);
    });
  }

  /** @param {Sample} sample */
  drawText(sample) {
    const line = element("div", "km-text");
    const index = `#${formatCount(sample.index)}`;
    const caption = sample.caption === index ? "" : ` \u00b7 ${sample.caption}`;
    line.append(element("span", "km-muted", `${index}${caption} `), element("bdi", "", sample.text));
    return line;
  }

  /** @param {Sample} sample @param {DataView} file */
  drawImage(sample, file) {
    const figure = element("div", "km-thumb");
    figure.title = `#${formatCount(sample.index)}: ${sample.title}`;
    const image = /** @type {HTMLImageElement} */ (element("img"));
    const url = URL.createObjectURL(new Blob([/** @type {any} */ (file)], { type: sample.mime }));
    this.imageUrls.push(url);
    image.src = url;
    image.alt = `sample ${formatCount(sample.index)}: ${sample.title}`;
    image.width = sample.width ?? 0;
    image.height = sample.height ?? 0;
    if (sample.pixelated) image.style.imageRendering = "pixelated";
    figure.append(image, element("div", "km-muted", sample.caption));
    return figure;
  }

  /** @param {string} text */
  showMessage(text) {
    this.releaseImages();
    this.container.replaceChildren(element("div", "km-muted", text));
  }

  close() {
    this.latest += 1;
    this.cells = [];
    this.releaseImages();
    this.showUnselected();
    this.view.clearSelection();
  }

  releaseImages() {
    for (const url of this.imageUrls.splice(0)) URL.revokeObjectURL(url);
  }
}
