/**
 * Runs in each page before Jupyter does; `LAB_KERNEL` stands before it.
 *
 * It finds the notebook and its cells by Jupyter's own objects, keeps track of promises so that
 * Python can wait for one with a deadline, and makes the application open documents without a
 * kernel if that is asked for.
 */
{
  /** @type {Map<string, {done: boolean, error: string | null}>} */
  const calls = new Map();

  window.labHarness = {
    /** Keep track of a promise. */
    begin(key, promise) {
      const call = { done: false, error: null };
      calls.set(key, call);
      Promise.resolve(promise).then(
        () => { call.done = true; },
        error => { call.error = String(error?.message ?? error); call.done = true; },
      );
    },

    /** How a promise went so far; undefined for one that is not known (after a reload). */
    call: key => calls.get(key),

    /** Whether a promise is known and has not settled. */
    pending: key => calls.get(key)?.done === false,

    /** What an expression can use; there is no app, then no panel, while Jupyter loads. */
    scope(path) {
      const app = window.jupyterapp;
      const isNotebook = widget => widget.context?.path === path && widget.content?.widgets;
      const panel = app ? [...app.shell.widgets('main')].find(isNotebook) : undefined;
      const cell = i => {
        const found = panel.content.widgets[i];
        if (!found) throw new Error(`no cell ${i}: there are ${panel.content.widgets.length}`);
        return found;
      };
      return { app, panel, cell, node: i => cell(i).node };
    },
  };

  if (!LAB_KERNEL) {
    // Jupyter assigns window.jupyterapp before it starts, so before it opens anything.
    let app;
    Object.defineProperty(window, 'jupyterapp', {
      configurable: true,
      get: () => app,
      set(value) {
        app = value;
        const registry = app.docRegistry;
        const ask = registry.getKernelPreference.bind(registry);
        registry.getKernelPreference = (...args) => {
          const preference = ask(...args);
          return preference && { ...preference, shouldStart: false, shouldReuse: false };
        };
      },
    });
  }
}
