// @ts-check
/** Positions: the kernel counts lines from 0 and columns in code points, the editor UTF-16 units. */

/** @param {any} doc @param {number} number of the line, from 0 @param {number} column */
export function offsetOf(doc, number, column) {
  const line = doc.line(Math.min(number + 1, doc.lines));
  return line.from + [...line.text].slice(0, column).join('').length;
}

/** @param {any} line of the editor @param {number} position */
export const codePointColumn = (line, position) => [...line.text.slice(0, position - line.from)].length;
