// @ts-check
/** Scores of one prediction by the class of the training example: quartiles, fences and the furthest examples. */

import { busy } from "whence/busy";
import { axis, escaped, layout } from "whence/charts";
import { el } from "whence/element";
import { makeFigure } from "whence/figure";
import { counted, plain, signed } from "whence/numbers";
import { unpack } from "whence/packed";
import { nearest } from "whence/plane";
import { makePointer } from "whence/pointer";
import { box, gathered, quarters } from "whence/statistics";
import { colour } from "whence/theme";

/** @typedef {import("whence/types").Context} Context */

const FURTHEST = 6;
const MOST_GROUPS = 40;
const NARROW = 480;

/**
 * @param {Context} context
 * @param {() => number} now position of the chosen query
 */
export function makeBoxes(context, now) {
  const { about, naming, queries, source, state } = context;
  const figure = makeFigure("boxes", context);
  figure.root.classList.add("wide");
  /** @type {{x: number[], y: number[], positions: number[]}} */
  let seen = { x: [], y: [], positions: [] };
  const pointer = makePointer(context, figure.chart, (at) => (whole ? seen.positions[nearest(figure.chart, seen.x, seen.y, at)] ?? -1 : -1));
  let whole = false;
  const zoom = el("button", { type: "button", text: "Boxes only", "aria-pressed": "true", data: { testid: "boxes-only" }, on: { click: () => flip(false) } });
  const all = el("button", { type: "button", text: "With the furthest examples", "aria-pressed": "false", data: { testid: "boxes-all" }, on: { click: () => flip(true) } });
  figure.controls.append(el("div", { class: "group", role: "group", "aria-label": "What the axis holds" }, zoom, all));
  let latest = 0;

  /** @param {boolean} to */
  function flip(to) {
    whole = to;
    zoom.setAttribute("aria-pressed", String(!whole));
    all.setAttribute("aria-pressed", String(whole));
    busy(update().catch(figure.failed));
  }

  /** @param {import("whence/types").Columns} train */
  function groups(train) {
    if (!train.label) return null;
    if (about.task === "classification") {
      const many = Math.max(-1, ...new Set(train.label)) + 1;
      return { groups: train.label, names: Array.from({ length: many }, (_, value) => naming.value(value)), words: "label" };
    }
    const { groups, edges } = quarters(train.label);
    return { groups, names: [0, 1, 2, 3].map((i) => `${plain(edges[i])} to ${plain(edges[i + 1])}`), words: "quarter of the target" };
  }

  async function update() {
    const ticket = ++latest;
    const [query, { method }] = [now(), state.now];
    if (query < 0) return figure.empty("Choose a prediction from the list to see what it owes to each class.");
    const [train, packed] = await Promise.all([context.train(), source.get("/api/scores", { method, query })]);
    if (ticket !== latest) return;
    const grouped = groups(train);
    if (!grouped || grouped.names.length > MOST_GROUPS) return figure.empty(grouped ? `There are too many classes (${grouped.names.length}) for boxes side by side.` : "The run keeps no labels of the training examples, so there are no classes to compare.");
    const values = unpack(packed.values);
    const boxes = gathered(grouped.groups, grouped.names.length).map((members) => box(members, values));
    const kept = [...boxes.keys()].filter((i) => boxes[i].n);
    if (!kept.length) return figure.empty("This method holds no scores for this prediction; choose another method.");
    const far = kept.map((i) => [...boxes[i].below.slice(0, FURTHEST), ...boxes[i].above.slice(-FURTHEST)]);
    const points = far.flat();
    const says = naming.method(method)?.signed ?? true;
    const lines = (/** @type {number} */ position) => [`Training example ${train.id[position]}`, `labelled ${naming.value(train.label?.[position])}`, `score ${(says ? signed : plain)(values[position])} ${naming.unit(method)}`];
    seen = { positions: points, x: kept.flatMap((i, at) => far[at].map(() => i)), y: points.map((i) => values[i]) };
    await figure.draw(
      [
        {
          type: "box", x: kept, q1: kept.map((i) => boxes[i].q1), median: kept.map((i) => boxes[i].median), q3: kept.map((i) => boxes[i].q3),
          mean: kept.map((i) => boxes[i].mean), lowerfence: kept.map((i) => boxes[i].lower), upperfence: kept.map((i) => boxes[i].upper),
          hoverinfo: "skip", line: { color: colour("ink"), width: 1.5 }, fillcolor: colour("shade"), whiskerwidth: 0.4, width: 0.56,
        },
        {
          type: "scatter", mode: "markers", x: seen.x, y: seen.y, hoverinfo: "skip", visible: whole,
          marker: { size: 7, symbol: points.map((i) => (!says ? "circle" : values[i] < 0 ? "triangle-down" : "triangle-up")), color: points.map((i) => colour(!says ? "soft" : values[i] < 0 ? "harmful" : "helpful")) },
        },
      ],
      layout({
        xaxis: axis(`${grouped.words} of the training example`, { tickvals: kept, ticktext: kept.map((i) => tick(grouped.names[i], i, query)), range: [Math.min(...kept) - 0.6, Math.max(...kept) + 0.6], showgrid: false, fixedrange: true, ...(about.task === "classification" ? {} : { tickangle: 0 }) }),
        yaxis: axis(naming.quantity(method), { zeroline: true, zerolinewidth: 1.5, autorange: true }),
        dragmode: false,
      }),
    );
    pointer.tell(lines);
    figure.heading.textContent = title(kept, boxes, grouped, query);
    const roles = about.task === "classification" ? `The query is labelled ${naming.value(queries.label?.[query])}, predicted ${naming.value(queries.prediction?.[query])}. ` : "";
    figure.note.textContent = `${roles}Box: quartiles and median, dashed: mean; whiskers: the last example within 1.5 interquartile ranges. ${counted(kept.reduce((sum, i) => sum + boxes[i].n, 0), "training example")}.${whole ? ` Marks: the ${FURTHEST} furthest of each class on either side.` : ""}`;
  }

  /**
   * @param {string} name
   * @param {number} group
   * @param {number} query
   */
  function tick(name, group, query) {
    if (about.task !== "classification") return escaped(name).replace(" to ", "<br>to ");
    const short = escaped(name.length > 14 ? `${name.slice(0, 13)}…` : name);
    if (figure.chart.clientWidth < NARROW) return short;
    const roles = [queries.label?.[query] === group && "its label", queries.prediction?.[query] === group && "predicted"].filter(Boolean);
    return roles.length ? `${short}<br>${roles.join(", ")}` : short;
  }

  /**
   * @param {number[]} kept
   * @param {ReturnType<typeof box>[]} boxes
   * @param {{names: string[], words: string}} grouped
   * @param {number} query
   */
  function title(kept, boxes, { names, words }, query) {
    const ranked = [...kept].sort((a, b) => boxes[b].mean - boxes[a].mean);
    const [top, bottom] = [ranked[0], ranked[ranked.length - 1]];
    const says = naming.method(state.now.method)?.signed ?? true;
    const of = `By ${words}, for query ${queries.id[query]}`;
    if (!says || top === bottom) return `${of}: examples of ${names[top]} have the highest mean score (${plain(boxes[top].mean)})`;
    return `${of}: examples of ${names[top]} help most on average (${signed(boxes[top].mean)}), those of ${names[bottom]} ${boxes[bottom].mean < 0 ? "harm most" : "help least"} (${signed(boxes[bottom].mean)})`;
  }

  return { root: figure.root, update, failed: figure.failed };
}
