// @ts-check
/** What the kernel says about a text, kept at its place while the text changes. */

/**
 * @typedef {{at: number, text: string}} Shape of the line that contains the position
 * @typedef {{from: number, to: number, text: string}} Fix
 * @typedef {{from: number, to: number, severity: string, message: string, remedy: string, fix: Fix | null}} Problem
 * @typedef {{shapes: Shape[], problems: Problem[], typing: number | null}} Annotations
 *   `typing` is a position in the line that is being typed
 */

/** @type {Annotations} */
const NONE = { shapes: [], problems: [], typing: null };

/** @param {any} packages */
export function createAnnotations({ state: { StateEffect, StateField } }) {
  const setAnswer = StateEffect.define();
  const endTyping = StateEffect.define();

  const field = StateField.define({
    create: () => NONE,
    /** @param {Annotations} value @param {any} transaction */
    update(value, transaction) {
      const { state, effects, docChanged, selection } = transaction;
      let next = docChanged ? moved(value, transaction) : value;
      for (const effect of effects) {
        if (effect.is(setAnswer)) next = { ...next, ...effect.value };
      }
      const { typing } = next;
      const hasEnded = effects.some((/** @type {any} */ effect) => effect.is(endTyping))
        || (selection && typing !== null && !inOneLine(state.doc, typing, state.selection.main.head));
      return typing !== null && hasEnded ? { ...next, typing: null } : next;
    },
  });
  return { field, setAnswer, endTyping };
}

/** @param {Annotations} value @param {any} transaction @returns {Annotations} */
function moved({ shapes, problems, typing }, transaction) {
  const { changes, state } = transaction;
  const isTyped = transaction.isUserEvent('input') || transaction.isUserEvent('delete');
  return {
    shapes: movedShapes(shapes, changes),
    problems: movedProblems(problems, changes),
    typing: isTyped ? state.selection.main.head : typing === null ? null : changes.mapPos(typing),
  };
}

/** @param {Shape[]} shapes @param {any} changes */
export const movedShapes = (shapes, changes) =>
  shapes.map(({ at, text }) => ({ at: changes.mapPos(at), text }));

/**
 * Problems after changes of the text; those whose text was changed are gone.
 * @param {Problem[]} problems
 * @param {any} changes
 */
export function movedProblems(problems, changes) {
  /** @template {{from: number, to: number}} T @param {T} range @returns {T} */
  const move = range => ({ ...range, from: changes.mapPos(range.from, 1), to: changes.mapPos(range.to, -1) });
  return problems
    .filter(({ from, to }) => !changes.touchesRange(from, to))
    .map(problem => ({ ...move(problem), fix: problem.fix && move(problem.fix) }));
}

/** @param {any} doc @param {number} first @param {number} second */
const inOneLine = (doc, first, second) => doc.lineAt(first).from === doc.lineAt(second).from;

/**
 * The problems that are shown: not those of the line that is being typed.
 * @param {Annotations} annotations
 * @param {any} doc
 */
export function shownProblems({ problems, typing }, doc) {
  if (typing === null) return problems;
  const line = doc.lineAt(typing);
  return problems.filter(({ from, to }) => to < line.from || from > line.to);
}
