// @ts-check
/** One suspicious label in a ranking: the example, what speaks against its label, and its loss with its rank by loss. */

import { el } from "whence/element";
import { isPicture, shown } from "whence/example";
import { count, known, percent, plain } from "whence/numbers";

/** @typedef {import("whence/types").Context} Context */
/** @typedef {import("whence/types").Suspect} Suspect */

/**
 * @param {Context} context
 * @param {Suspect} row
 * @param {"loss"|"self_influence"|"disagreement"} by
 * @param {{open: boolean, flag: () => void, toggle: () => void}} hands
 * @returns {HTMLElement}
 */
export function suspectRow(context, row, by, { open, flag, toggle }) {
  const { about, flags, naming } = context;
  const kept = flags.of(row.position);
  const verdict = naming.right(row.label, row.prediction);
  const value = by === "disagreement" ? percent(row.disagreement) : plain(row[by]);
  const baseline = known(row.loss) ? `loss ${plain(row.loss)}${rank(row, "loss")}` : "";
  const picture = isPicture(context);
  const content = about.kind === "none" ? null : shown(context, "train", row.position, { room: 40, lazy: true, brief: true });
  return el("div", { class: picture ? "suspect-row" : "suspect-row wordy" },
    el("span", { class: "rank", text: String(row.ranks?.[by] ?? "") }),
    picture && content,
    el("button", { type: "button", class: "words plain-button", "aria-expanded": String(open), data: { testid: "open-suspect" }, "aria-label": `Training example ${row.id}: details`, on: { click: toggle } },
      el("span", { class: "line" }, el("b", { text: naming.value(row.label) }), guess(naming.value(row.prediction), verdict), el("span", { class: "soft", text: ` · id ${row.id}` })),
      el("span", { class: "line soft" }, el("b", { class: "value", text: value }), by !== "loss" && baseline && el("span", { data: { testid: "baseline" }, text: ` · ${baseline}` })),
      el("span", { class: "line soft", text: [known(kept?.label) && `suggested ${naming.value(kept?.label)}`, kept?.note && "✎ noted", ...others(row, by)].filter(Boolean).join(" · ") })),
    el("button", {
      type: "button", class: "flag", "aria-pressed": String(Boolean(kept?.flag)), disabled: !about.can.act, "aria-label": `Flag training example ${row.id}`,
      title: about.can.act ? "Flag (f)" : about.can.why_not, data: { testid: "flag" }, text: kept?.flag ? "⚑" : "⚐", on: { click: flag },
    }),
    !picture && content);
}

/**
 * " (#3)" by one ranking.
 * @param {Suspect} row
 * @param {string} by
 */
export function rank(row, by) {
  const place = row.ranks?.[by];
  return known(place) ? ` (#${count(place)})` : "";
}

/**
 * Its places in the other rankings; that by loss has been said.
 * @param {Suspect} row
 * @param {string} by
 */
function others(row, by) {
  const names = [["self_influence", "self-infl."], ["disagreement", "disagr."]].filter(([name]) => name !== by && known(row.ranks?.[name]));
  return names.map(([name, words]) => `${words} #${count(row.ranks[name])}`);
}

/**
 * @param {string} prediction
 * @param {boolean|null} verdict
 */
function guess(prediction, verdict) {
  if (verdict === true) return el("span", { class: "soft", text: " ✓ predicted" });
  return el("span", { class: verdict === false ? "wrong" : "soft", text: `${verdict === false ? " ✗" : " ·"} predicted ${prediction}` });
}
