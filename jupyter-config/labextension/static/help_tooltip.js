// @ts-check
/** The help on a word of the language, while the mouse pointer rests on it. */

import { shownProblems } from './annotations.js';
import { codePointColumn, offsetOf } from './kernel_positions.js';

const DELAY = 600;

/**
 * @param {any} packages
 * @param {any} annotations of createAnnotations
 * @param {() => import('./kernel_client.js').KernelClient | null} findClient
 */
export function helpTooltip({ view: { EditorView, hoverTooltip } }, { field }, findClient) {
  const owner = {};

  /** @param {any} editor @param {number} position */
  const source = async (editor, position) => {
    const { doc } = editor.state;
    const line = doc.lineAt(position);
    const isWord = /\w/.test(doc.sliceString(Math.max(line.from, position - 1), position + 1));
    const isMarked = shownProblems(editor.state.field(field), doc).some(({ from, to }) => from <= position && position <= to);
    if (!isWord || isMarked) return null;
    const answer = await findClient()?.request(owner, 'help', {
      code: doc.toString(),
      line: line.number - 1,
      column: codePointColumn(line, position),
    });
    if (!answer?.html || editor.state.doc !== doc) return null;
    return {
      pos: offsetOf(doc, answer.line, answer.column),
      end: offsetOf(doc, answer.line, answer.end_column),
      above: true,
      create() {
        const dom = document.createElement('div');
        dom.className = 'km-help';
        dom.innerHTML = answer.html; // a card of kmagic, as a cell shows it
        return { dom };
      },
    };
  };

  const theme = EditorView.theme({
    '.km-help': { maxWidth: 'min(640px, 80vw)', maxHeight: '320px', overflow: 'auto', background: 'var(--jp-layout-color0)' },
    '.km-help .kmagic': { margin: 0, border: 0, borderRadius: 0 },
  });
  return [hoverTooltip(source, { hoverTime: DELAY, hideOnChange: true }), theme];
}
