// @ts-check
/** Words of the language while the kernel is busy, and the kernel's order of words. */

/** Above the kernel's 550. */
const RANK = 560;
const STEP_BEGINS = /(?:^|[/:=]|\breuse|\bmerge)\s*$/;

/**
 * A provider of completions for cells of the layer language.
 * @param {any} completer the package of JupyterLab
 * @param {any} manager of completions
 * @param {(text: string) => boolean} isModelText
 * @param {Record<string, string[]>} words by role, those of layers first
 */
export function wordCompletion({ CompleterModel }, manager, isModelText, words) {
  const { layer, ...others } = words;
  const values = Object.values(others).flat();

  /** The words stay in the order of the kernel, which knows what is likely; JupyterLab sorts them. */
  class OrderedModel extends CompleterModel {
    /** @param {() => boolean} isModelCell */
    constructor(isModelCell) {
      super();
      this.isModelCell = isModelCell;
      /** @type {Map<string, number> | null} */
      this.places = null;
    }

    /** @param {any[]} items */
    setCompletionItems(items) {
      this.places = this.isModelCell() ? new Map(items.map((item, index) => [item.insertText ?? item.label, index])) : null;
      super.setCompletionItems(items);
    }

    completionItems() {
      const items = super.completionItems();
      const places = this.places;
      if (!places) return items;
      const place = (/** @type {any} */ item) => {
        const text = item.insertText ?? item.label;
        return (places.get(text) ?? 0) + (text.startsWith(this.query) ? 0 : places.size);
      };
      return [...items].sort((a, b) => place(a) - place(b));
    }
  }

  /** @param {any} context */
  const isModelCell = ({ editor }) => Boolean(editor) && isModelText(editor.model.sharedModel.getSource());

  return {
    identifier: 'kmagic:words',
    renderer: null,

    /** Only the first provider decides on the order, so it is this one unless another has its own. */
    get rank() {
      const others = [...manager.getProviders().values()].filter(provider => provider.identifier !== this.identifier);
      const isFirst = others.every(provider => !provider.modelFactory && !provider.renderer);
      return isFirst ? Math.max(RANK, ...others.map(provider => provider.rank + 1)) : RANK;
    },

    /** @param {any} context */
    isApplicable: async context => isModelCell(context) && context.session?.kernel?.status === 'busy',

    /** @param {{text: string, offset: number}} request offsets count code points */
    async fetch({ text, offset }) {
      const before = [...text].slice(0, offset).join('');
      const prefix = /\w*$/.exec(before)?.[0] ?? '';
      const line = before.slice(before.lastIndexOf('\n') + 1, before.length - prefix.length);
      const likely = STEP_BEGINS.test(line) && !/\w=$/.test(line) ? [...layer, ...values] : [...values, ...layer];
      const found = new Set(likely.filter(word => prefix && word.startsWith(prefix)));
      return { start: offset - prefix.length, end: offset, items: [...found].map(label => ({ label, insertText: label })) };
    },

    /** @param {any} context */
    async modelFactory({ widget }) {
      return new OrderedModel(() => {
        const model = widget?.content?.activeCell?.model;
        return Boolean(model) && isModelText(model.sharedModel.getSource());
      });
    },
  };
}
