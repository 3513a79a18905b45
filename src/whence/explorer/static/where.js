// @ts-check
/** Where: the map of the training examples, with the chosen query and its most helpful and most harmful examples. */

import { axis, escaped, layout, plotly } from "whence/charts";
import { el, fillSelect } from "whence/element";
import { makeFigure } from "whence/figure";
import { legendTraces, makeLegend } from "whence/legend";
import { choices, coloured } from "whence/map_colours";
import { makeMapHands } from "whence/map_hands";
import { placed, pointSize, traces } from "whence/map_marks";
import { unpackAll } from "whence/packed";
import { spread } from "whence/plane";
import { makePoints } from "whence/points";
import { quantile, sorted } from "whence/statistics";
import { colour, onTheme } from "whence/theme";
import { askWhy } from "whence/why";

/** @typedef {import("whence/types").Context} Context */

/** Names nearer than this share of the map would hide one another. */
const CLOSE = 0.04;

/**
 * @param {Context} context
 * @param {HTMLElement} panel
 * @param {() => number} now position of the chosen query
 * @returns {import("whence/types").View}
 */
export function makeWhere(context, panel, now) {
  const { about, naming, source, state } = context;
  /** @type {import("whence/colouring").Colouring|null} */
  let colouring = null;
  const marks = () => [
    { symbol: "star", colour: colour("ink"), words: "the query" },
    { symbol: "triangle-up-open", colour: colour("helpful"), words: "its most helpful examples" },
    { symbol: "triangle-down-open", colour: colour("harmful"), words: "its most harmful" },
    { symbol: "square-open", colour: colour("accent"), words: "selected" },
  ];
  const legend = el("div", {});
  const figure = makeFigure("map", context, { aside: legend, legend: () => (colouring ? legendTraces(colouring, marks()) : []), image: () => points.image() });
  figure.root.classList.add("map");
  const map = el("select", { "aria-label": "Map", data: { testid: "map-name" }, on: { change: () => state.set({ map: map.value }) } });
  const by = el("select", { "aria-label": "Colour by", data: { testid: "map-colour" }, on: { change: () => state.set({ colour: by.value }) } });
  const points = makePoints(figure.chart);
  const hands = makeMapHands(context, figure.chart, points);
  figure.controls.append(el("label", {}, "Map ", map), el("label", {}, "Colour by ", by), hands.buttons, hands.byId);
  panel.replaceChildren(figure.root);
  let drawn = "";
  let latest = 0;
  onTheme(() => {
    drawn = "";
    if (!panel.hidden) update().catch(figure.failed);
  });

  async function update() {
    const ticket = ++latest;
    const query = now();
    if (!about.maps.length) return figure.empty("This run holds no map: give the run's command again to have one drawn.");
    const name = about.maps.some((one) => one.name === state.now.map) ? state.now.map : about.maps[0].name;
    try {
      const [train, packed] = await Promise.all([context.train(), source.get("/api/map", { name })]);
      const offered = choices(context, train);
      const chosen = offered.find(({ value }) => value === state.now.colour) || offered.find(({ value }) => value === "label") || offered[0];
      const wanted = query < 0 && chosen.value === "influence" ? offered[1] : chosen;
      const [seen, why] = await Promise.all([
        coloured(context, train, wanted.value, query),
        query < 0 ? null : askWhy(context, query, state.now.method).catch(() => null),
      ]);
      const Plotly = await plotly();
      if (ticket !== latest) return;
      fillSelect(map, about.maps.map((one) => ({ value: one.name, text: naming.map(one) })), name);
      fillSelect(by, offered, wanted.value);
      const place = { train: unpackAll(packed.train), queries: unpackAll(packed.queries) };
      colouring = seen.colouring;
      hands.know(train, seen);
      const pieces = traces(place, why, query, state.now.selected);
      if (drawn !== name || !figure.chart.childElementCount) {
        await figure.draw(pieces, look(name, place.train, seen.colouring, train));
        drawn = name;
        hands.listen({ x: spread(place.train.x), y: spread(place.train.y) });
      } else {
        await Plotly.update(figure.chart, placed(pieces), { annotations: names(place.train, seen.colouring, train) }, pieces.map((_, at) => at));
      }
      points.show({ ...place.train, ...seen.colouring, size: pointSize(train.id.length), opacity: 0.85 });
      figure.heading.textContent = `Training examples near each other look alike to the model; colour: ${seen.words}`;
      figure.note.textContent = [about.maps.find((one) => one.name === name)?.note || packed.note, "Scroll to zoom, click a point to select it, lasso to select many."].filter(Boolean).join(" · ");
      legend.replaceChildren(makeLegend(seen.colouring, marks()));
    } catch (error) {
      if (ticket === latest) figure.failed(error);
    }
  }

  /**
   * @param {string} name
   * @param {{x: ArrayLike<number>, y: ArrayLike<number>}} at
   * @param {import("whence/colouring").Colouring} seen
   * @param {import("whence/types").Columns} train
   */
  function look(name, at, seen, train) {
    const { kind, layer } = /** @type {import("whence/types").MapName} */ (about.maps.find((one) => one.name === name));
    const title = (/** @type {number} */ number) => (kind === "tsne" ? `t-SNE dimension ${number} of ${naming.layer(layer)} (no unit)` : `principal component ${number} of ${naming.layer(layer)}`);
    return layout({
      xaxis: axis(title(1), { range: spread(at.x), showgrid: false, automargin: false }),
      yaxis: axis(title(2), { range: spread(at.y), scaleanchor: "x", showgrid: false, automargin: false }),
      annotations: names(at, seen, train), uirevision: name, dragmode: hands.mode(), margin: { l: 56, r: 8, t: 8, b: 44 },
    });
  }

  /**
   * The name of each class where its examples lie in the middle, so that colours need no legend.
   * @param {{x: ArrayLike<number>, y: ArrayLike<number>}} at
   * @param {import("whence/colouring").Colouring} seen
   * @param {import("whence/types").Columns} train
   */
  function names(at, seen, train) {
    const chosen = by.value === "prediction" ? train.prediction : train.label;
    if (!seen.keys.length || seen.keys.length > 20 || !chosen) return [];
    const middles = seen.keys.map(({ value }) => {
      const members = Array.from(chosen.keys()).filter((i) => chosen[i] === value);
      return [at.x, at.y].map((along) => quantile(sorted(members.map((i) => along[i])), 0.5));
    });
    if (crowded(middles, [spread(at.x), spread(at.y)])) return [];
    return seen.keys.map(({ name, colour: border }, number) => ({
      x: middles[number][0], y: middles[number][1], text: escaped(name.length > 16 ? `${name.slice(0, 15)}…` : name), showarrow: false, captureevents: false,
      font: { size: 13, color: colour("ink") }, bgcolor: colour("panel"), bordercolor: border, borderwidth: 2, borderpad: 2, opacity: 0.9,
    }));
  }

  return { update };
}

/**
 * Whether two names would lie on one another.
 * @param {number[][]} places
 * @param {[number, number][]} ranges of both axes
 */
function crowded(places, ranges) {
  const near = (/** @type {number[]} */ a, /** @type {number[]} */ b) => ranges.every(([low, high], axis) => Math.abs(a[axis] - b[axis]) < CLOSE * (high - low));
  return places.some((a, i) => places.slice(i + 1).some((b) => near(a, b)));
}
