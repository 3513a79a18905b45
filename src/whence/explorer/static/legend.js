// @ts-check
/** What the colours and marks of a map mean, beside the map; and the same in a saved picture. */

import { escaped } from "whence/charts";
import { el } from "whence/element";
import { stamp } from "whence/symbols";

/** @typedef {import("whence/colouring").Colouring} Colouring */
/** @typedef {{symbol: string, colour: string, words: string}} Mark */

const MOST = 20;
const SIZE = 10;

/**
 * @param {Colouring} colouring
 * @param {Mark[]} marks
 * @returns {HTMLElement}
 */
export function makeLegend({ keys, ramp, symbols }, marks) {
  const classes = keys.slice(0, MOST).map((key) => entry(symbols ? key.symbol : "circle", key.colour, key.name));
  const others = keys.length > MOST ? [el("span", { text: `and ${keys.length - MOST} other classes` })] : [];
  const scale = ramp && el("div", { class: "scale" },
    el("span", { class: "ramp", role: "img", "aria-label": `colours from ${ramp.low} to ${ramp.high}`, style: { background: `linear-gradient(to right, ${ramp.colours.join(",")})` } }),
    el("span", { class: "ends" }, el("span", { text: ramp.low }), el("span", { text: ramp.high })),
    ramp.middle === "logarithmic" && el("span", { text: "logarithmic scale" }));
  return el("div", { class: "legend", data: { testid: "legend" } }, ...classes, ...others, scale, ...marks.map(({ symbol, colour, words }) => entry(symbol, colour, words)));
}

/**
 * The same as empty traces, whose names make the legend of a saved picture.
 * @param {Colouring} colouring
 * @param {Mark[]} marks
 * @returns {any[]}
 */
export function legendTraces({ keys, ramp, symbols }, marks) {
  const entries = keys.slice(0, MOST).map((key) => ({ symbol: symbols ? key.symbol : "circle", colour: key.colour, words: key.name }));
  if (ramp) {
    entries.push({ symbol: "square", colour: ramp.colours[0], words: ramp.low });
    entries.push({ symbol: "square", colour: ramp.colours[ramp.colours.length - 1], words: ramp.high });
  }
  return [...entries, ...marks].map(({ symbol, colour, words }) => ({
    type: "scatter", mode: "markers", x: [null], y: [null], name: escaped(words), showlegend: true, marker: { symbol, color: colour, size: 10, line: { color: colour, width: 1.5 } },
  }));
}

/**
 * @param {string} symbol
 * @param {string} colour
 * @param {string} words
 */
function entry(symbol, colour, words) {
  const swatch = stamp(symbol, colour, SIZE, 2);
  swatch.setAttribute("aria-hidden", "true");
  swatch.style.width = swatch.style.height = `${swatch.width / 2}px`;
  return el("span", { class: "key" }, swatch, words);
}
