// @ts-check
/** The selected training examples, and what would change without them. */

import { el, failed } from "whence/element";
import { isPicture, shown } from "whence/example";
import { counted, glyph, signed } from "whence/numbers";
import { unpack } from "whence/packed";
import { toggled } from "whence/selected";
import { makeVerify } from "whence/verify";

/** @typedef {import("whence/types").Context} Context */

const MOST_SHOWN = 17;
const MOST_QUERIES = 8;

/**
 * @param {Context} context
 * @param {HTMLElement} panel
 * @param {{now: () => number}} list
 */
export function startSelection(context, panel, list) {
  const { about, naming, queries, source, state } = context;
  const examples = el("div", { class: "examples", data: { testid: "selected-examples" } });
  const heading = el("h2", { data: { testid: "selected-count" } });
  const clear = el("button", { type: "button", class: "quiet", text: "Clear", data: { testid: "clear-selection" }, on: { click: () => state.set({ selected: [] }) } });
  const effect = el("div", { class: "effect", "aria-live": "polite", data: { testid: "joint" } });
  const most = el("div", { class: "effect" });
  const verify = makeVerify(context, () => list.now());
  panel.replaceChildren(el("header", {}, heading, clear), examples, el("h3", { text: "What if these were removed together?" }), effect, verify.root, most);
  // Where the panel lies below everything else, this leads to it.
  const jump = el("button", { type: "button", class: "to-selection", hidden: true, on: { click: () => panel.scrollIntoView() } });
  document.body.append(jump);
  let latest = 0;

  async function showExamples() {
    const { selected } = state.now;
    heading.textContent = `${counted(selected.length, "example")} selected`;
    jump.textContent = `${counted(selected.length, "example")} selected ↓`;
    const train = await context.train().catch(() => null);
    const few = isPicture(context) ? selected.slice(0, MOST_SHOWN) : selected.slice(0, 8);
    examples.classList.toggle("listed", !isPicture(context));
    examples.replaceChildren(
      ...few.map((position) => el("button", {
        type: "button", class: "example", title: `Take example ${train?.id[position] ?? position} out`, "aria-label": `Take example ${train?.id[position] ?? position} out of the selection`,
        on: { click: () => state.set({ selected: toggled(state.now.selected, position) }) },
      }, isPicture(context) ? shown(context, "train", position, { room: 32, lazy: true }) : el("span", { class: "line" }, el("b", { text: `${train?.id[position] ?? position} ` }), naming.value(train?.label?.[position])),
      context.about.kind === "text" && shown(context, "train", position, { brief: true }))),
      selected.length > few.length ? el("span", { class: "soft", text: `and ${counted(selected.length - few.length, "other")}` }) : "",
    );
  }

  /** @returns {Promise<Float32Array>} the joint change of every query */
  async function asked() {
    const { method, selected } = state.now;
    const { change } = await source.post("/api/joint", { method, positions: selected });
    return unpack(change);
  }

  /** In a report no server adds scores up, but those of the chosen query are here. */
  async function addedHere() {
    const { method, selected } = state.now;
    const values = unpack((await source.get("/api/scores", { method, query: list.now() })).values);
    const change = new Float32Array(queries.id.length).fill(NaN);
    change[list.now()] = selected.reduce((sum, position) => sum + values[position], 0);
    return change;
  }

  async function showEffect() {
    const ticket = ++latest;
    const { method } = state.now;
    most.replaceChildren();
    if (naming.method(method)?.additive === false) return effect.replaceChildren(el("p", { class: "soft", text: `${naming.methodLabel(method)} states no change in loss, so its scores do not add up to one. Choose an influence method above.` }));
    try {
      const change = await (about.can.act ? asked() : addedHere());
      if (ticket !== latest) return;
      verify.predict(change);
      effect.replaceChildren(...told(change));
      most.replaceChildren(...others(change));
    } catch (error) {
      if (ticket === latest) effect.replaceChildren(failed(error));
    }
  }

  /** @param {Float32Array} change */
  function told(change) {
    const { method } = state.now;
    const here = change[list.now()];
    const words = here > 0 ? "the loss would rise: together they help" : here < 0 ? "the loss would fall: together they harm" : "the loss would not change";
    return [
      el("p", { class: `sum ${here < 0 ? "harmful" : "helpful"}` }, el("span", { class: "big", data: { testid: "joint-here" } }, el("span", { "aria-hidden": "true", text: `${glyph(here)} ` }), signed(here), el("span", { class: "unit", text: ` ${naming.unit(method)}` })),
        el("span", { class: "soft", text: Number.isFinite(here) ? `Query ${queries.id[list.now()]}: ${words}.` : "No score is stored for this query." })),
      el("p", { class: "soft note", text: about.can.act ? "Sum of the stored scores, one example at a time. A refit without all of them tells whether it adds up." : `Sum of the stored scores for this query. ${about.can.why_not || "Open this run with `whence explore` for all queries and for a refit."}` }),
    ];
  }

  /** @param {Float32Array} change */
  function others(change) {
    const { method } = state.now;
    const size = (/** @type {number} */ i) => (Number.isFinite(change[i]) ? Math.abs(change[i]) : -1);
    const ranked = Array.from(change.keys()).filter((i) => size(i) > 0 && i !== list.now()).sort((a, b) => size(b) - size(a)).slice(0, MOST_QUERIES);
    if (!ranked.length) return [];
    const rows = ranked.map((i) => el("li", {}, el("button", { type: "button", class: "quiet", on: { click: () => state.set({ query: String(queries.id[i]) }) } },
      el("span", { class: "line", text: `${queries.id[i]}` }), el("span", { class: "line soft", text: naming.value(queries.prediction?.[i]) }), el("b", { class: change[i] < 0 ? "harmful" : "helpful", text: `${glyph(change[i])} ${signed(change[i])}` }))));
    return [el("h3", { text: "Predictions that would change most" }), el("p", { class: "soft note", text: `Query, prediction, predicted change (${naming.unit(method) || "no unit"})` }), el("ol", { class: "most", data: { testid: "joint-most" } }, ...rows)];
  }

  return {
    /** @param {Set<string>} changed */
    async refresh(changed) {
      panel.hidden = jump.hidden = !state.now.selected.length;
      document.body.classList.toggle("selecting", !panel.hidden);
      if (panel.hidden) return verify.reset();
      if (changed.has("selected")) {
        verify.reset();
        showExamples();
      }
      if (changed.has("query")) verify.show();
      if (["selected", "query", "method"].some((name) => changed.has(name))) await showEffect();
    },
  };
}
