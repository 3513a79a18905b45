// @ts-check
/** How much: three charts of the scores of one prediction. One that is not in sight waits until it is. */

import { makeBoxes } from "whence/boxes";
import { busy } from "whence/busy";
import { el } from "whence/element";
import { makePredictedActual } from "whence/predicted_actual";
import { onTheme } from "whence/theme";
import { makeTwoColumns } from "whence/two_columns";

/** @typedef {import("whence/types").Context} Context */

const NEAR = "80px";

/**
 * @param {Context} context
 * @param {HTMLElement} panel
 * @param {() => number} now position of the chosen query
 * @returns {import("whence/types").View}
 */
export function makeHowMuch(context, panel, now) {
  const parts = [makeBoxes(context, now), makePredictedActual(context, now), makeTwoColumns(context, now)];
  /** @type {Set<Element>} */
  const near = new Set();
  /** Charts that are out of date. @type {Set<Element>} */
  const stale = new Set();
  panel.replaceChildren(el("div", { class: "figures" }, ...parts.map(({ root }) => root)));

  const placed = new Promise((resolve) => {
    const watcher = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) near[isIntersecting ? "add" : "delete"](target);
      resolve(null);
      busy(catchUp());
    }, { rootMargin: NEAR });
    for (const { root } of parts) watcher.observe(root);
  });

  async function catchUp() {
    for (const part of parts) {
      if (near.has(part.root) && stale.delete(part.root)) await part.update().catch(part.failed);
    }
  }

  // All charts depend on the query and the method; none on what is selected.
  async function update(/** @type {Set<string>} */ changed) {
    await placed;
    if (![...changed].every((name) => name === "selected" || name === "by")) for (const { root } of parts) stale.add(root);
    await catchUp();
  }

  onTheme(() => {
    for (const { root } of parts) stale.add(root);
    if (!panel.hidden) busy(catchUp());
  });
  return { update };
}
