// @ts-check
/** The list of predictions: sorted, filtered, found by id, ticked for a report. */

import { el, fillSelect } from "whence/element";
import { isPicture, shown } from "whence/example";
import { makeLongList } from "whence/long_list";
import { counted, known, percent, plain } from "whence/numbers";
import { EVERYTHING, ordered, SORTS } from "whence/order";
import { positions } from "whence/naming";

/** @typedef {import("whence/types").Context} Context */

const HEIGHTS = { image: 56, text: 88, features: 64, none: 48 };

/**
 * @param {Context} context
 * @param {HTMLElement} panel
 */
export function makeQueries(context, panel) {
  const { about, naming, queries, state } = context;
  const places = positions(queries.id);
  const filter = { ...EVERYTHING };
  /** @type {Set<number>} */
  const ticked = new Set();
  /** @type {number[]} */
  let order = [];

  const list = makeLongList({ name: "Predictions", rowHeight: HEIGHTS[about.kind], draw, choose: (index) => pick(order[index]), tick: (index) => tick(order[index]) });
  const heading = el("p", { class: "soft tally", data: { testid: "query-count" } });
  const id = el("input", {
    type: "search", placeholder: "Find id", "aria-label": "Find a query by its id", data: { testid: "query-id" }, autocomplete: "off",
    on: { input: () => refresh({ text: id.value.trim() }), keydown: (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && jump(id.value.trim()) },
  });
  const sort = select("sort", "Sort", SORTS.filter(({ column }) => /** @type {any} */ (queries)[column]).map(({ value, text }) => ({ value, text })));
  const label = select("label", "Label", classOptions(queries.label, "label: any"));
  const prediction = select("prediction", "Prediction", classOptions(queries.prediction, "predicted: any"));
  const right = select("right", "Right or wrong", [{ value: "", text: "right or wrong" }, { value: "wrong", text: "✗ wrong" }, { value: "right", text: "✓ right" }]);
  filter.sort = sort.value;
  const classes = about.task === "classification" && queries.label && queries.prediction;
  const picker = el("button", { type: "button", class: "picker", "aria-expanded": "false", "aria-controls": "query-body", data: { testid: "picker" }, on: { click: toggle } });
  const body = el("div", { class: "body", id: "query-body" },
    el("div", { class: "filters" }, el("div", { class: "pair" }, id, classes ? right : sort), classes && sort, classes && el("div", { class: "pair" }, label, prediction)), heading, list.box);
  panel.replaceChildren(picker, body);

  /**
   * @param {"sort"|"label"|"prediction"|"right"} name
   * @param {string} words
   * @param {{value: string, text: string}[]} options
   */
  function select(name, words, options) {
    const made = el("select", { "aria-label": words, data: { testid: `filter-${name}` }, on: { change: () => refresh({ [name]: made.value }) } });
    fillSelect(made, options, options[0]?.value || "");
    return made;
  }

  /** @param {ArrayLike<number>|undefined} values @param {string} any */
  function classOptions(values, any) {
    const present = [...new Set(Array.from(values || []))].filter((value) => value >= 0).sort((a, b) => a - b);
    return [{ value: "", text: any }, ...present.map((value) => ({ value: String(value), text: naming.value(value) }))];
  }

  /** @param {number} index */
  function draw(index) {
    const position = order[index];
    const [truth, guess] = [queries.label?.[position], queries.prediction?.[position]];
    const verdict = naming.right(truth, guess);
    const facts = [known(queries.confidence?.[position]) && percent(queries.confidence?.[position]), known(queries.loss?.[position]) && `loss ${plain(queries.loss?.[position], 2)}`];
    const box = el("span", {
      class: "tick", title: "Tick for the report (space bar)", data: { testid: `tick-${queries.id[position]}` }, text: ticked.has(position) ? "☑" : "☐",
      on: { click: (/** @type {Event} */ event) => { event.stopPropagation(); tick(position); } },
    });
    const sample = about.kind === "none" ? null : shown(context, "queries", position, { room: 40, brief: true });
    const words = el("span", { class: "words" },
      el("span", { class: "line" }, el("b", { text: naming.value(guess) }), verdict === false && el("span", { class: "wrong", text: ` ✗ not ${naming.value(truth)}` }), verdict && el("span", { class: "right", text: " ✓" })),
      el("span", { class: "line soft" }, `${queries.id[position]} · ${facts.filter(Boolean).join(" · ")}`));
    const row = el("div", { class: isPicture(context) ? "row" : "row tall", data: { id: queries.id[position], testid: `query-${queries.id[position]}` } }, sample, words, box);
    if (ticked.has(position)) row.setAttribute("aria-checked", "true");
    return row;
  }

  /** @param {number} position */
  function tick(position) {
    if (!ticked.delete(position)) ticked.add(position);
    list.show(order.length);
    list.activate(order.indexOf(now()));
  }

  /** @param {Partial<import("whence/order").Filter>} [change] */
  function refresh(change = {}) {
    Object.assign(filter, change);
    order = ordered(queries, filter, naming.right);
    const total = queries.id.length;
    heading.textContent = order.length === total ? counted(total, "prediction") : order.length ? `${order.length} of ${counted(total, "prediction")}` : "No prediction passes these filters; loosen one.";
    list.show(order.length);
    mark();
  }

  /** @param {string} wanted */
  function jump(wanted) {
    if (places.has(wanted)) pick(/** @type {number} */ (places.get(wanted)));
    else if (order.length && wanted) pick(order[0]);
    else context.say(`There is no query with the id ${wanted}.`, "error");
  }

  function now() {
    return places.get(String(state.now.query)) ?? -1;
  }

  /** @param {number|undefined} position */
  function pick(position) {
    if (position === undefined) return;
    state.set({ query: String(queries.id[position]) });
    if (panel.classList.contains("open") && document.activeElement !== list.box) toggle();
  }

  function toggle() {
    picker.setAttribute("aria-expanded", String(panel.classList.toggle("open")));
    if (panel.classList.contains("open")) list.show(order.length);
  }

  function mark() {
    const position = now();
    list.activate(order.indexOf(position));
    picker.textContent = position < 0 ? "Choose a prediction" : `Query ${queries.id[position]} · ${order.length ? order.indexOf(position) + 1 : 0} of ${order.length} · change`;
  }

  refresh();
  return {
    mark, now,
    /** Positions ticked for a report. */
    ticked: () => [...ticked].sort((a, b) => a - b),
    /** The neighbour in the list; undefined at its end. @param {number} step */
    neighbour: (step) => order[Math.max(-1, order.indexOf(now())) + step],
    /** @param {number} step */
    move(step) {
      const at = order.indexOf(now());
      pick(order[Math.min(order.length - 1, Math.max(0, at + step))]);
    },
    focusId: () => id.focus(),
  };
}
