// @ts-check
/** Keys that work anywhere on the page, and the list of them. */

import { byId, el } from "whence/element";

/** @typedef {import("whence/types").Context} Context */

const KEYS = [
  ["j, k or ↓, ↑", "next, previous prediction"],
  ["/", "find a prediction by its id"],
  ["space bar in the list", "tick a prediction for the report"],
  ["1, 2, 3, 4", "why, where, how much, labels"],
  ["m", "next method"],
  ["f", "flag the example at hand (labels)"],
  ["Escape", "clear the selection"],
  ["t", "colours: system, light, dark"],
  ["?", "this list"],
];

/**
 * @param {Context} context
 * @param {object} parts
 * @param {{move: (step: number) => void, focusId: () => void}} parts.list
 * @param {{go: (number: number) => void}} parts.tabs
 * @param {() => void} parts.nextTheme
 */
export function startKeyboard({ about, state }, { list, tabs, nextTheme }) {
  const dialog = makeDialog();
  byId("help").addEventListener("click", () => dialog.showModal());
  byId("skip").addEventListener("click", (event) => {
    // The address holds the state of the page, so the link must not change it.
    event.preventDefault();
    byId("main").focus();
  });

  /** @type {Record<string, () => void>} */
  const actions = {
    j: () => list.move(1),
    k: () => list.move(-1),
    ArrowDown: () => list.move(1),
    ArrowUp: () => list.move(-1),
    "/": () => list.focusId(),
    1: () => tabs.go(0), 2: () => tabs.go(1), 3: () => tabs.go(2), 4: () => tabs.go(3),
    m: () => {
      const names = about.methods.map(({ name }) => name);
      if (names.length) state.set({ method: names[(names.indexOf(state.now.method) + 1) % names.length] });
    },
    t: nextTheme,
    "?": () => dialog.showModal(),
    Escape: () => state.now.selected.length && state.set({ selected: [] }),
  };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    // What lies open takes its own keys first.
    if (dialog.open || document.querySelector(":popover-open")) return;
    const target = event.target instanceof Element ? event.target : null;
    if (target?.closest("input, select, textarea, [popover], [contenteditable]")) return;
    // Arrows scroll a panel that has the focus; they move through predictions where nothing has.
    if (event.key.startsWith("Arrow") && target !== document.body) return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function makeDialog() {
  const rows = KEYS.map(([keys, words]) => el("div", {}, el("dt", {}, el("kbd", { text: keys })), el("dd", { text: words })));
  const dialog = el("dialog", { data: { testid: "shortcuts" }, "aria-labelledby": "shortcuts-title" },
    el("h2", { id: "shortcuts-title", text: "Keyboard shortcuts" }), el("dl", { class: "keys" }, ...rows),
    el("form", { method: "dialog" }, el("button", { text: "Close", data: { testid: "close-shortcuts" } })));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  return dialog;
}
