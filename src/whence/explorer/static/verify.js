// @ts-check
/** The selection's effect verified by a refit: progress, cancelling, and the refitted change beside the predicted one. */

import { el, failed } from "whence/element";
import { glyph, known, plain, signed } from "whence/numbers";
import { unpack } from "whence/packed";

/** @typedef {import("whence/types").Context} Context */

const PAUSE = 400;
const MOST = 8;

/**
 * @param {Context} context
 * @param {() => number} now position of the chosen query
 */
export function makeVerify({ about, queries, source, state }, now) {
  const start = el("button", { type: "button", class: "strong", text: "Verify by a refit", data: { testid: "verify" }, on: { click: begin } });
  const cancel = el("button", { type: "button", text: "Cancel", hidden: true, data: { testid: "cancel" }, on: { click: stop } });
  const bar = el("progress", { hidden: true, data: { testid: "progress" }, "aria-label": "Progress of the refit" });
  const words = el("p", { class: "soft note", "aria-live": "polite", data: { testid: "verify-words" } });
  const result = el("div", { data: { testid: "verified" } });
  const root = el("section", { class: "verify" }, el("div", { class: "buttons" }, start, cancel), bar, words, result);
  /** @type {string|null} */
  let job = null;
  /** @type {Float32Array|null} */
  let predicted = null;
  /** @type {{effect: Float32Array, seconds: number}|null} */
  let refitted = null;

  /** @param {boolean} running */
  function running(running) {
    start.disabled = running || !about.can.verify;
    cancel.hidden = bar.hidden = !running;
  }

  function reset() {
    if (job) stop();
    job = refitted = null;
    running(false);
    result.replaceChildren();
    words.textContent = about.can.verify ? "Refits the model without these examples, in float64." : about.can.why_not || "This run does not hold what a refit needs.";
  }

  async function begin() {
    result.replaceChildren();
    running(true);
    bar.removeAttribute("value");
    words.textContent = "Starting…";
    try {
      const mine = (await source.post("/api/verify", { positions: state.now.selected })).job;
      job = mine;
      while (job === mine) {
        const told = await source.get("/api/verify", { job: mine });
        if (job !== mine) return;
        if (told.state !== "running") return finish(told);
        words.textContent = told.words || "Working…";
        if (known(told.of) && told.of > 0) Object.assign(bar, { max: told.of, value: told.done });
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    } catch (error) {
      job = null;
      running(false);
      words.textContent = "";
      result.replaceChildren(failed(error));
    }
  }

  /** @param {any} told */
  function finish(told) {
    job = null;
    running(false);
    words.textContent = "";
    if (told.state === "cancelled") words.textContent = "Cancelled. Nothing was kept of this refit.";
    else if (told.state === "failed" || !told.result) result.replaceChildren(failed(told.error || "The refit failed; the terminal of `whence explore` says why."));
    else {
      refitted = { effect: unpack(told.result.effect), seconds: told.result.seconds };
      show();
      result.scrollIntoView({ block: "nearest" });
    }
  }

  async function stop() {
    if (!job) return;
    words.textContent = "Cancelling…";
    await source.post("/api/cancel", { job }).catch((error) => (words.textContent = error.message));
  }

  function show() {
    if (!refitted) return;
    const { effect, seconds } = refitted;
    const size = (/** @type {number} */ i) => (Number.isFinite(effect[i]) ? Math.abs(effect[i]) : -1);
    const others = Array.from(effect.keys()).filter((i) => size(i) >= 0 && i !== now()).sort((a, b) => size(b) - size(a)).slice(0, MOST);
    const rows = [now(), ...others].filter((i) => i >= 0).map((i) => el("tr", { class: i === now() ? "here" : "" },
      el("th", { scope: "row", text: String(queries.id[i]) }), number(predicted?.[i]), number(effect[i])));
    result.replaceChildren(el("table", { class: "compared" }, el("caption", { text: `Refitted in ${plain(seconds)} s: change in loss` }),
      el("thead", {}, el("tr", {}, el("th", { text: "query" }), el("th", { class: "number", text: "predicted" }), el("th", { class: "number", text: "refitted" }))), el("tbody", {}, ...rows)));
  }

  /** @param {number|undefined} value */
  function number(value) {
    return el("td", { class: `number ${known(value) && value < 0 ? "harmful" : "helpful"}`, text: known(value) ? `${glyph(value)} ${signed(value)}` : "–" });
  }

  reset();
  return {
    root, reset, show,
    /** @param {Float32Array} change the predicted change of every query */
    predict(change) {
      predicted = change;
      show();
    },
  };
}
