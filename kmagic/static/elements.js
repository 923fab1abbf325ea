// @ts-check
/** Elements of the page. Whatever is text in a message is put there as text. */

export const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} tag @param {string} [className] @param {string} [text]
 * @returns {HTMLElement}
 */
export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/**
 * @param {Element} parent @param {string} tag @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
export function draw(parent, tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, typeof value === "number" ? String(Math.round(value * 10) / 10) : value);
  }
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

/** Sets a text only if it is another: a screen reader need not hear it twice. */
export function say(/** @type {Element} */ where, /** @type {string} */ text) {
  if (where.textContent !== text) where.textContent = text;
}
