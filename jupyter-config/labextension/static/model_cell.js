// @ts-check
/** Recognises the cells of the layer language, while they are written. */

const PYTHON = new Set(['text/x-ipython', 'text/x-python']);

/**
 * An extension for one editor. It adds others while its text is a cell of the layer language.
 * @param {any} packages
 * @param {{model: any, options: EventTarget, isModelText: (doc: any) => boolean, extensions: () => any}} cell
 */
export function modelCellExtension({ state, view }, { model, options, isModelText, extensions }) {
  const slot = new state.Compartment();
  /** @type {any} */
  const none = [];

  /** @param {any} doc */
  const wanted = doc => PYTHON.has(model.mimeType) && isModelText(doc);

  /** @param {boolean} active */
  const content = active => (active ? extensions() : none);
  /** @param {any} editorState */
  const isActive = editorState => slot.get(editorState) !== none;

  const follow = view.ViewPlugin.define((/** @type {any} */ editor) => {
    const update = () => {
      const active = wanted(editor.state.doc);
      if (active || isActive(editor.state)) editor.dispatch({ effects: slot.reconfigure(content(active)) });
    };
    model.mimeTypeChanged.connect(update);
    options.addEventListener('change', update);
    return {
      destroy() {
        model.mimeTypeChanged.disconnect(update);
        options.removeEventListener('change', update);
      },
    };
  });

  return [
    slot.of(content(wanted(state.Text.of(model.sharedModel.getSource().split('\n'))))),
    state.EditorState.transactionExtender.of((/** @type {any} */ transaction) => {
      if (!transaction.docChanged) return null;
      const active = wanted(transaction.newDoc);
      return active === isActive(transaction.startState) ? null : { effects: slot.reconfigure(content(active)) };
    }),
    follow,
  ];
}
