// @ts-check
/** One training example with its score: what it is, how it is labelled, and how much it helps or harms. */

import { el } from "whence/element";
import { isPicture, shown } from "whence/example";
import { glyph, known, plain, signed } from "whence/numbers";

/** @typedef {import("whence/types").Context} Context */
/** @typedef {import("whence/types").Scored} Scored */

const SHORT = 5;

/**
 * @param {Context} context
 * @param {Scored} row
 * @param {object} options
 * @param {number} options.rank from 1
 * @param {number} options.limit the score at which a bar ends
 * @param {boolean} options.signed whether the score says help or harm
 * @param {string} options.method name of the method
 * @param {number} options.query position of the query
 * @param {string} [options.also] where the other method ranks this example
 * @param {(position: number) => void} options.toggle add to the selection, or take out
 * @returns {HTMLElement}
 */
export function card(context, row, { rank, limit, signed: says, method, query, also, toggle }) {
  const { naming, state } = context;
  const verdict = naming.right(row.label, row.prediction);
  const flagged = context.flags.of(row.position);
  const facts = [
    known(row.label) && `labelled ${naming.value(row.label)}`,
    known(row.prediction) && `predicted ${naming.value(row.prediction)}${verdict === null ? "" : verdict ? " ✓" : " ✗"}`,
  ].filter(Boolean);
  const box = el("input", {
    type: "checkbox", "aria-label": `Select training example ${row.id}`, data: { testid: `select-${row.id}` },
    on: { change: () => toggle(row.position) },
  });
  box.checked = state.now.selected.includes(row.position);
  const picture = isPicture(context);
  const content = context.about.kind === "none" ? null : shown(context, "train", row.position, { room: 56, against: query });
  const words = el("div", { class: "words" },
    el("div", { class: "line" }, ...(facts.length ? facts : [`training example ${row.id}`]).map((text) => el("span", { class: "part", text: String(text) }))),
    el("div", { class: "line soft" }, `id ${row.id}${known(row.loss) ? ` · loss ${plain(row.loss)}` : ""}`, flagged?.flag && el("span", { class: "flagged", text: " ⚑ flagged" }), also && el("span", { class: "also", text: ` ${also}` })),
    !picture && content);
  return el("li", { class: picture ? "card" : "card wordy", data: { testid: "card", position: String(row.position), id: String(row.id) } },
    el("label", { class: "rank" }, box, el("span", { text: String(rank) })),
    picture && content, words, measured(context, row, limit, says, method));
}

/**
 * The score as a number and as a bar from zero, with the refitted value beside it where there is one.
 * @param {Context} context
 * @param {Scored} row
 * @param {number} limit
 * @param {boolean} says
 * @param {string} method
 */
function measured({ naming }, row, limit, says, method) {
  const side = !says ? "neutral" : row.score < 0 ? "harmful" : "helpful";
  const unit = naming.unit(method);
  const number = says ? signed(row.score) : plain(row.score);
  const bar = el("div", { class: `bar ${side}`, "aria-hidden": "true" }, el("span", { class: "fill", style: span(row.score, limit) }));
  const score = el("div", { class: `score ${side}`, data: { testid: "score" } }, says && el("span", { class: "glyph", "aria-hidden": "true", text: `${glyph(row.score)} ` }), number, unit && el("span", { class: unit.length <= SHORT ? "unit" : "unit long", text: ` ${unit}` }));
  if (!known(row.actual)) return el("div", { class: "measured" }, score, bar);
  bar.append(el("span", { class: "actual", style: { left: `${50 + 50 * clamp(row.actual / limit)}%` } }));
  const refit = el("div", { class: "refit soft", data: { testid: "actual" }, title: `${naming.truth(row.truth)} without this example` }, el("span", { "aria-hidden": "true", text: "◇ " }), `refit ${signed(row.actual)}`);
  return el("div", { class: "measured" }, score, bar, refit);
}

/**
 * @param {number} value
 * @param {number} limit
 */
function span(value, limit) {
  const share = 50 * clamp(value / limit);
  return share >= 0 ? { left: "50%", width: `${share}%` } : { left: `${50 + share}%`, width: `${-share}%` };
}

/** @param {number} value */
function clamp(value) {
  return Number.isFinite(value) ? Math.max(-1, Math.min(1, value)) : 0;
}
