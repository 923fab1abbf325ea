// @ts-check
/** Tooltips on a problem or a word: one that a key opens, and how Escape closes any of them. */

/** @param {any} packages */
export function createTooltips({ state: { StateEffect, StateField }, view }) {
  const { EditorView, closeHoverTooltips, hasHoverTooltips, showTooltip } = view;
  /** Its value is a tooltip, or null. */
  const open = StateEffect.define();

  const field = StateField.define({
    create: () => null,
    update(/** @type {any} */ value, /** @type {any} */ transaction) {
      for (const effect of transaction.effects) if (effect.is(open)) return effect.value;
      return transaction.docChanged || transaction.selection ? null : value;
    },
    provide: (/** @type {any} */ own) => showTooltip.from(own),
  });

  const marker = EditorView.editorAttributes.of((/** @type {any} */ { state }) =>
    (state.field(field) || hasHoverTooltips(state) ? { class: 'km-has-tooltip' } : null));

  const blur = EditorView.domEventHandlers({
    blur(/** @type {FocusEvent} */ _event, /** @type {any} */ editor) {
      if (editor.state.field(field)) editor.dispatch({ effects: open.of(null) });
    },
  });

  return { field, open, extension: [field, marker, blur], closeAll: [open.of(null), closeHoverTooltips] };
}

/**
 * A binding of JupyterLab, because Notebook 7 ends editing before the editor gets the key.
 * @param {any} packages
 * @param {any} commands
 * @param {any[]} closeAll of createTooltips
 */
export function closeByEscape({ view: { EditorView } }, commands, closeAll) {
  const command = 'kmagic:close-tooltip';
  commands.addCommand(command, {
    label: 'Close the tooltip of a %%keras_model cell',
    execute: () => EditorView.findFromDOM(document.activeElement)?.dispatch({ effects: closeAll }),
  });
  commands.addKeyBinding({ command, keys: ['Escape'], selector: '.cm-editor.km-has-tooltip' });
}
