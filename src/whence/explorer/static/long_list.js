// @ts-check
/** A list box of any length: only the rows that are in sight exist. Arrow keys move, Home and End jump. */

import { el } from "whence/element";

const SPARE = 6;

/**
 * @param {object} options
 * @param {string} options.name accessible name and test id
 * @param {number} options.rowHeight in pixels
 * @param {(index: number) => HTMLElement} options.draw the row at this place of the list
 * @param {(index: number) => void} options.choose
 * @param {(index: number) => void} [options.tick] called for the space bar
 */
export function makeLongList({ name, rowHeight, draw, choose, tick }) {
  const inner = el("div", { class: "rows", role: "presentation" });
  const box = el("div", {
    class: "long-list", role: "listbox", tabindex: "0", "aria-label": name, data: { testid: "query-list" },
  }, inner);
  /** @type {Map<number, HTMLElement>} */
  const made = new Map();
  let length = 0;
  let active = -1;

  function fill() {
    const first = Math.max(0, Math.floor(box.scrollTop / rowHeight) - SPARE);
    const last = Math.min(length, Math.ceil((box.scrollTop + box.clientHeight) / rowHeight) + SPARE);
    for (const [index, row] of made) {
      if (index >= first && index < last) continue;
      row.remove();
      made.delete(index);
    }
    for (let index = first; index < last; index++) {
      if (made.has(index)) continue;
      const row = draw(index);
      row.id = `option-${index}`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-setsize", String(length));
      row.setAttribute("aria-posinset", String(index + 1));
      row.style.top = `${index * rowHeight}px`;
      row.style.height = `${rowHeight}px`;
      row.addEventListener("click", () => choose(index));
      made.set(index, row);
      inner.append(row);
    }
    mark();
  }

  function mark() {
    for (const [index, row] of made) row.setAttribute("aria-selected", String(index === active));
    if (made.has(active)) box.setAttribute("aria-activedescendant", `option-${active}`);
    else box.removeAttribute("aria-activedescendant");
  }

  box.addEventListener("scroll", () => requestAnimationFrame(fill), { passive: true });
  new ResizeObserver(() => fill()).observe(box);
  box.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(box.clientHeight / rowHeight) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (event.key === " " && tick && active >= 0) tick(active);
    else if (step !== undefined && length) choose(Math.min(length - 1, Math.max(0, active + step)));
    else return;
    event.preventDefault();
  });

  return {
    box,
    /**
     * Draw anew, with this many rows.
     * @param {number} many
     */
    show(many) {
      length = many;
      inner.style.height = `${many * rowHeight}px`;
      inner.replaceChildren();
      made.clear();
      fill();
    },
    /**
     * Mark a row as chosen and bring it into sight; -1 is none.
     * @param {number} index
     */
    activate(index) {
      active = index;
      if (index >= 0) {
        const [top, bottom] = [index * rowHeight, (index + 1) * rowHeight];
        if (top < box.scrollTop) box.scrollTop = top;
        else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
        fill();
      }
      mark();
    },
  };
}
