// @ts-check
/** The four views. One is in sight; what changes meanwhile for the others is done when they come into sight. */

import { byId, failed } from "whence/element";

/** @typedef {import("whence/types").Context} Context */
/** @typedef {import("whence/types").View} View */

const NAMES = /** @type {const} */ (["why", "where", "much", "labels"]);
const EVERYTHING = new Set(["query", "method", "beside", "map", "colour", "x", "y", "by", "selected", "theme"]);

/**
 * @param {Context} context
 * @param {{why: () => View}} first the view that is made without loading more code
 * @param {() => number} now position of the chosen query
 */
export function startTabs(context, first, now) {
  const { state } = context;
  const makers = {
    why: async () => first.why(),
    where: async () => (await import("whence/where")).makeWhere(context, byId("view-where"), now),
    much: async () => (await import("whence/how_much")).makeHowMuch(context, byId("view-much"), now),
    labels: async () => (await import("whence/suspects")).makeSuspects(context, byId("view-labels")),
  };
  /** @type {Partial<Record<typeof NAMES[number], Promise<View>>>} */
  const views = {};
  const missed = new Map(NAMES.map((name) => [name, new Set(EVERYTHING)]));

  const buttons = new Map(NAMES.map((name) => [name, byId(`tab-${name}`)]));
  for (const [name, button] of buttons) button.addEventListener("click", () => state.set({ view: name }));
  byId("tab-why").parentElement?.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = NAMES[(NAMES.indexOf(state.now.view) + step + NAMES.length) % NAMES.length];
    state.set({ view: next });
    buttons.get(next)?.focus();
    event.preventDefault();
  });

  function mark() {
    for (const [name, button] of buttons) {
      const chosen = name === state.now.view;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      byId(`view-${name}`).hidden = !chosen;
    }
  }

  return {
    /**
     * Bring the view in sight up to date; the others remember what they missed.
     * @param {Set<string>} changed
     */
    async refresh(changed) {
      for (const set of missed.values()) for (const name of changed) set.add(name);
      mark();
      const { view } = state.now;
      const pending = /** @type {Set<string>} */ (missed.get(view));
      pending.delete("view");
      if (!pending.size) return;
      missed.set(view, new Set());
      try {
        views[view] ??= makers[view]();
        await (await views[view]).update(pending);
      } catch (error) {
        delete views[view];
        for (const name of EVERYTHING) missed.get(view)?.add(name);
        byId(`view-${view}`).replaceChildren(failed(error));
      }
    },
    /** @param {number} number from 0 */
    go: (number) => NAMES[number] && state.set({ view: NAMES[number] }),
    /** Whether the view in sight shows the scores of all training examples. */
    wantsScores: () => state.now.view === "where" || state.now.view === "much",
  };
}
