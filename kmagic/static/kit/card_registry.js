// @ts-check
/**
 * The cards of a page, and the widgets that make them interactive.
 *
 * A card is HTML, with its key in `data-km`, and is shown wherever the notebook shows its output. A
 * widget without a view finds it there.
 *
 * @typedef {{key: string, attach(card: HTMLElement): void, dispose(): void}} Client  of one widget
 */

// Each widget loads its own copy of this module, but the page has one registry.
const REGISTRY = Symbol.for("kmagic.cards");

/** All clients of the page, and one observer that notices new cards. */
class CardRegistry {
  constructor() {
    /** @type {Map<string, Client>} */
    this.clients = new Map();
    this.observer = new MutationObserver((changes) => {
      for (const { addedNodes } of changes) {
        for (const node of addedNodes) if (node instanceof HTMLElement) this.attachCards(node);
      }
    });
  }

  /** @param {HTMLElement} root */
  attachCards(root) {
    const cards = root.matches("[data-km]") ? [root] : root.querySelectorAll("[data-km]");
    for (const card of cards) {
      if (card instanceof HTMLElement) this.clients.get(card.dataset.km ?? "")?.attach(card);
    }
  }

  /** @param {Client} client */
  add(client) {
    if (!this.clients.size) this.observer.observe(document.body, { childList: true, subtree: true });
    this.clients.set(client.key, client);
    this.attachCards(document.body);
  }

  /** @param {Client} client */
  remove(client) {
    this.clients.delete(client.key);
    if (!this.clients.size) this.observer.disconnect();
    client.dispose();
  }
}

/** @returns {CardRegistry} */
export function cardRegistry() {
  const page = /** @type {any} */ (window);
  page[REGISTRY] ??= new CardRegistry();
  return page[REGISTRY];
}
