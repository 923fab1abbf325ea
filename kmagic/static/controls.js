// @ts-check
/** What a card can be worked by. */

import { element } from "./elements.js";

/** @param {string} text @param {() => void} act */
export function button(text, act) {
  const made = /** @type {HTMLButtonElement} */ (element("button", "km-act", text));
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

/** @param {string} text @param {boolean} checked @param {(on: boolean) => void} act */
export function checkbox(text, checked, act) {
  const label = element("label", "km-check");
  const box = /** @type {HTMLInputElement} */ (element("input"));
  box.type = "checkbox";
  box.checked = checked;
  box.addEventListener("change", () => act(box.checked));
  label.append(box, ` ${text}`);
  return label;
}

/**
 * @param {string} text @param {Record<string, string>} choices  words by value
 * @param {string} chosen @param {(value: string) => void} act
 */
export function menu(text, choices, chosen, act) {
  const label = element("label", "km-check", `${text} `);
  const choice = /** @type {HTMLSelectElement} */ (element("select"));
  for (const [value, words] of Object.entries(choices)) {
    const option = /** @type {HTMLOptionElement} */ (element("option", "", words));
    option.value = value;
    option.selected = value === chosen;
    choice.append(option);
  }
  choice.addEventListener("change", () => act(choice.value));
  label.append(choice);
  return label;
}
