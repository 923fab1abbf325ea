// @ts-check
/** Words of the language while the kernel is busy; the kernel's order of words, and their summaries. */

/** Above the kernel's 550. */
const RANK = 560;
const SUMMARY_STYLE = {
  width: '46ch', overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap', textAlign: 'left', fontFamily: 'var(--jp-ui-font-family)',
};
const STEP_BEGINS = /(?:^|[/:=]|\breuse|\bmerge)\s*$/;

/**
 * A provider of completions for cells of the layer language.
 * @param {any} completer the package of JupyterLab
 * @param {any} manager of completions
 * @param {(text: string) => boolean} isModelText
 * @param {Record<string, string[]>} words by role, those of layers first
 * @param {(model: any) => import('./kernel_client.js').KernelClient | null} findClient of a cell
 */
export function wordCompletion({ Completer, CompleterModel }, manager, isModelText, words, findClient) {
  const { layer, ...others } = words;
  const values = Object.values(others).flat();
  const summariesOf = summaryReader();

  /** The words stay in the order of the kernel, which knows what is likely; JupyterLab sorts them. */
  class OrderedModel extends CompleterModel {
    /** @param {() => any} modelCell the active cell, if it is one of the layer language */
    constructor(modelCell) {
      super();
      this.modelCell = modelCell;
      /** @type {Map<string, number> | null} */
      this.places = null;
    }

    /** @param {any[]} items */
    setCompletionItems(items) {
      const cell = this.modelCell();
      this.places = cell ? new Map(items.map((item, index) => [item.insertText ?? item.label, index])) : null;
      const summaries = cell && summariesOf.known(findClient(cell));
      super.setCompletionItems(summaries ? items.map(item => ({ ...item, summary: summaries[item.label] ?? '' })) : items);
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
    renderer: summaryRenderer(Completer.getDefaultRenderer()),

    /** Only the first provider decides on the order, so it is this one unless another has its own. */
    get rank() {
      const others = [...manager.getProviders().values()].filter(provider => provider.identifier !== this.identifier);
      const isFirst = others.every(provider => !provider.modelFactory && !provider.renderer);
      return isFirst ? Math.max(RANK, ...others.map(provider => provider.rank + 1)) : RANK;
    },

    /** @param {any} context */
    async isApplicable(context) {
      if (!isModelCell(context)) return false;
      const client = findClient(context.editor.model);
      const isBusy = context.session?.kernel?.status === 'busy' || Boolean(client?.busy);
      if (!isBusy) await summariesOf.load(client);
      return isBusy;
    },

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
        return model && isModelText(model.sharedModel.getSource()) ? model : null;
      });
    },
  };
}

/** The line of documentation of each word, asked from each kernel once. */
function summaryReader() {
  const owner = {};
  /** @type {WeakMap<object, Record<string, string>>} */
  const read = new WeakMap();
  return {
    /** @param {any} client */
    known: client => client && read.get(client),

    /** @param {any} client */
    async load(client) {
      if (!client || read.has(client)) return;
      const answer = await client.request(owner, 'summaries', {});
      if (answer?.summaries) read.set(client, answer.summaries);
    },
  };
}

/**
 * Shows the summary of a word in the place of its kind.
 * @param {any} renderer JupyterLab's
 */
function summaryRenderer(renderer) {
  return {
    /** @param {any} item @param {any} types */
    createCompletionItemNode(item, types) {
      const node = renderer.createCompletionItemNode(item, types);
      const place = node.querySelector('.jp-Completer-typeExtended');
      if (item.summary !== undefined && place) {
        place.textContent = node.title = item.summary;
        Object.assign(place.style, SUMMARY_STYLE);
      }
      return node;
    },
    /** @param {any} item */
    createDocumentationNode: item => renderer.createDocumentationNode(item),
    /** @param {any} item */
    itemWidthHeuristic: item => renderer.itemWidthHeuristic?.(item) ?? item.label.length,
  };
}
