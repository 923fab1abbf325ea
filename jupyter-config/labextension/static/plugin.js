// @ts-check
/** The plugin: an extension of each editor that supports the cells of the layer language. */

import { createAnnotations } from './annotations.js';
import { cellChecker } from './cell_checker.js';
import { helpTooltip } from './help_tooltip.js';
import { KernelClient } from './kernel_client.js';
import { liveShapes } from './live_shapes.js';
import { modelCellExtension } from './model_cell.js';
import { modelLanguage } from './model_language.js';
import { problemMarks } from './problem_marks.js';
import { loadSharedPackages } from './shared_packages.js';
import { closeByEscape, createTooltips } from './tooltips.js';
import { wordCompletion } from './word_completion.js';

const ID = 'kmagic:plugin';
const LONGEST_HEADER = 2000;

/**
 * @param {any} scope the packages that the application shares
 * @param {URL} folder where the files of this extension are
 * @returns {Promise<any>} a plugin of JupyterLab
 */
export async function createPlugin(scope, folder) {
  const load = (/** @type {string} */ name) => fetch(new URL(name, folder)).then(response => response.json());
  const [packages, definition, words] = await Promise.all([
    loadSharedPackages(scope), load('highlighting.json'), load('words.json'),
  ]);
  const matchesCell = cellMatcher(definition.cell);
  const { IEditorExtensionRegistry, EditorExtensionRegistry } = packages.codemirror;
  const { ISettingRegistry } = packages.settings;
  const { INotebookTracker } = packages.notebook;
  const { ICompletionProviderManager } = packages.completer;
  const language = modelLanguage(packages, definition);
  const annotations = createAnnotations(packages);
  const shapes = liveShapes(packages, annotations);
  const tooltips = createTooltips(packages);
  const problems = problemMarks(packages, annotations, tooltips);

  return {
    id: ID,
    description: 'Highlighting, live shapes, diagnostics and help in %%keras_model cells.',
    autoStart: true,
    requires: [IEditorExtensionRegistry],
    optional: [ISettingRegistry, INotebookTracker, ICompletionProviderManager],

    /** @param {any} app @param {any} editors @param {any} settingRegistry @param {any} notebooks @param {any} completions */
    activate(app, editors, settingRegistry, notebooks, completions) {
      const options = new EditorOptions();
      const findClient = clientFinder(notebooks);
      settingRegistry?.load(ID).then((/** @type {any} */ settings) => {
        const update = () => options.set(settings.composite);
        settings.changed.connect(update);
        update();
      }, (/** @type {any} */ error) => console.warn('kmagic: settings are not available:', error));
      completions?.registerProvider(wordCompletion(packages.completer, completions, matchesCell, words, findClient));
      closeByEscape(packages, app.commands, tooltips.closeAll);
      editors.addExtension({
        name: 'kmagic',
        factory: (/** @type {any} */ { model }) => EditorExtensionRegistry.createImmutableExtension(
          modelCellExtension(packages, {
            model,
            options,
            isModelText: doc => matchesCell(doc.sliceString(0, LONGEST_HEADER)),
            extensions: () => [
              options.highlighting ? language : [],
              annotations.field,
              tooltips.extension,
              helpTooltip(packages, annotations, () => findClient(model)),
              options.shapes || options.diagnostics ? cellChecker(packages, annotations, () => findClient(model)) : [],
              options.shapes ? shapes : [],
              options.diagnostics ? problems : [],
            ],
          }),
        ),
      });
    },
  };
}

/** The settings of the plugin, and who wants to know that they change. */
class EditorOptions extends EventTarget {
  highlighting = true;
  shapes = true;
  diagnostics = true;

  /** @param {Record<string, any>} values */
  set({ highlighting, shapes, diagnostics }) {
    Object.assign(this, { highlighting, shapes, diagnostics });
    this.dispatchEvent(new Event('change'));
  }
}

/**
 * Finds the client of the notebook that contains a cell; cells of a console have none.
 * @param {any} notebooks
 * @returns {(model: any) => KernelClient | null}
 */
function clientFinder(notebooks) {
  /** @type {WeakMap<object, KernelClient>} */
  const clients = new WeakMap();
  return ({ sharedModel }) => {
    const isOwner = (/** @type {any} */ panel) => panel.model && panel.model.sharedModel === sharedModel.notebook;
    const context = notebooks?.find(isOwner)?.sessionContext;
    if (!context) return null;
    const client = clients.get(context) ?? new KernelClient(context);
    clients.set(context, client);
    return client;
  };
}

/**
 * @param {string} pattern
 * @returns {(text: string) => boolean} whether a text is a cell of the layer language
 */
function cellMatcher(pattern) {
  const regex = new RegExp(pattern, 'u');
  return text => regex.test(text);
}
