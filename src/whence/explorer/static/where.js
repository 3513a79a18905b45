// @ts-check
/** Where: the map of the training examples, with the chosen query and its most helpful and most harmful examples. */

import { busy } from "whence/busy";
import { plotly } from "whence/charts";
import { el, fillSelect } from "whence/element";
import { makeFigure } from "whence/figure";
import { legendTraces, makeLegend } from "whence/legend";
import { choices, coloured } from "whence/map_colours";
import { makeMapHands } from "whence/map_hands";
import { classNames, look } from "whence/map_look";
import { placed, pointSize, traces } from "whence/map_marks";
import { unpackAll } from "whence/packed";
import { spread } from "whence/plane";
import { makePoints } from "whence/points";
import { colour, onTheme } from "whence/theme";
import { askWhy } from "whence/why";

/** @typedef {import("whence/types").Context} Context */
/** @typedef {import("whence/map_colours").Seen} Seen */

/**
 * @param {Context} context
 * @param {HTMLElement} panel
 * @param {() => number} now position of the chosen query
 * @returns {import("whence/types").View}
 */
export function makeWhere(context, panel, now) {
  const { about, naming, source, state } = context;
  /** What is drawn: which map, in which colours. @type {{name: string, seen: Seen|null}} */
  let drawn = { name: "", seen: null };
  /** Colours that no query changes. @type {Map<string, Promise<Seen>>} */
  const lasting = new Map();
  /** @type {Map<string, Promise<{train: any, queries: any, note: string}>>} */
  const maps = new Map();
  let latest = 0;

  const marks = () => [
    { symbol: "star", colour: colour("ink"), words: "the query" },
    { symbol: "triangle-up-open", colour: colour("helpful"), words: "its most helpful examples" },
    { symbol: "triangle-down-open", colour: colour("harmful"), words: "its most harmful" },
    { symbol: "square-open", colour: colour("accent"), words: "selected" },
  ];
  const legend = el("div", {});
  const figure = makeFigure("map", context, {
    aside: legend, legend: () => (drawn.seen ? legendTraces(drawn.seen.colouring, marks()) : []), image: () => points.image(),
  });
  figure.root.classList.add("map");
  const map = el("select", { "aria-label": "Map", data: { testid: "map-name" }, on: { change: () => state.set({ map: map.value }) } });
  const by = el("select", { "aria-label": "Colour by", data: { testid: "map-colour" }, on: { change: () => state.set({ colour: by.value }) } });
  const points = makePoints(figure.chart);
  const hands = makeMapHands(context, figure.chart, points);
  figure.controls.append(el("label", {}, "Map ", map), el("label", {}, "Colour by ", by), hands.buttons, hands.byId);
  panel.replaceChildren(figure.root);
  onTheme(() => {
    drawn.name = "";
    lasting.clear();
    if (!panel.hidden) busy(update().catch(figure.failed));
  });

  /** @param {string} name */
  function ask(name) {
    if (!maps.has(name)) {
      const asked = source.get("/api/map", { name }).then(({ train, queries, note }) => ({ train: unpackAll(train), queries: unpackAll(queries), note }));
      asked.catch(() => maps.delete(name));
      maps.set(name, asked);
    }
    return /** @type {Promise<{train: any, queries: any, note: string}>} */ (maps.get(name));
  }

  /**
   * @param {import("whence/types").Columns} train
   * @param {string} name
   * @param {number} query
   */
  function colours(train, name, query) {
    if (name === "influence") return coloured(context, train, name, query);
    if (!lasting.has(name)) lasting.set(name, coloured(context, train, name, query));
    return /** @type {Promise<Seen>} */ (lasting.get(name));
  }

  /** @param {import("whence/types").Columns} train @param {number} query */
  function choice(train, query) {
    const offered = choices(context, train).filter(({ value }) => value !== "influence" || query >= 0);
    const chosen = offered.find(({ value }) => value === state.now.colour) || offered.find(({ value }) => value === "label") || offered[0];
    fillSelect(by, offered, chosen?.value || "");
    return by.value;
  }

  async function update() {
    const ticket = ++latest;
    const query = now();
    if (!about.maps.length) return figure.empty("This run holds no map: give the run's command again to have one drawn.");
    const chosen = about.maps.find((one) => one.name === state.now.map) || about.maps[0];
    try {
      const [train, place, Plotly] = await Promise.all([context.train(), ask(chosen.name), plotly()]);
      if (ticket !== latest) return;
      fillSelect(map, about.maps.map((one) => ({ value: one.name, text: naming.map(one) })), chosen.name);
      const name = choice(train, query);
      const [seen, why] = await Promise.all([colours(train, name, query), query < 0 ? null : askWhy(context, query, state.now.method).catch(() => null)]);
      if (ticket !== latest) return;
      const pieces = traces(place, why, query, state.now.selected);
      const every = pieces.map((_, number) => number);
      const same = drawn.seen === seen;
      const annotations = () => classNames(place.train, seen.colouring.keys, seen.values);
      if (drawn.name !== chosen.name) {
        points.wait();
        await figure.draw(pieces, look(naming, chosen, place.train, { dragmode: hands.mode(), annotations: annotations() }));
        hands.listen({ x: spread(place.train.x), y: spread(place.train.y) });
        points.show({ ...place.train, ...seen.colouring, size: pointSize(train.id.length), opacity: 0.85 });
      } else if (same) {
        await Plotly.restyle(figure.chart, placed(pieces), every);
      } else {
        points.wait();
        await Plotly.update(figure.chart, placed(pieces), { annotations: annotations() }, every);
        points.show({ ...place.train, ...seen.colouring, size: pointSize(train.id.length), opacity: 0.85 });
      }
      drawn = { name: chosen.name, seen };
      hands.know(train, seen);
      figure.heading.textContent = `Training examples near each other look alike to the model; colour: ${seen.words}`;
      figure.note.textContent = [chosen.note || place.note, "Scroll to zoom, click a point to select it, lasso to select many."].filter(Boolean).join(" · ");
      if (!same) legend.replaceChildren(makeLegend(seen.colouring, marks()));
    } catch (error) {
      drawn.name = "";
      if (ticket === latest) figure.failed(error);
    }
  }

  return { update };
}
