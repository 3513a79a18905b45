// @ts-check
/** The predicted change against the change after a refit without the example, with the line where they are equal. */

import { busy } from "whence/busy";
import { axis, layout } from "whence/charts";
import { el, fillSelect } from "whence/element";
import { makeFigure } from "whence/figure";
import { known, signed } from "whence/numbers";
import { unpack } from "whence/packed";
import { nearest, spread } from "whence/plane";
import { makePointer } from "whence/pointer";
import { colour } from "whence/theme";
import { agreementWords } from "whence/trust";
import { askWhy } from "whence/why";

/** @typedef {import("whence/types").Context} Context */
/** @typedef {import("whence/types").Agreement} Agreement */

const SYMBOLS = ["circle-open", "diamond-open", "square-open", "cross-open"];
const GLYPHS = ["○", "◇", "□", "✛"];

/**
 * @param {Context} context
 * @param {() => number} now position of the chosen query
 */
export function makePredictedActual(context, now) {
  const { naming, queries, source, state } = context;
  const figure = makeFigure("predicted-actual", context);
  /** @type {{x: ArrayLike<number>, y: ArrayLike<number>, positions: ArrayLike<number>}} */
  let seen = { x: [], y: [], positions: [] };
  const pointer = makePointer(context, figure.chart, (at) => seen.positions[nearest(figure.chart, seen.x, seen.y, at)] ?? -1);
  const truth = el("select", { "aria-label": "Refit", data: { testid: "truth" }, on: { change: () => busy(update().catch(figure.failed)) } });
  const choice = el("label", {}, "Refit ", truth);
  figure.controls.append(choice);
  let latest = 0;

  async function update() {
    const ticket = ++latest;
    const [query, { method }] = [now(), state.now];
    const offered = naming.method(method)?.truths || [];
    choice.hidden = offered.length < 2;
    figure.heading.textContent = "Predicted against actual";
    figure.note.textContent = "";
    if (query < 0) return figure.empty("Choose a prediction from the list.");
    if (!offered.length) return figure.empty(`No refit in this run has the unit of ${naming.quantity(method)}. Choose an influence method, or refit with \`whence refit\`.`);
    fillSelect(truth, offered.map((value) => ({ value, text: naming.truth(value) })), offered.includes(truth.value) ? truth.value : offered[0]);
    const [train, packed, actual, why] = await Promise.all([
      context.train(), source.get("/api/scores", { method, query }), source.get("/api/actual", { query, truth: truth.value }), askWhy(context, query, method).catch(() => null),
    ]);
    if (ticket !== latest) return;
    const [values, positions, effect] = [unpack(packed.values), unpack(actual.positions), unpack(actual.effect)];
    const samples = /** @type {string[]} */ (actual.sample || Array.from(positions, () => "refitted"));
    const kinds = [...new Set(samples)];
    const predicted = Array.from(positions, (/** @type {number} */ i) => values[i]);
    const ends = spread([...effect, ...predicted], 0.06);
    if (!predicted.some(known)) return figure.empty("This method holds no scores for the refitted examples; choose another method.");
    const kind = samples.map((name) => kinds.indexOf(name) % SYMBOLS.length);
    const unit = naming.unit(method);
    const quantity = naming.method(method)?.quantity || "change";
    const lines = (/** @type {number} */ position) => {
      const at = positions.indexOf(position);
      return [`Training example ${train.id[position]}`, `predicted ${signed(predicted[at])} ${unit}`, `refitted ${signed(effect[at])} ${unit}`, samples[at]];
    };
    await figure.draw(
      [
        { type: "scatter", mode: "lines", x: ends, y: ends, hoverinfo: "skip", line: { color: colour("edge"), width: 1.5, dash: "dash" } },
        {
          type: "scatter", mode: "markers", x: effect, y: predicted, hoverinfo: "skip",
          marker: { size: 8, symbol: kind.map((i) => SYMBOLS[i]), color: kind.map((i) => colour(i ? "soft" : "accent")), line: { width: 1.5 } },
        },
      ],
      layout({
        xaxis: axis(`${quantity} after a refit (${unit})`, { zeroline: true, range: ends }), yaxis: axis(`${quantity}, predicted (${unit})`, { zeroline: true, range: ends }), dragmode: "zoom",
      }),
    );
    seen = { x: effect, y: predicted, positions };
    pointer.tell(lines);
    const rows = (why?.trust.agreement || []).filter((row) => row.truth === truth.value);
    figure.heading.textContent = title(rows, query);
    figure.note.textContent = [
      kinds.length > 1 ? kinds.map((name, i) => `${GLYPHS[i % GLYPHS.length]} ${name} examples`).join(", ") : `${positions.length} refits`,
      ...rows.map((row) => `${row.sample || "all"}: ${agreementWords(row)}`),
      "dashed line: predicted = actual",
    ].join(" · ");
  }

  /**
   * @param {Agreement[]} rows
   * @param {number} query
   */
  function title(rows, query) {
    const [best] = [...rows].sort((a, b) => b.n - a.n);
    const about = `predicted changes of query ${queries.id[query]}`;
    if (!best || !known(best.pearson)) return `The ${about} beside those after refits`;
    const r = best.pearson;
    const verb = r > 0.95 ? "follow the refits closely" : r > 0.8 ? "follow the refits" : r > 0.5 ? "follow the refits roughly" : "hardly follow the refits";
    return `The ${about} ${verb}: ${agreementWords(best)}`;
  }

  return { root: figure.root, update, failed: figure.failed };
}
