// @ts-check
/**
 * The connection between the cards of one widget in the page and its kernel.
 *
 * The card is HTML that the notebook saves. A widget without a view of its own looks for elements with
 * `data-km` and the widget's key, in the notebook and in every other view of its output, and adds what
 * needs a kernel. When the widget goes, it removes all of that.
 *
 * The requests are answered by kmagic/display/kit/card_widget.py.
 *
 * @typedef {{get(name: string): any, on(name: string, callback: Function): void,
 *     send(content: any): void, widget_manager?: any}} WidgetModel
 * @typedef {{dispose(): void}} Disposable
 */

import { cardRegistry } from "./card_registry.js";

/** One widget: requests to its kernel, and its cards in the page. */
export class CardClient {
  /** @param {WidgetModel} model @param {(client: any, card: HTMLElement) => Disposable} openView */
  constructor(model, openView) {
    this.model = model;
    this.openView = openView;
    /** @type {string} */
    this.key = model.get("state").key;
    this.lastRequest = 0;
    /** @type {Map<number, {resolve: Function, reject: Function}>} */
    this.pending = new Map();
    /** @type {Map<Element, Disposable>} */
    this.views = new Map();
    model.on("msg:custom", (/** @type {any} */ reply, /** @type {DataView[]} */ buffers) => {
      const promise = this.pending.get(reply.reply_to);
      if (!promise) return;
      this.pending.delete(reply.reply_to);
      if (reply.error) promise.reject(new Error(reply.error));
      else promise.resolve({ ...reply, buffers: buffers ?? [] });
    });
  }

  /** @param {string} kind @param {Record<string, any>} [parameters] @returns {Promise<any>} */
  request(kind, parameters) {
    this.lastRequest += 1;
    const id = this.lastRequest;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.model.send({ id, request: kind, ...parameters });
    });
  }

  /** @param {HTMLElement} card */
  attach(card) {
    for (const [attached, view] of this.views) {
      if (!attached.isConnected) {
        view.dispose();
        this.views.delete(attached);
      }
    }
    if (!this.views.has(card)) this.views.set(card, this.openView(this, card));
  }

  dispose() {
    for (const view of this.views.values()) view.dispose();
    this.views.clear();
  }
}

/**
 * Attach a client to the cards of the page while its kernel runs; returns the clean-up.
 *
 * @param {CardClient} client @param {AbortSignal} [signal]
 */
export function connectCards(client, signal) {
  const registry = cardRegistry();
  registry.add(client);
  // Jupyter keeps a widget whose kernel was restarted, but nothing answers it any more.
  const kernelStatus = client.model.widget_manager?.kernel?.statusChanged;
  const onKernelStatus = (/** @type {unknown} */ _, /** @type {string} */ status) => {
    if (["dead", "restarting", "autorestarting", "terminating"].includes(status)) dispose();
  };
  const dispose = () => {
    kernelStatus?.disconnect?.(onKernelStatus);
    registry.remove(client);
  };
  kernelStatus?.connect?.(onKernelStatus);
  signal?.addEventListener("abort", dispose);
  return dispose;
}
