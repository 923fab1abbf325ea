// @ts-check
/**
 * The samples that are selected in a card, in the part of it that is reserved for samples.
 *
 * @typedef {{index: number, caption: string, title: string, text: string, mime?: string,
 *     width?: number, height?: number, pixelated?: boolean}} Sample
 * @typedef {{title(): Node[], call(): string,
 *     fetch(first: number, count: number): Promise<any>}} SampleSource  a selection: its title, the
 *     Python call that gives its indices ("" without one), and a page of its samples
 * @typedef {{announce(text: string): void, clearSelection(): void,
 *     staleHint(): string}} PanelOwner  the hint is shown instead of samples of the saved card that are
 *     no longer valid; "" if they are
 */

import { button, element } from "./elements.js";
import { formatCount } from "./formatting.js";

const PAGE_SIZE = 12;
/** Milliseconds after which the panel says that it is waiting. */
const WAITING_DELAY = 600;

export class SamplePanel {
  /** @param {PanelOwner} owner @param {HTMLElement} container */
  constructor(owner, container) {
    this.owner = owner;
    this.container = container;
    this.originalContent = [...container.childNodes];
    /** Counts requests, so that a late reply to an older one is dropped. */
    this.latest = 0;
    /** @type {string[]} */
    this.imageUrls = [];
    /** @type {SampleSource | null} */
    this.source = null;
    container.classList.add("km-panel");
  }

  /** @param {SampleSource} source */
  async show(source) {
    this.latest += 1;
    const current = this.latest;
    this.source = source;
    const waiting = setTimeout(
      () => current === this.latest && this.showMessage("Waiting for the kernel ..."), WAITING_DELAY);
    try {
      const reply = await source.fetch(0, PAGE_SIZE);
      if (current !== this.latest) return;
      this.releaseImages();
      this.build(source, reply);
    } catch (error) {
      if (current === this.latest) this.showMessage(String(error instanceof Error ? error.message : error));
    } finally {
      clearTimeout(waiting);
    }
  }

  /** Fetch the samples again, after the card has changed. */
  refresh() {
    if (this.source) this.show(this.source);
    else this.showUnselected();
  }

  /** Without a selection: the samples of the saved card. */
  showUnselected() {
    const hint = this.originalContent.length ? this.owner.staleHint() : "";
    this.container.replaceChildren(...(hint ? [element("div", "km-muted", hint)] : this.originalContent));
  }

  /** @param {SampleSource} source @param {any} reply */
  build(source, reply) {
    const title = element("div", "km-subtitle");
    const name = element("b");
    name.append(...source.title());
    title.append(name, " ", element("span", "km-muted", reply.summary));
    const hasImages = reply.samples.some((/** @type {Sample} */ sample) => sample.mime);
    const list = element("div", hasImages ? "km-thumbs" : "km-texts");
    list.setAttribute("role", "group");
    list.setAttribute("aria-label", "samples");
    let shown = 0;
    const more = button("more", async () => {
      more.disabled = true;
      const current = this.latest;
      const next = await source.fetch(shown, PAGE_SIZE);
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
    const call = source.call();
    const copy = button(call, () => {
      navigator.clipboard?.writeText(call).then(() => { copy.textContent = "copied"; }, () => {});
    }, "km-call");
    copy.hidden = !call;
    copy.title = "copy this call, which returns the indices of these samples";
    actions.append(more, copy, button("close", () => this.close()));
    this.container.replaceChildren(title, list, actions);
    this.owner.announce(`${title.textContent}: ${reply.samples.length} of ${formatCount(reply.total)} samples shown`);
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
    this.source = null;
    this.releaseImages();
    this.showUnselected();
    this.owner.clearSelection();
  }

  releaseImages() {
    for (const url of this.imageUrls.splice(0)) URL.revokeObjectURL(url);
  }
}
