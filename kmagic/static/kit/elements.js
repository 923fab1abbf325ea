// @ts-check
/** DOM elements and controls. Text from a message is always set as text, never as HTML. */

export const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} tag @param {string} [className] @param {string} [text]
 * @returns {HTMLElement}
 */
export function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/**
 * Append an SVG element; numbers are rounded to a tenth of a pixel.
 *
 * @param {Element} parent @param {string} tag @param {Record<string, string | number>} attributes
 * @param {string} [text]
 */
export function appendSvg(parent, tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    node.setAttribute(name, typeof value === "number" ? String(Math.round(value * 10) / 10) : value);
  }
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

/** Set a text only if it changes, so that a screen reader does not repeat it. */
export function setText(/** @type {Element} */ node, /** @type {string} */ text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {string} text @param {() => void} onClick @param {string} [className] */
export function button(text, onClick, className = "") {
  const node = /** @type {HTMLButtonElement} */ (element("button", className, text));
  node.type = "button";
  node.addEventListener("click", onClick);
  return node;
}

/** @param {string} text @param {boolean} checked @param {(checked: boolean) => void} onChange */
export function checkbox(text, checked, onChange) {
  const label = element("label", "km-control");
  const box = /** @type {HTMLInputElement} */ (element("input"));
  box.type = "checkbox";
  box.checked = checked;
  box.addEventListener("change", () => onChange(box.checked));
  label.append(box, ` ${text}`);
  return label;
}

/**
 * @param {string} text @param {Record<string, string>} options  label by value
 * @param {string} selected @param {(value: string) => void} onChange
 */
export function dropdown(text, options, selected, onChange) {
  const label = element("label", "km-control", `${text} `);
  const select = /** @type {HTMLSelectElement} */ (element("select"));
  for (const [value, name] of Object.entries(options)) {
    const option = /** @type {HTMLOptionElement} */ (element("option", "", name));
    option.value = value;
    option.selected = value === selected;
    select.append(option);
  }
  select.addEventListener("change", () => onChange(select.value));
  label.append(select);
  return label;
}
