// @ts-check
/** Applies the rules of highlighting.json to one line after another, as Pygments does to a text. */

/**
 * @typedef {{regex: RegExp | null, name: string, then: string[]}} Rule
 * @typedef {{classes: Record<string, {codemirror: string}>, patterns: Record<string, string>,
 *   cell: string, states: Record<string, (string | [string, string, (string | string[])?])[]>}} Definition
 */

/** Word characters and digits as in Python, where they are not only those of ASCII. */
const UNICODE = [
  ['[^\\W\\d]', '[\\p{L}\\p{Nl}\\p{No}_]'],
  ['\\w', '[\\p{L}\\p{N}_]'],
  ['\\d', '\\p{Nd}'],
];

/** @param {Definition} definition */
export function createTokenizer(definition) {
  /** @param {string} pattern */
  const compile = pattern => {
    let source = pattern;
    for (const [key, value] of Object.entries(definition.patterns)) source = source.replaceAll(`<${key}>`, value);
    for (const [key, value] of UNICODE) source = source.replaceAll(key, value);
    return new RegExp(source, 'uy');
  };

  /** @type {(state: string) => Rule[]} */
  const rulesOf = state => definition.states[state].flatMap(rule => {
    if (typeof rule === 'string') return rulesOf(rule);
    const [pattern, name, then] = rule;
    return [{ regex: pattern ? compile(pattern) : null, name, then: then === undefined ? [] : [then].flat() }];
  });

  const rules = Object.fromEntries(Object.keys(definition.states).map(state => [state, rulesOf(state)]));
  /** States that the end of a line does not end. */
  const continued = new Set(Object.keys(rules).filter(state => rules[state].some(({ regex }) => {
    if (regex) regex.lastIndex = 0;
    return regex?.exec('\n')?.[0] === '\n';
  })));

  return {
    start: () => ['root'],

    /** @param {string[]} stack */
    continues: stack => continued.has(stack[stack.length - 1]),

    /**
     * Prepares the stack of states for the next line.
     * @param {string[]} stack
     */
    startLine(stack) {
      if (!continued.has(stack[stack.length - 1])) stack.length = 1;
    },

    /**
     * Reads one token, and changes the stack of states.
     * @param {string} line
     * @param {number} position
     * @param {string[]} stack
     * @returns {{end: number, name: string}}
     */
    next(line, position, stack) {
      search: for (;;) {
        for (const { regex, name, then } of rules[stack[stack.length - 1]]) {
          if (regex) regex.lastIndex = position;
          const found = regex ? regex.exec(line) : null;
          if (regex && !found?.[0]) continue;
          for (const state of then) {
            if (state !== '#pop') stack.push(state);
            else if (stack.length > 1) stack.pop();
          }
          if (!found) continue search;
          return { end: position + found[0].length, name };
        }
        const length = (line.codePointAt(position) ?? 0) > 0xffff ? 2 : 1;
        return { end: position + length, name: '' };
      }
    },
  };
}
