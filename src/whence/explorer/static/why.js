// @ts-check
/** Why: the most helpful and the most harmful training examples of one prediction, by one method or by two. */

import { card } from "whence/card";
import { el, empty, failed } from "whence/element";
import { trustLine } from "whence/trust";
import { toggled } from "whence/selected";

/** @typedef {import("whence/types").Context} Context */
/** @typedef {import("whence/types").Scored} Scored */
/** @typedef {import("whence/types").Why} Why */

const HEADINGS = { helpful: ["▲", "Most helpful"], harmful: ["▼", "Most harmful"], largest: ["↑", "Largest"], smallest: ["↓", "Smallest"] };
const MEANING = { helpful: "without them the loss would rise", harmful: "without them the loss would fall", largest: "", smallest: "" };

/**
 * @param {Context} context
 * @param {number} query
 * @param {string} method
 * @returns {Promise<Why>}
 */
export function askWhy({ about, source }, query, method) {
  return source.get("/api/why", { k: about.default.k, method, query });
}

/**
 * @param {Context} context
 * @param {HTMLElement} panel
 * @param {() => number} now position of the chosen query
 * @returns {import("whence/types").View}
 */
export function makeWhy(context, panel, now) {
  const { state } = context;
  let latest = 0;

  /** @param {number} position */
  function toggle(position) {
    state.set({ selected: toggled(state.now.selected, position) });
  }

  /**
   * @param {number} query
   * @param {string} name
   * @param {Why|Error} why
   * @param {Why|Error|null} other
   */
  function lists(query, name, why, other) {
    if (why instanceof Error) return [failed(why)];
    const says = context.naming.method(name)?.signed ?? true;
    const both = [...why.helpful, ...why.harmful];
    const sizes = both.flatMap((row) => [row.score, row.actual ?? 0]).map(Math.abs).filter(Number.isFinite);
    const limit = Math.max(...sizes, Number.MIN_VALUE);
    return /** @type {const} */ (["helpful", "harmful"]).map((key, at) => {
      const side = /** @type {keyof typeof HEADINGS} */ (why.sides?.[at] || key);
      const [sign, words] = HEADINGS[side] || ["", side];
      const rows = why[key].map((row, index) => card(context, row, { rank: index + 1, limit, signed: says, method: name, query, also: also(row, other), toggle }));
      return el("section", { class: `list ${side}`, data: { testid: side } },
        el("h3", {}, el("span", { class: "glyph", "aria-hidden": "true", text: `${sign} ` }), words, el("span", { class: "soft", text: ` ${[MEANING[side], context.naming.quantity(name)].filter(Boolean).join("; ")}` })),
        rows.length ? el("ol", {}, ...rows) : empty(`No training example is ${words.toLowerCase()} for this prediction by this method.`));
    });
  }

  /** @param {Set<string>} changed */
  async function update(changed) {
    const query = now();
    if (query < 0) return panel.replaceChildren();
    if (changed.size === 1 && changed.has("selected")) return markSelected();
    const ticket = ++latest;
    const { method, beside } = state.now;
    const names = beside && beside !== method ? [method, beside] : [method];
    const answers = await Promise.all(names.map((name) => askWhy(context, query, name).catch((error) => /** @type {Error} */ (error))));
    if (ticket !== latest) return;
    const parts = names.map((name, at) => {
      const [why, other] = [answers[at], names.length > 1 ? answers[1 - at] : null];
      const trust = why instanceof Error ? null : trustLine(context, name, why.trust, names.length > 1);
      return { trust, lists: lists(query, name, why, other) };
    });
    panel.classList.toggle("two", names.length > 1);
    panel.replaceChildren(
      el("div", { class: "trusts" }, ...parts.map(({ trust }) => trust || "")),
      ...(names.length > 1
        ? parts[0].lists.map((_, row) => el("div", { class: "lists" }, ...parts.map((part) => part.lists[row] || "")))
        : [el("div", { class: "lists" }, ...parts[0].lists)]),
    );
  }

  function markSelected() {
    const selected = new Set(state.now.selected);
    for (const row of panel.querySelectorAll("li.card")) {
      const box = row.querySelector("input");
      if (box && row instanceof HTMLElement) box.checked = selected.has(Number(row.dataset.position));
    }
  }

  return { update };
}

/**
 * Where the other method ranks an example: "also ▲ 3".
 * @param {Scored} row
 * @param {Why|Error|null} other
 */
function also(row, other) {
  if (!other || other instanceof Error) return "";
  for (const [sign, rows] of /** @type {[string, Scored[]][]} */ ([["▲", other.helpful], ["▼", other.harmful]])) {
    const rank = rows.findIndex(({ position }) => position === row.position);
    if (rank >= 0) return `· beside: ${sign} ${rank + 1}`;
  }
  return "";
}
