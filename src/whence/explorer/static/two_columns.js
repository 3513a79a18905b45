// @ts-check
/** Any two numbers of the training examples against each other: scores of every method for this query, and columns. */

import { axis, layout } from "whence/charts";
import { el, fillSelect } from "whence/element";
import { makeFigure } from "whence/figure";
import { pointSize } from "whence/map_marks";
import { correlation, count, known, plain } from "whence/numbers";
import { unpack } from "whence/packed";
import { spread } from "whence/plane";
import { makePointer } from "whence/pointer";
import { makePoints } from "whence/points";
import { pearson, sorted, quantile } from "whence/statistics";
import { colour } from "whence/theme";

/** @typedef {import("whence/types").Context} Context */
/** @typedef {{value: string, text: string, group: string}} Option */
/** @typedef {{values: ArrayLike<number>, title: string, words: string}} Series */

const COLUMNS = { loss: "loss", self_influence: "self-influence", disagreement: "disagreement with neighbours", confidence: "confidence" };

/**
 * @param {Context} context
 * @param {() => number} now position of the chosen query
 */
export function makeTwoColumns(context, now) {
  const { about, naming, queries, source, state } = context;
  const figure = makeFigure("two-columns", context, { image: () => points.image() });
  const points = makePoints(figure.chart);
  const pointer = makePointer(context, figure.chart, points.nearest);
  const x = el("select", { "aria-label": "Horizontal", data: { testid: "column-x" }, on: { change: () => state.set({ x: x.value }) } });
  const y = el("select", { "aria-label": "Vertical", data: { testid: "column-y" }, on: { change: () => state.set({ y: y.value }) } });
  figure.controls.append(el("label", {}, "→ ", x), el("label", {}, "↑ ", y));
  let latest = 0;

  /** @param {import("whence/types").Columns} train @returns {Option[]} */
  function options(train) {
    const query = queries.id[now()] ?? "";
    return [
      { value: "score", text: "score by the chosen method", group: `of query ${query}` },
      ...about.truths.map(({ name }) => ({ value: `actual:${name}`, text: `after ${naming.truth(name)}`, group: `of query ${query}` })),
      ...Object.entries(COLUMNS).filter(([name]) => /** @type {any} */ (train)[name]).map(([name, text]) => ({ value: name, text, group: "of the training example" })),
      ...about.methods.map(({ name, label }) => ({ value: `score:${name}`, text: label || name, group: `score for query ${query} by` })),
    ];
  }

  /**
   * @param {string} name
   * @param {import("whence/types").Columns} train
   * @returns {Promise<Series>}
   */
  async function series(name, train) {
    const query = now();
    if (name.startsWith("actual:")) {
      const truth = name.slice("actual:".length);
      const told = await source.get("/api/actual", { query, truth });
      const values = new Float32Array(train.id.length).fill(NaN);
      const [positions, effect] = [unpack(told.positions), unpack(told.effect)];
      for (let i = 0; i < positions.length; i++) values[positions[i]] = effect[i];
      return { values, title: `change after ${naming.truth(truth)} (${naming.truthOf(truth)?.unit || ""})`, words: "the change after a refit" };
    }
    if (name === "score" || name.startsWith("score:")) {
      const method = name === "score" ? state.now.method : name.slice("score:".length);
      const { values } = await source.get("/api/scores", { method, query });
      return { values: unpack(values), title: `${naming.methodLabel(method)}: ${naming.quantity(method)}`, words: naming.methodLabel(method) };
    }
    const column = about.columns.find((one) => one.name === name);
    const unit = name === "loss" ? about.unit : name === "confidence" ? "share of 1" : column?.unit;
    const title = column?.title || COLUMNS[/** @type {keyof typeof COLUMNS} */ (name)];
    return { values: /** @type {any} */ (train)[name], title: unit && unit !== "none" ? `${title} (${unit})` : title, words: title };
  }

  async function update() {
    const ticket = ++latest;
    if (now() < 0) return figure.empty("Choose a prediction from the list.");
    const train = await context.train();
    const offered = options(train);
    const known_ = (/** @type {string} */ wanted, /** @type {string[]} */ others) => [wanted, ...others].find((one) => offered.some(({ value }) => value === one)) || offered[0].value;
    fillSelect(x, offered, known_(state.now.x, ["self_influence", "loss"]));
    fillSelect(y, offered, known_(state.now.y, ["score"]));
    const [across, up] = await Promise.all([series(x.value, train), series(y.value, train)]);
    if (ticket !== latest) return;
    const { r, n } = pearson(across.values, up.values);
    if (!n) return figure.empty("No training example has both numbers; choose other columns.");
    const lines = (/** @type {number} */ position) => [
      `Training example ${train.id[position]}`, train.label ? `labelled ${naming.value(train.label[position])}` : "",
      `${across.words}: ${plain(across.values[position])}`, `${up.words}: ${plain(up.values[position])}`,
    ].filter(Boolean);
    const [wide, high] = [spread(across.values), spread(up.values)];
    points.wait();
    // An empty trace: the points are drawn below, in the axes that Plotly keeps.
    await figure.draw([{ type: "scatter", mode: "markers", x: [], y: [], hoverinfo: "skip" }], layout({ xaxis: axis(across.title, { zeroline: true, range: wide }), yaxis: axis(up.title, { zeroline: true, range: high }), dragmode: "zoom" }));
    points.show({ x: across.values, y: up.values, colours: [colour("accent")], symbols: null, order: null, size: pointSize(train.id.length), opacity: n > 2000 ? 0.35 : 0.55 });
    pointer.tell(lines);
    figure.heading.textContent = title(r, across, up);
    const reach = quantile(sorted(up.values), 0.5);
    figure.note.textContent = `${known(r) ? `r = ${correlation(r)}, ` : ""}n = ${count(n)} training examples; median of ${up.words}: ${plain(reach)}. Drag to zoom, double-click to see all.`;
  }

  /**
   * @param {number} r
   * @param {Series} across
   * @param {Series} up
   */
  function title(r, across, up) {
    if (!known(r)) return `${capital(up.words)} against ${across.words}`;
    const size = Math.abs(r);
    const verb = size < 0.1 ? "is hardly related to" : `${r > 0 ? "rises" : "falls"}${size < 0.4 ? " a little" : ""} with`;
    return `${capital(up.words)} ${verb} ${across.words} (r = ${correlation(r)})`;
  }

  return { root: figure.root, update, failed: figure.failed };
}

/** @param {string} text */
function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
