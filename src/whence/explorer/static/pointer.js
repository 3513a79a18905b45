// @ts-check
/** Points of a chart that are training examples: hovering shows them, a click selects them. */

import { toggled } from "whence/selected";
import { makeTooltip } from "whence/tooltip";

/** @typedef {import("whence/types").Context} Context */

const STILL = 4;

/**
 * @param {Context} context
 * @param {HTMLElement} chart
 * @param {(pointer: {clientX: number, clientY: number}) => number} find position of the example under it, or -1
 */
export function makePointer(context, chart, find) {
  const { state } = context;
  const tooltip = makeTooltip(context);
  /** @type {(position: number) => string[]} */
  let lines = () => [];
  /** @type {{x: number, y: number}|null} */
  let pressed = null;
  let frame = 0;

  chart.addEventListener("pointermove", (event) => {
    cancelAnimationFrame(frame);
    if (event.buttons) return tooltip.hide();
    const { clientX, clientY } = event;
    frame = requestAnimationFrame(() => {
      const position = find({ clientX, clientY });
      chart.classList.toggle("over", position >= 0);
      if (position < 0) tooltip.hide();
      else tooltip.show(position, lines(position), { clientX, clientY });
    });
  });
  chart.addEventListener("pointerleave", () => {
    cancelAnimationFrame(frame);
    tooltip.hide();
  });
  chart.addEventListener("pointerdown", (event) => (pressed = event.button ? null : { x: event.clientX, y: event.clientY }), true);
  // Plotly covers the page while a button is held, so the release is heard on the window.
  addEventListener("pointerup", (event) => {
    const still = pressed && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < STILL;
    pressed = null;
    const position = still ? find(event) : -1;
    if (position >= 0) state.set({ selected: toggled(state.now.selected, position) });
  }, true);

  return {
    hide: tooltip.hide,
    /** @param {(position: number) => string[]} words what is said of an example; the first line is the heading */
    tell(words) {
      lines = words;
      tooltip.hide();
    },
  };
}
