// @ts-check
/** Problems: underlined, explained by a tooltip, and fixed by a key. */

import { shownProblems } from './annotations.js';

const LONGEST_FIX = 40;
/** Messages whose subject is the marked text. */
const PREDICATE = /^(?:is|are|has|needs|takes|calls|cannot|must) /;

/** @typedef {import('./annotations.js').Problem} Problem */

/** @param {any} packages @param {any} annotations of createAnnotations @param {any} tooltips of createTooltips */
export function problemMarks({ state, view }, { field, endTyping }, { field: explained, open }) {
  const { Decoration, EditorView, closeHoverTooltips, hoverTooltip, keymap } = view;

  /** @param {any} editorState @returns {Problem[]} */
  const shown = editorState => shownProblems(editorState.field(field), editorState.doc);

  /** @param {any} editorState @param {number} position */
  const problemAt = (editorState, position) =>
    shown(editorState).find(({ from, to }) => from <= position && position <= to);

  const marks = EditorView.decorations.compute([field, 'doc'], (/** @type {any} */ editorState) =>
    Decoration.set(shown(editorState).filter(({ from, to }) => from < to).map(({ from, to, severity }) =>
      Decoration.mark({ class: `km-problem km-${severity}` }).range(from, to)), true));

  /** @param {any} editor @param {Problem} problem */
  const applyFix = (editor, { fix }) => {
    if (!fix) return false;
    editor.dispatch({
      changes: { from: fix.from, to: fix.to, insert: fix.text },
      selection: { anchor: fix.from + fix.text.length },
      userEvent: 'input.complete',
      effects: endTyping.of(null),
    });
    editor.focus();
    return true;
  };

  /** @param {any} editorState @param {Problem} problem */
  const sentenceOf = ({ doc }, { from, to, message }) =>
    (PREDICATE.test(message) ? `\`${doc.sliceString(from, to)}\` ${message}` : message);

  /** @param {Problem} problem */
  const tooltip = problem => ({
    problem,
    pos: problem.from,
    end: problem.to,
    above: false,
    create: (/** @type {any} */ editor) => ({
      dom: tooltipElement(sentenceOf(editor.state, problem), problem, () => applyFix(editor, problem)),
      offset: { x: 0, y: 5 }, // below the wave
    }),
  });

  /** @param {1 | -1} direction */
  const move = direction => (/** @type {any} */ editor) => {
    const { head } = editor.state.selection.main;
    const problems = [...editor.state.field(field).problems].sort((a, b) => direction * (a.from - b.from));
    const current = editor.state.field(explained);
    const position = current ? current.pos : head - (direction > 0 ? 1 : 0);
    const problem = problems.find(({ from }) => direction * (from - position) > 0) ?? problems[0];
    if (!problem) return false;
    editor.dispatch({
      selection: { anchor: problem.from },
      effects: [
        endTyping.of(null),
        closeHoverTooltips,
        open.of(tooltip(problem)),
        EditorView.announce.of(`${sentenceOf(editor.state, problem)}. ${problem.remedy}`),
      ],
      scrollIntoView: true,
    });
    return true;
  };

  const keys = [
    { key: 'F8', run: move(1) },
    { key: 'Shift-F8', run: move(-1) },
    {
      key: 'Mod-.',
      run: (/** @type {any} */ editor) => {
        const { head } = editor.state.selection.main;
        const problem = editor.state.field(explained)?.problem ?? problemAt(editor.state, head);
        return problem ? applyFix(editor, problem) : false;
      },
    },
  ];

  const hover = hoverTooltip((/** @type {any} */ editor, /** @type {number} */ position) => {
    const problem = problemAt(editor.state, position);
    return problem && !editor.state.field(explained) ? tooltip(problem) : null;
  }, { hideOnChange: true });

  const theme = EditorView.theme({
    '.km-problem': { textDecorationLine: 'underline', textDecorationSkipInk: 'none', textUnderlineOffset: '3px' },
    '.km-error': { textDecorationStyle: 'wavy', textDecorationColor: 'var(--jp-error-color1)' },
    '.km-advice': { textDecorationStyle: 'dotted', textDecorationColor: 'var(--jp-warn-color1)', textDecorationThickness: '2px' },
    '.km-tooltip': {
      maxWidth: '60ch',
      padding: '8px 12px',
      border: '1px solid var(--jp-border-color1)',
      borderRadius: '4px',
      background: 'var(--jp-layout-color1)',
      color: 'var(--jp-ui-font-color1)',
      font: '13px/1.45 var(--jp-ui-font-family)',
      overflowWrap: 'anywhere',
      whiteSpace: 'pre-line',
    },
    '.km-tooltip code': { fontFamily: 'var(--jp-code-font-family)', fontSize: '12px' },
    '.km-tooltip .km-remedy': { color: 'var(--jp-ui-font-color2)' },
    '.km-tooltip button': {
      marginTop: '6px',
      padding: '2px 10px',
      border: '1px solid var(--jp-border-color1)',
      borderRadius: '3px',
      background: 'transparent',
      color: 'inherit',
      font: 'inherit',
      cursor: 'pointer',
    },
    '.km-tooltip kbd': { marginLeft: '1ch', color: 'var(--jp-ui-font-color2)', font: 'inherit' },
  });
  return [marks, hover, state.Prec.highest(keymap.of(keys)), theme];
}

/** @param {string} message @param {Problem} problem @param {() => void} applyFix */
function tooltipElement(message, { remedy, fix }, applyFix) {
  const element = document.createElement('div');
  element.className = 'km-tooltip';
  element.append(sentence(message, ''), ...(remedy ? [sentence(remedy, 'km-remedy')] : []));
  if (fix) {
    const button = document.createElement('button');
    const text = fix.text.length > LONGEST_FIX ? `${fix.text.slice(0, LONGEST_FIX)}\u2026` : fix.text;
    button.type = 'button';
    button.append(text.trim() ? `Change to ${text.trim()}` : 'Remove');
    const key = document.createElement('kbd');
    key.textContent = navigator.platform.startsWith('Mac') ? '\u2318.' : 'Ctrl+.';
    button.append(key);
    button.addEventListener('mousedown', event => event.preventDefault()); // keeps the focus, so the tooltip
    button.addEventListener('click', applyFix);
    element.append(button);
  }
  return element;
}

/** @param {string} text with code between backticks @param {string} name of its class */
function sentence(text, name) {
  const element = document.createElement('div');
  element.className = name;
  element.append(...text.split('`').map((part, index) => {
    if (index % 2 === 0) return part;
    const code = document.createElement('code');
    code.textContent = part;
    return code;
  }));
  return element;
}
