// @ts-check
/** The layer language as a language of CodeMirror: colours, comments, indentation and folding. */

import { createTokenizer } from './token_rules.js';

/**
 * @typedef {{stack: string[], indent: number, opens: boolean}} LineState
 * The stack of states, the indentation of the statement, and whether it ends in a colon.
 */

/**
 * @param {any} packages
 * @param {import('./token_rules.js').Definition} definition
 * @returns {any} an extension
 */
export function modelLanguage({ language: codemirror, state: { Prec } }, definition) {
  const tokenizer = createTokenizer(definition);

  /** @param {any} stream @param {LineState} state */
  const startLine = (stream, state) => {
    if (!tokenizer.continues(state.stack)) state.indent = stream.indentation();
    tokenizer.startLine(state.stack);
    state.opens = false;
  };

  const language = codemirror.StreamLanguage.define({
    name: 'kmagic',
    startState: () => ({ stack: tokenizer.start(), indent: 0, opens: false }),
    copyState: (/** @type {LineState} */ state) => ({ ...state, stack: [...state.stack] }),

    /** @param {any} stream @param {LineState} state */
    token(stream, state) {
      if (stream.sol() && /\S/.test(stream.string)) startLine(stream, state);
      const { end, name } = tokenizer.next(stream.string, stream.pos, state.stack);
      const text = stream.string.slice(stream.pos, end);
      if (text.trim() && name !== 'comment') state.opens = text === ':' && name === 'operator';
      stream.pos = end;
      return definition.classes[name]?.codemirror ?? null;
    },

    /** @param {LineState} state @param {string} _after @param {any} context */
    indent: (state, _after, context) =>
      state.indent + (state.opens || tokenizer.continues(state.stack) ? context.unit : 0),

    languageData: {
      commentTokens: { line: '#' },
      closeBrackets: { brackets: ['(', '[', '{', "'", '"'] },
    },
  });
  return [Prec.highest(language), codemirror.foldService.of(foldableBody)];
}

/**
 * The indented lines below a line that ends in a colon; comments among them may stand anywhere.
 * @param {any} state
 * @param {number} start
 * @param {number} end
 */
function foldableBody({ doc }, start, end) {
  const text = doc.sliceString(start, end);
  if (!/:\s*(?:#.*)?$/.test(text)) return null;
  const indent = text.search(/\S/);
  let last = end;
  for (let number = doc.lineAt(start).number + 1; number <= doc.lines; number += 1) {
    const line = doc.line(number);
    const column = line.text.search(/\S/);
    if (column > indent) last = line.to;
    else if (column >= 0 && line.text[column] !== '#') break;
  }
  return last > end ? { from: end, to: last } : null;
}
