// @ts-check
/**
 * Which cards of the page belong to which companion: one registry for all of them.
 *
 * @typedef {import("./companion.js").Companion} Companion
 */

// Each widget brings this module along; the page has one registry.
const REGISTRY = Symbol.for("kmagic.cards");

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

/** @returns {Registry} */
export function registry() {
  const page = /** @type {any} */ (window);
  page[REGISTRY] ??= new Registry();
  return page[REGISTRY];
}
