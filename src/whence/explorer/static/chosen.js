// @ts-check
/** The chosen prediction, above every view: what it is, what was predicted, how sure and how wrong. */

import { el } from "whence/element";
import { isPicture, shown } from "whence/example";
import { known, percent, plain } from "whence/numbers";

/** @typedef {import("whence/types").Context} Context */

/**
 * @param {Context} context
 * @param {HTMLElement} panel
 * @param {number} position -1 where the address names no query
 * @param {(step: number) => void} move
 */
export function showChosen(context, panel, position, move) {
  const { about, naming, queries } = context;
  if (position < 0) {
    const words = queries.id.length ? "The address names a query that this run does not hold. Choose one from the list." : "This run holds no queries, so there is no prediction to explain. Run `whence attribute` or a study with some.";
    panel.replaceChildren(el("p", { class: "empty", text: words }));
    return;
  }
  const [label, prediction] = [queries.label?.[position], queries.prediction?.[position]];
  const verdict = naming.right(label, prediction);
  const facts = /** @type {[string, string|undefined][]} */ ([
    ["labelled", label === undefined ? undefined : naming.value(label)],
    ["predicted", prediction === undefined ? undefined : `${naming.value(prediction)}${verdict === null ? "" : verdict ? " ✓" : " ✗"}`],
    ["confidence", known(queries.confidence?.[position]) ? percent(queries.confidence?.[position]) : undefined],
    ["loss", known(queries.loss?.[position]) ? `${plain(queries.loss?.[position])} ${about.unit || ""}`.trim() : undefined],
  ]);
  const step = (/** @type {number} */ by, /** @type {string} */ sign, /** @type {string} */ words) =>
    el("button", { type: "button", text: sign, "aria-label": words, title: words, data: { testid: by < 0 ? "previous" : "next" }, on: { click: () => move(by) } });
  const picture = isPicture(context);
  const content = about.kind === "none" ? "" : shown(context, "queries", position, { room: 64, brief: about.kind === "features" && 10 });
  panel.classList.toggle("wordy", !picture);
  panel.replaceChildren(
    picture ? content : "",
    el("div", { class: "words" },
      el("h2", { data: { testid: "chosen-id" }, text: `Query ${queries.id[position]}` }),
      el("dl", { class: "facts" }, ...facts.filter(([, value]) => value !== undefined).map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { class: verdict === false && name === "predicted" ? "wrong" : "", text: value }))))),
    el("div", { class: "steps" }, step(-1, "↑", "Previous prediction in the list"), step(1, "↓", "Next prediction in the list")),
    picture ? "" : content,
  );
}
