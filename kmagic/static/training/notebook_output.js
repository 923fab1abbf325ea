// @ts-check
/**
 * The output of a widget in the notebook's document. JupyterLab's widget manager gives access to the
 * document; in other applications these functions do nothing.
 *
 * @typedef {import("./live_view.js").WidgetModel} WidgetModel
 */

const WIDGET_VIEW = "application/vnd.jupyter.widget-view+json";

/**
 * Save the notebook once the widget is part of it. A page that is reloaded reads the notebook from the
 * file, so it would not show an output that is newer.
 *
 * @param {WidgetModel} model
 */
export function saveNotebook(model) {
  const context = model.widget_manager?.context;
  if (!findOutput(model) || !context.model.dirty || context.model.readOnly) return;
  context.save().catch(() => {}); // JupyterLab has told the user why
}

/**
 * Replace the widget by a static card. The kernel does this too, but its message reaches only a page
 * that has seen the cell start.
 *
 * @param {WidgetModel} model @param {Record<string, string>} bundle  the card as MIME bundle
 */
export function replaceOutput(model, bundle) {
  const found = findOutput(model);
  if (!found) return;
  const { outputs, index } = found;
  outputs.set(index, { output_type: "display_data", data: bundle, metadata: {} });
}

/** @param {WidgetModel} model @returns {{outputs: any, index: number} | null} */
function findOutput(model) {
  const cells = model.widget_manager?.context?.model?.cells ?? [];
  for (const { outputs } of cells) {
    for (let index = 0; index < (outputs?.length ?? 0); index += 1) {
      const view = outputs.get(index).data?.[WIDGET_VIEW];
      if (view && view.model_id === model.get("view_id")) return { outputs, index };
    }
  }
  return null;
}
