// @ts-check
/** Hands on the map: pan, zoom, click, lasso, hover, and selecting by id for those without a pointer. */

import { plotly } from "whence/charts";
import { el } from "whence/element";
import { positions } from "whence/naming";
import { counted, known, plain, signed } from "whence/numbers";
import { makePointer } from "whence/pointer";
import { united } from "whence/selected";

/** @typedef {import("whence/types").Context} Context */
/** @typedef {import("whence/types").Columns} Columns */
/** @typedef {import("whence/map_colours").Seen} Seen */

/** What every tooltip says anyway. */
const SAID = ["loss", "label", "prediction"];
const MODES = [["pan", "Pan"], ["zoom", "Zoom"], ["lasso", "Lasso"]];

/**
 * @param {Context} context
 * @param {HTMLElement} chart
 * @param {ReturnType<typeof import("whence/points").makePoints>} points
 */
export function makeMapHands(context, chart, points) {
  const { naming, say, state } = context;
  const pointer = makePointer(context, chart, points.nearest);
  pointer.tell(lines);
  let mode = "pan";
  /** @type {{x?: [number, number], y?: [number, number]}} */
  let ranges = {};
  /** @type {Columns|null} */
  let train = null;
  /** @type {Seen|null} */
  let seen = null;

  const tools = MODES.map(([name, text]) => el("button", { type: "button", text, "aria-pressed": String(name === mode), data: { testid: `map-${name}` }, on: { click: () => choose(name) } }));
  const reset = el("button", { type: "button", text: "Whole map", data: { testid: "map-reset" }, on: { click: whole } });
  const buttons = el("div", { class: "group", role: "group", "aria-label": "What dragging does" }, ...tools, reset);
  const ids = el("input", {
    type: "text", size: "12", placeholder: "ids: 12, 57", "aria-label": "Select training examples by their ids", data: { testid: "select-ids" },
    on: { keydown: (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && byIds(ids.value) },
  });

  /** @param {string} name */
  async function choose(name) {
    mode = name;
    tools.forEach((button, at) => button.setAttribute("aria-pressed", String(MODES[at][0] === name)));
    (await plotly()).relayout(chart, { dragmode: name });
  }

  async function whole() {
    (await plotly()).relayout(chart, { "xaxis.range": ranges.x, "yaxis.range": ranges.y });
  }

  /** @param {string} text */
  function byIds(text) {
    if (!train) return;
    const places = positions(train.id);
    const wanted = text.split(/[\s,;]+/).filter(Boolean);
    const found = wanted.filter((id) => places.has(id));
    if (found.length < wanted.length) say(`No training example has the id ${wanted.filter((id) => !places.has(id)).join(", ")}.`, "error");
    state.set({ selected: united(state.now.selected, found.map((id) => /** @type {number} */ (places.get(id)))) });
    ids.value = "";
  }

  /** @param {number} position */
  function lines(position) {
    if (!train) return [];
    const value = seen?.values[position];
    const says = naming.method(state.now.method)?.signed !== false && seen?.colouring.ramp?.middle === "0";
    return [
      `Training example ${train.id[position]}`,
      [train.label && `labelled ${naming.value(train.label[position])}`, train.prediction && `predicted ${naming.value(train.prediction[position])}${{ true: " ✓", false: " ✗", null: "" }[String(naming.right(train.label?.[position], train.prediction[position]))]}`].filter(Boolean).join(" · "),
      known(train.loss?.[position]) ? `loss ${plain(train.loss?.[position])}` : "",
      seen?.colouring.ramp && known(value) && !SAID.includes(seen.words) ? `${seen.words}: ${says ? signed(value) : plain(value)}` : "",
    ].filter(Boolean);
  }

  /** @param {any} event of Plotly */
  async function lassoed(event) {
    if (!event?.lassoPoints) return;
    const chosen = points.inside(event.lassoPoints);
    await (await plotly()).update(chart, { selectedpoints: [null] }, { selections: [] });
    if (!chosen.length) return say("No training example lies inside the lasso.");
    state.set({ selected: united(state.now.selected, chosen) });
    say(`${counted(chosen.length, "example")} added to the selection.`);
  }

  return {
    buttons, byId: el("label", {}, "Select ", ids),
    mode: () => mode,
    /** @param {Columns} columns @param {Seen} colours */
    know(columns, colours) {
      [train, seen] = [columns, colours];
      pointer.hide();
    },
    /**
     * Called when the chart was drawn anew.
     * @param {{x: [number, number], y: [number, number]}} whole the ranges that hold all points
     */
    listen(whole) {
      ranges = whole;
      const plot = /** @type {any} */ (chart);
      plot.removeAllListeners("plotly_selected");
      plot.on("plotly_selected", lassoed);
    },
  };
}
