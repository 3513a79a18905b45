// @ts-check
/** What lies under the pointer, with its picture. Our own element: names from data never reach Plotly's labels. */

import { el } from "whence/element";
import { isPicture, shown } from "whence/example";

/** @typedef {import("whence/types").Context} Context */

const GAP = 16;

/**
 * @param {Context} context
 */
export function makeTooltip(context) {
  const root = el("div", { class: "tooltip", role: "tooltip", hidden: true, data: { testid: "tooltip" } });
  document.body.append(root);
  let shownPosition = -1;
  return {
    /**
     * @param {number} position of a training example
     * @param {string[]} lines the first is the heading
     * @param {{clientX: number, clientY: number}} pointer
     */
    show(position, lines, pointer) {
      if (position !== shownPosition) {
        shownPosition = position;
        const words = el("div", {}, ...lines.map((text, at) => el("div", {}, at ? text : el("b", { text }))));
        const sample = context.about.kind === "none" ? null : shown(context, "train", position, { room: 72, brief: true });
        root.replaceChildren(...(isPicture(context) ? [/** @type {Node} */ (sample), words] : [el("div", {}, words, sample)]));
      }
      root.hidden = false;
      const { offsetWidth: width, offsetHeight: height } = root;
      const left = pointer.clientX + GAP + width > innerWidth ? pointer.clientX - GAP - width : pointer.clientX + GAP;
      const top = Math.min(pointer.clientY + GAP, innerHeight - height - 8);
      root.style.left = `${Math.max(8, left)}px`;
      root.style.top = `${Math.max(8, top)}px`;
    },
    hide() {
      root.hidden = true;
      shownPosition = -1;
    },
  };
}
