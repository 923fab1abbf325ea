// @ts-check
/** The output shape after each line, in a column where there is room. */

/** @param {any} packages @param {any} annotations of createAnnotations */
export function liveShapes({ language: { foldedRanges }, view }, { field }) {
  const { Decoration, EditorView, ViewPlugin, WidgetType } = view;

  /** @param {any} state @param {any} line */
  const isFolded = (state, line) => {
    let found = false;
    foldedRanges(state).between(line.from, line.from, (/** @type {number} */ from) => { found ||= from < line.from; });
    return found;
  };

  class ShapeWidget extends WidgetType {
    /** @param {string} text @param {number} length of the line */
    constructor(text, length) {
      super();
      this.text = text;
      this.length = length;
    }

    /** @param {ShapeWidget} other */
    eq(other) {
      return this.text === other.text && this.length === other.length;
    }

    toDOM() {
      const element = document.createElement('span');
      element.className = 'km-shape';
      element.ariaHidden = 'true';
      return this.write(element);
    }

    /** @param {HTMLElement} element */
    updateDOM(element) {
      this.write(element);
      return true;
    }

    /** @param {HTMLElement} element */
    write(element) {
      element.textContent = this.text;
      element.style.setProperty('--km-length', `${this.length}ch`);
      return element;
    }

    /** Those of the end of the text, so that what is there, such as help, is not at the shape. @param {HTMLElement} element */
    coordsAt(element) {
      const { left, top, bottom } = element.getBoundingClientRect();
      const end = left - Number.parseFloat(getComputedStyle(element).marginLeft);
      return { left: end, right: end, top, bottom };
    }

    ignoreEvent() {
      return false; // a click sets the cursor
    }
  }

  const plugin = ViewPlugin.fromClass(class {
    /** @param {any} view */
    constructor(view) {
      this.view = view;
      this.layout();
      this.measure();
    }

    /** @param {any} update */
    update(update) {
      const { state, startState } = update;
      const isChanged = state.field(field).shapes !== startState.field(field).shapes
        || foldedRanges(state) !== foldedRanges(startState);
      if (update.docChanged || isChanged) this.layout();
      if (update.geometryChanged) this.measure();
    }

    layout() {
      const { state } = this.view;
      const lines = new Map();
      for (const { at, text } of state.field(field).shapes) {
        const line = state.doc.lineAt(at);
        if (!lines.has(line.from) && line.text.trim() && !isFolded(state, line)) lines.set(line.from, { line, text });
      }
      const shown = [...lines.values()].sort((a, b) => a.line.from - b.line.from);
      this.decorations = Decoration.set(shown.map(({ line, text }) =>
        Decoration.widget({ widget: new ShapeWidget(text, line.length), side: 1 }).range(line.to)));
      const { style } = this.view.scrollDOM;
      style.setProperty('--km-column', `${Math.max(0, ...shown.map(({ line }) => line.length))}ch`);
      style.setProperty('--km-widest', `${Math.max(0, ...shown.map(({ text }) => text.length)) + 4}ch`);
    }

    /** How wide the editor is. */
    measure() {
      this.view.requestMeasure({
        key: this,
        read: () => this.view.scrollDOM.clientWidth,
        write: (/** @type {number} */ width) => this.view.scrollDOM.style.setProperty('--km-room', `${width}px`),
      });
    }
  }, { decorations: (/** @type {any} */ value) => value.decorations });

  const theme = EditorView.theme({
    '.km-shape': {
      marginLeft: 'max(2ch, min(var(--km-column) + 3ch, var(--km-room) - var(--km-widest)) - var(--km-length))',
      paddingLeft: '1ch',
      borderLeft: '1px solid var(--jp-border-color2)',
      color: 'var(--jp-ui-font-color2)',
      whiteSpace: 'nowrap',
      userSelect: 'none',
    },
    // With a delay, because short executions, such as the check of a text, are no reason.
    '&[data-kmagic-busy] .km-shape': { animation: 'km-dim 0.2s 0.6s forwards' },
    '@keyframes km-dim': { to: { opacity: 0.5 } },
    // The default makes lines with a widget a pixel higher.
    '.cm-widgetBuffer': { verticalAlign: 'top' },
  });
  return [plugin, theme];
}
