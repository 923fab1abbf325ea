// @ts-check
/**
 * A card in the notebook's document. JupyterLab's widget manager gives access to it; in other
 * applications this does nothing.
 *
 * @param {import("./card_client.js").WidgetModel} model @param {string} key  the card's
 * @param {Record<string, string>} bundle  what replaces it
 */
export function replaceCard(model, key, bundle) {
  for (const { outputs } of model.widget_manager?.context?.model?.cells ?? []) {
    for (let index = 0; index < (outputs?.length ?? 0); index += 1) {
      const output = outputs.get(index).toJSON();
      const html = [output.data?.["text/html"] ?? ""].flat().join("");
      if (html.includes(`data-km=${key}`)) outputs.set(index, { ...output, data: bundle });
    }
  }
}
