// @ts-check
/** What JupyterLab loads of a prebuilt extension: it passes the shared packages, and gets a plugin. */
{
  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const folder = new URL('.', script.src);
  /** @type {any} */
  let scope;

  const page = /** @type {any} */ (window);
  page._JUPYTERLAB ??= {};
  page._JUPYTERLAB.kmagic = {
    /** @param {any} shared */
    init(shared) {
      scope = shared;
    },

    async get() {
      const { createPlugin } = await import(new URL('plugin.js', folder).href);
      const plugin = await createPlugin(scope, folder);
      return () => ({ __esModule: true, default: plugin });
    },
  };
}
