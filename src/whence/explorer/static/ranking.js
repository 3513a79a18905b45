// @ts-check
/** One ranking of suspicious labels. A row opens to be flagged, given another label, and noted. */

import { el, failed } from "whence/element";
import { count } from "whence/numbers";
import { editor } from "whence/label_editor";
import { suspectRow } from "whence/suspect_row";

/** @typedef {import("whence/types").Context} Context */
/** @typedef {import("whence/types").Suspect} Suspect */

const PAGE = 50;

/**
 * @param {Context} context
 * @param {"loss"|"self_influence"|"disagreement"} by
 * @param {string} title
 * @param {string} note
 * @param {string} unit
 */
export function makeRanking(context, by, title, note, unit) {
  const { say, source } = context;
  const list = el("ol", { data: { testid: `ranking-${by}` } });
  const further = el("button", { type: "button", hidden: true, text: `Show ${PAGE} more`, data: { testid: `more-${by}` }, on: { click: () => more() } });
  const trouble = el("div", {});
  const root = el("section", { class: "ranking", "aria-label": title },
    el("header", {}, el("h3", {}, title, unit && el("span", { class: "soft", text: ` (${unit})` })), el("p", { class: "soft note", text: note })), list, trouble, further);
  /** @type {Map<number, {row: Suspect, item: HTMLElement}>} */
  const items = new Map();
  /** @type {HTMLElement|null} */
  let agreed = null;

  async function more() {
    further.hidden = true;
    try {
      const { rows, total } = await source.get("/api/suspicious", { by, k: PAGE, offset: items.size });
      for (const row of rows) {
        if (by === "disagreement" && row.disagreement === 0 && !agreed) list.append((agreed = el("li", { class: "soft note divider", text: "From here on all neighbours carry the same label, which says nothing against it." })));
        const item = el("li", { class: "suspect", data: { testid: "suspect", id: String(row.id), position: String(row.position) } });
        items.set(row.position, { row, item });
        redraw(row.position);
        list.append(item);
      }
      further.hidden = !source.live || items.size >= total || !rows.length;
      further.textContent = `Show ${PAGE} more of ${count(total)}`;
    } catch (error) {
      trouble.replaceChildren(failed(error));
    }
  }

  /** @param {number} position */
  function redraw(position) {
    const found = items.get(position);
    if (!found) return;
    const { row, item } = found;
    const open = item.classList.contains("open");
    const focus = item.contains(document.activeElement) && document.activeElement instanceof HTMLElement ? document.activeElement.dataset.testid : null;
    item.replaceChildren(suspectRow(context, row, by, { open, flag: () => flag(position), toggle: () => toggle(position) }));
    if (open) item.append(editor(context, row));
    const again = focus && [...item.querySelectorAll("[data-testid]")].find((one) => one instanceof HTMLElement && one.dataset.testid === focus);
    if (again instanceof HTMLElement) again.focus();
  }

  /** @param {number} position */
  function toggle(position) {
    items.get(position)?.item.classList.toggle("open");
    redraw(position);
  }

  /** @param {number} position */
  async function flag(position) {
    try {
      await context.flags.set(position, { flag: !context.flags.of(position)?.flag });
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), "error");
    }
  }

  list.addEventListener("keydown", (event) => {
    const item = event.target instanceof Element ? event.target.closest(".suspect") : null;
    if (event.key !== "f" || event.ctrlKey || event.metaKey || !(item instanceof HTMLElement)) return;
    if (event.target instanceof Element && event.target.closest("input, textarea, select")) return;
    flag(Number(item.dataset.position));
    event.preventDefault();
  });

  return {
    root, more, redraw,
    /** @param {Set<number>} selected */
    select(selected) {
      for (const [position, { item }] of items) {
        item.classList.toggle("selected", selected.has(position));
        const box = item.querySelector('[data-testid="suspect-select"]');
        if (box instanceof HTMLInputElement) box.checked = selected.has(position);
      }
    },
  };
}
