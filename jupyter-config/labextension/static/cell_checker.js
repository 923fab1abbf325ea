// @ts-check
/** Has the kernel check a text after changes, and stores the answer. */

import { movedProblems, movedShapes } from './annotations.js';
import { offsetOf } from './kernel_positions.js';

const DELAY = 150;
const REST = 700;

/**
 * @param {any} packages
 * @param {any} annotations of createAnnotations
 * @param {() => import('./kernel_client.js').KernelClient | null} findClient
 */
export function cellChecker({ view: { ViewPlugin } }, { field, setAnswer, endTyping }, findClient) {
  return ViewPlugin.fromClass(class {
    /** @param {any} view */
    constructor(view) {
      this.view = view;
      this.client = findClient();
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      this.timer = undefined;
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      this.rest = undefined;
      /** Texts that were sent, with the changes since. @type {Set<{changes: any}>} */
      this.sent = new Set();
      this.events = {
        connected: () => this.schedule(0),
        executed: () => this.afterExecution(),
        lost: () => this.clear(),
        status: () => this.showStatus(),
      };
      for (const [type, listener] of Object.entries(this.events)) this.client?.addEventListener(type, listener);
      this.showStatus();
      this.schedule(0);
    }

    destroy() {
      clearTimeout(this.timer);
      clearTimeout(this.rest);
      this.client?.forget(this);
      for (const [type, listener] of Object.entries(this.events)) this.client?.removeEventListener(type, listener);
    }

    /** @param {any} update */
    update(update) {
      if (!update.docChanged) return;
      for (const text of this.sent) text.changes = text.changes.compose(update.changes);
      this.schedule(DELAY);
      clearTimeout(this.rest);
      this.rest = setTimeout(() => this.view.dispatch({ effects: endTyping.of(null) }), REST);
    }

    /** @param {number} delay */
    schedule(delay) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.check(), delay);
    }

    async check() {
      const { doc } = this.view.state;
      const text = { changes: this.view.state.changes() };
      this.sent.add(text);
      const answer = await this.client?.request(this, 'check', { code: doc.toString() });
      this.sent.delete(text);
      if (!answer?.lines) return; // none, or the kernel could not answer
      const shapes = answer.lines.map((/** @type {any} */ line) => shapeAt(doc, line));
      const problems = answer.problems.map((/** @type {any} */ problem) => problemAt(doc, problem));
      this.view.dispatch({
        effects: setAnswer.of({ shapes: movedShapes(shapes, text.changes), problems: movedProblems(problems, text.changes) }),
      });
    }

    /** A variable may have changed that the text uses. */
    afterExecution() {
      const { problems, shapes } = this.view.state.field(field);
      if (problems.length || !shapes.length || this.view.state.doc.toString().includes('{')) this.schedule(0);
    }

    clear() {
      clearTimeout(this.timer);
      const { problems, shapes } = this.view.state.field(field);
      if (problems.length || shapes.length)
        this.view.dispatch({ effects: setAnswer.of({ shapes: [], problems: [] }) });
    }

    showStatus() {
      this.view.dom.toggleAttribute('data-kmagic-busy', Boolean(this.client?.busy));
    }
  });
}

/** @param {any} doc @param {{line: number, shape: string, parameters: string}} line */
function shapeAt(doc, { line, shape, parameters }) {
  return { at: offsetOf(doc, line, 0), text: parameters ? `${shape} \u00b7 ${parameters}` : shape };
}

/** @param {any} doc @param {any} problem @returns {import('./annotations.js').Problem} */
function problemAt(doc, { severity, message, remedy, fix, ...range }) {
  let { from, to } = span(doc, range);
  // An empty range, such as the end of a line, takes the character before it, or that after it.
  if (from === to && from > doc.lineAt(from).from) from -= 1;
  else if (from === to && to < doc.lineAt(to).to) to += 1;
  return { from, to, severity, message, remedy, fix: fix && { ...span(doc, fix), text: fix.text } };
}

/** @param {any} doc @param {any} range */
function span(doc, range) {
  const from = offsetOf(doc, range.line, range.column);
  return { from, to: Math.max(from, offsetOf(doc, range.end_line, range.end_column)) };
}
