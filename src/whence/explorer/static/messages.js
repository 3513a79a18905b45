// @ts-check
/** Short messages in a live region, so that they are seen and heard. */

import { byId, el } from "whence/element";

const SHOWN = 6000;
const MOST = 3;

/**
 * @param {string} text
 * @param {"plain"|"error"} [kind]
 */
export function say(text, kind = "plain") {
  const region = byId("messages");
  for (const shown of [...region.children]) if (shown.firstChild?.textContent === text) shown.remove();
  const message = el("p", { class: kind === "error" ? "message error" : "message" }, kind === "error" && el("b", { text: "⚠ " }), text);
  const close = el("button", { type: "button", class: "quiet", text: "×", "aria-label": "Dismiss", on: { click: () => message.remove() } });
  message.append(close);
  region.append(message);
  while (region.children.length > MOST) region.firstElementChild?.remove();
  setTimeout(() => message.remove(), SHOWN);
}

/**
 * Sentences about parts of the run that could not be read, and about what was left out; they can be dismissed.
 * @param {string[]} problems
 * @param {string[]} notes
 */
export function tellProblems(problems, notes) {
  const note = byId("problems");
  note.hidden = !problems.length && !notes.length;
  if (note.hidden) return;
  note.classList.toggle("grave", problems.length > 0);
  const close = el("button", { type: "button", text: "Dismiss", data: { testid: "dismiss-problems" }, on: { click: () => (note.hidden = true) } });
  const heading = problems.length ? "⚠ Some of this run could not be read; the rest is shown." : "Left out of this page:";
  note.replaceChildren(el("b", { text: heading }), el("ul", {}, ...[...problems, ...notes].map((text) => el("li", { text }))), close);
}
