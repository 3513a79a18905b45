// @ts-check
/** The axes of the map, and the name of each class where its examples lie. */

import { axis, escaped, layout } from "whence/charts";
import { spread } from "whence/plane";
import { gathered, quantile, sorted } from "whence/statistics";
import { colour } from "whence/theme";

/** @typedef {{x: ArrayLike<number>, y: ArrayLike<number>}} Places */

/** Names nearer than this share of the map would hide one another, so one stands a line above the other. */
const CLOSE = 0.05;
const LINE = 24;
const MOST_NAMES = 20;
const LONGEST = 16;

/**
 * The layout of a map; both axes have one scale, for what is near must look near.
 * @param {import("whence/naming").Naming} naming
 * @param {import("whence/types").MapName} map
 * @param {Places} at
 * @param {{dragmode: string, annotations: any[]}} more
 */
export function look(naming, map, at, { dragmode, annotations }) {
  const layer = naming.layer(map.layer);
  const title = (/** @type {number} */ number) => (map.kind === "tsne" ? `t-SNE dimension ${number} of ${layer} (no unit)` : `principal component ${number} of ${layer}`);
  return layout({
    xaxis: axis(title(1), { range: spread(at.x), showgrid: false }),
    yaxis: axis(title(2), { range: spread(at.y), scaleanchor: "x", showgrid: false }),
    annotations, uirevision: map.name, dragmode, margin: { l: 56, r: 8, t: 8, b: 44 },
  });
}

/**
 * Annotations of Plotly that name the classes, each in the middle of its examples.
 * @param {Places} at
 * @param {import("whence/colouring").Key[]} keys
 * @param {ArrayLike<number>} classes by position
 */
export function classNames(at, keys, classes) {
  if (!keys.length || keys.length > MOST_NAMES) return [];
  const groups = gathered(classes, Math.max(...keys.map(({ value }) => value)) + 1);
  const middle = (/** @type {number[]} */ members, /** @type {ArrayLike<number>} */ along) => quantile(sorted(members.map((i) => along[i])), 0.5);
  const middles = keys.map(({ value }) => [middle(groups[value], at.x), middle(groups[value], at.y)]);
  const ranges = [spread(at.x), spread(at.y)];
  const near = (/** @type {number[]} */ a, /** @type {number[]} */ b) => ranges.every(([low, high], axis) => Math.abs(a[axis] - b[axis]) < CLOSE * (high - low));
  return keys.map(({ name, colour: border }, number) => ({
    x: middles[number][0], y: middles[number][1], yshift: LINE * middles.slice(0, number).filter((other) => near(other, middles[number])).length,
    text: escaped(name.length > LONGEST ? `${name.slice(0, LONGEST - 1)}…` : name),
    showarrow: false, captureevents: false, font: { size: 13, color: colour("ink") },
    bgcolor: colour("panel"), bordercolor: border, borderwidth: 2, borderpad: 2, opacity: 0.9,
  }));
}
