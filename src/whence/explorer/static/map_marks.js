// @ts-check
/** The marks of the map, over the training examples: the query, its strongest examples and the selection. */

import { colour } from "whence/theme";

/** @typedef {{x: Float32Array, y: Float32Array}} Places */

const SIZES = /** @type {const} */ ([[2000, 7], [12000, 5], [Infinity, 3]]);

const FEW = 40;
const MOST = 2000;

/**
 * Traces of Plotly, always four of them in this order, so that they can be updated in place.
 *
 * @param {{train: Places, queries: Places}} place
 * @param {import("whence/types").Why|null} why
 * @param {number} query position, below 0 for none
 * @param {number[]} selected
 * @returns {any[]}
 */
export function traces(place, why, query, selected) {
  const { train, queries } = place;
  const ringed = (/** @type {{position: number}[]} */ rows = []) => at(train, rows.map(({ position }) => position));
  const at_query = query >= 0 && query < queries.x.length ? at(queries, [query]) : { x: [], y: [] };
  return [
    // Many marks are drawn smaller, so that they do not hide one another.
    selected.length > FEW ? marks(at(train, selected.slice(0, MOST)), "square-open", 7, colour("accent"), 1) : marks(at(train, selected), "square-open", 13, colour("accent"), 2),
    marks(ringed(why?.harmful), "triangle-down-open", 15, colour("harmful"), 2.5),
    marks(ringed(why?.helpful), "triangle-up-open", 15, colour("helpful"), 2.5),
    { ...marks(at_query, "star", 20, colour("ink"), 2), marker: { symbol: "star", size: 20, color: colour("ink"), line: { color: colour("panel"), width: 2 } } },
  ];
}

/**
 * What Plotly.update needs for these traces: an array with one entry a trace for every property.
 * @param {any[]} pieces
 */
export function placed(pieces) {
  return {
    x: pieces.map(({ x }) => x),
    y: pieces.map(({ y }) => y),
    "marker.size": pieces.map(({ marker }) => marker.size),
    "marker.line.width": pieces.map(({ marker }) => marker.line.width),
  };
}

/**
 * How large a training example is drawn where there are so many, in pixels.
 * @param {number} many
 */
export function pointSize(many) {
  return SIZES.find(([most]) => many <= most)?.[1] || 3;
}

/** @param {Places} places @param {number[]} positions */
function at(places, positions) {
  return { x: positions.map((i) => places.x[i]), y: positions.map((i) => places.y[i]) };
}

/**
 * @param {{x: number[], y: number[]}} places
 * @param {string} symbol
 * @param {number} size
 * @param {string} ink
 * @param {number} width
 */
function marks(places, symbol, size, ink, width) {
  return { type: "scatter", mode: "markers", ...places, hoverinfo: "skip", marker: { symbol, size, color: ink, line: { width, color: ink } } };
}
