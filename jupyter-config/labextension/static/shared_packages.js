// @ts-check
/** The packages that JupyterLab shares with extensions. */

const NAMES = {
  state: '@codemirror/state',
  view: '@codemirror/view',
  language: '@codemirror/language',
  codemirror: '@jupyterlab/codemirror',
  completer: '@jupyterlab/completer',
  notebook: '@jupyterlab/notebook',
  settings: '@jupyterlab/settingregistry',
};

/**
 * Loads the packages, each in the version that the application uses.
 * @param {any} scope the share scope of the application's bundler
 * @returns {Promise<Record<keyof typeof NAMES, any>>}
 */
export async function loadSharedPackages(scope) {
  const loaded = Object.entries(NAMES).map(async ([key, name]) => {
    const versions = scope[name];
    if (!versions) throw new Error(`kmagic needs JupyterLab 4.2 or Notebook 7.2: it has no ${name}`);
    const version = Object.keys(versions).reduce((best, other) =>
      versions[best].loaded || (!versions[other].loaded && isOlder(other, best)) ? best : other);
    return [key, (await versions[version].get())()];
  });
  return /** @type {any} */ (Object.fromEntries(await Promise.all(loaded)));
}

/**
 * @param {string} version
 * @param {string} other
 */
const isOlder = (version, other) => version.localeCompare(other, 'en', { numeric: true }) < 0;
