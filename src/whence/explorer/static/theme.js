// @ts-check
/** Light, dark, or as the system says; and the colours of the style sheet as charts need them. */

import { byId, el } from "whence/element";

const ORDER = /** @type {const} */ (["system", "light", "dark"]);
const WORDS = { system: ["◐", "System"], light: ["○", "Light"], dark: ["●", "Dark"] };
const KEY = "whence-theme";

/** @type {(() => void)[]} */
const listeners = [];
const system = matchMedia("(prefers-color-scheme: dark)");
/** @type {Map<string, string>} */
const resolved = new Map();

/** Give the button its word and its work; the choice is kept in this browser. */
export function startTheme() {
  wear(remembered());
  byId("theme").addEventListener("click", nextTheme);
  system.addEventListener("change", tell);
}

/** The next of system, light and dark. */
export function nextTheme() {
  const now = document.documentElement.dataset.theme || "system";
  const next = ORDER[(ORDER.findIndex((name) => name === now) + 1) % ORDER.length];
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Storage may be closed to a page that was opened from disk; the choice then lasts as long as the page.
  }
  wear(next);
  tell();
}

/** @param {() => void} listener called when the colours have changed */
export function onTheme(listener) {
  listeners.push(listener);
}

/**
 * A colour of the style sheet as "rgb(...)", which charts understand.
 * @param {string} name without its dashes, as "ink"
 */
export function colour(name) {
  const known = resolved.get(name);
  if (known) return known;
  const probe = el("span", { hidden: true, style: { color: `var(--${name})` } });
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  resolved.set(name, found);
  return found;
}

function tell() {
  resolved.clear();
  for (const listener of listeners) listener();
}

/** @returns {"system"|"light"|"dark"} */
function remembered() {
  try {
    return ORDER.find((name) => name === localStorage.getItem(KEY)) || "system";
  } catch {
    return "system";
  }
}

/** @param {"system"|"light"|"dark"} name */
function wear(name) {
  document.documentElement.dataset.theme = name;
  const button = byId("theme");
  button.replaceChildren(`${WORDS[name][0]} `, el("span", { class: "word", text: WORDS[name][1] }));
  button.setAttribute("aria-label", `Colours: ${name}. Press for the next of system, light and dark.`);
}
