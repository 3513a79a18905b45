// @ts-check
/** What a person says of one label: another label, a note; and adding the example to the selection. */

import { el, fillSelect } from "whence/element";
import { shown } from "whence/example";
import { known, percent, plain } from "whence/numbers";
import { toggled } from "whence/selected";
import { rank } from "whence/suspect_row";

/** @typedef {import("whence/types").Context} Context */
/** @typedef {import("whence/types").Suspect} Suspect */

/**
 * @param {Context} context
 * @param {Suspect} row
 * @returns {HTMLElement}
 */
export function editor(context, row) {
  const { about, flags, naming, say, state } = context;
  const kept = flags.of(row.position);
  const facts = /** @type {[string, string][]} */ ([
    ["prediction", known(row.prediction) ? `${naming.value(row.prediction)}${known(row.confidence) ? `, ${percent(row.confidence)}` : ""}` : ""],
    ["neighbours say", about.task === "classification" && known(row.neighbours_label) && row.neighbours_label >= 0 ? naming.value(row.neighbours_label) : ""],
    ["loss", known(row.loss) ? `${plain(row.loss)}${rank(row, "loss")}` : ""],
    ["self-influence", known(row.self_influence) ? `${plain(row.self_influence)}${rank(row, "self_influence")}` : ""],
    ["disagreement", known(row.disagreement) ? `${percent(row.disagreement)}${rank(row, "disagreement")}` : ""],
  ]);

  /** @param {Partial<import("whence/types").Flag>} change */
  async function keep(change) {
    try {
      await flags.set(row.position, change);
      say(`Kept for training example ${row.id}.`);
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), "error");
    }
  }

  const label = el("select", { disabled: !about.can.act, data: { testid: "suggest-label" }, on: { change: () => keep({ label: label.value === "" ? null : Number(label.value) }) } });
  fillSelect(label, [{ value: "", text: "no other label" }, ...suggestions(context, row)], kept?.label === null || kept?.label === undefined ? "" : String(kept.label));
  const note = el("textarea", { rows: "2", disabled: !about.can.act, placeholder: "What is wrong with it?", data: { testid: "note" }, on: { change: () => keep({ note: note.value }) } });
  note.value = kept?.note || "";
  const box = el("input", { type: "checkbox", data: { testid: "suspect-select" }, on: { change: () => state.set({ selected: toggled(state.now.selected, row.position) }) } });
  box.checked = state.now.selected.includes(row.position);

  return el("div", { class: "editor", data: { testid: "editor" } },
    about.kind === "image" ? shown(context, "train", row.position, { room: 96 }) : about.kind === "none" ? null : shown(context, "train", row.position, {}),
    el("dl", { class: "facts" }, ...facts.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: value })))),
    about.task === "classification" && el("label", {}, "It should be ", label),
    el("label", {}, "Note", note),
    el("label", { class: "check" }, box, " Select it (what if it were removed?)"));
}

/**
 * The labels to choose from: what the prediction and the neighbours say first.
 * @param {Context} context
 * @param {Suspect} row
 */
function suggestions({ naming, about }, row) {
  const others = (about.classes || []).map((_, value) => value).filter((value) => value !== row.label);
  const said = (/** @type {number} */ value) => [value === row.prediction && "prediction", value === row.neighbours_label && "neighbours"].filter(Boolean).join(", ");
  return others
    .sort((a, b) => Number(Boolean(said(b))) - Number(Boolean(said(a))) || a - b)
    .map((value) => ({ value: String(value), text: said(value) ? `${naming.value(value)} (${said(value)})` : naming.value(value) }));
}
