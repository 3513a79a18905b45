// @ts-check
/** Colours of points: one for each class, two ways from zero for influence, one way for sizes. */

import { known, plain, signed } from "whence/numbers";
import { quantile, sorted } from "whence/statistics";
import { CLASS_SYMBOLS } from "whence/symbols";
import { colour } from "whence/theme";

/**
 * @typedef {object} Colouring
 * @property {string[]} colours by position
 * @property {string[]|null} symbols by position, where classes have their own
 * @property {Int32Array|null} order positions from the lowest to the uppermost point
 * @property {Key[]} keys classes in the legend
 * @property {{colours: string[], low: string, middle: string, high: string}|null} ramp
 *
 * @typedef {{name: string, colour: string, symbol: string, value: number}} Key
 */

// Petroff, "Accessible Color Sequences for Data Visualization" (2021): told apart with any common colour blindness.
const CLASSES = ["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"];
const STEPS = 48;
const MOST_SYMBOLS = 10_000;
const REACH = 0.99;
const LEVELS = 256;

/**
 * @param {ArrayLike<number>} values class of every example, below 0 where it is not known
 * @param {(value: number) => string} name
 * @returns {Colouring}
 */
export function byClass(values, name) {
  const present = [...new Set(Array.from(values))].filter((value) => value >= 0).sort((a, b) => a - b);
  const keys = present.map((value) => ({
    value, name: name(value), colour: CLASSES[value % CLASSES.length],
    symbol: CLASS_SYMBOLS[(value + Math.floor(value / CLASS_SYMBOLS.length)) % CLASS_SYMBOLS.length],
  }));
  const none = hex(colour("middle"));
  const found = new Map(keys.map((key) => [key.value, key]));
  return {
    keys, ramp: null, order: null,
    colours: Array.from(values, (value) => found.get(value)?.colour || none),
    symbols: values.length > MOST_SYMBOLS ? null : Array.from(values, (value) => found.get(value)?.symbol || "circle-open"),
  };
}

/**
 * Orange below zero, blue above, the same reach on both sides: 99 of 100 values lie within it.
 * @param {ArrayLike<number>} values
 * @param {string} unit
 * @returns {Colouring}
 */
export function diverging(values, unit) {
  const limit = quantile(sorted(Float64Array.from(values, Math.abs)), REACH) || 1;
  const table = ramp([colour("harmful"), colour("middle"), colour("helpful")]);
  const middle = table.length / 2;
  return {
    keys: [], symbols: null, order: strongest(values, limit),
    colours: Array.from(values, (value) => step(table, known(value) ? middle + (middle * value) / limit : middle)),
    ramp: { colours: table, low: `▼ ${signed(-limit)}`, middle: "0", high: `▲ ${signed(limit)} ${unit}`.trim() },
  };
}

/**
 * Light to strong; by the logarithm where a few values are much larger than the others.
 * @param {ArrayLike<number>} values
 * @param {string} unit
 * @returns {Colouring}
 */
export function rising(values, unit) {
  const all = sorted(values);
  const [low, middle, high] = [1 - REACH, 0.5, REACH].map((p) => quantile(all, p));
  const logarithmic = low > 0 && high > 20 * middle;
  const scale = logarithmic ? Math.log : Number;
  const [from, to] = [scale(low), scale(high)];
  const table = ramp([colour("low"), colour("high")]);
  const none = hex(colour("middle"));
  const place = (/** @type {number} */ value) => (table.length * (scale(Math.max(value, low)) - from)) / (to - from || 1);
  return {
    keys: [], symbols: null, order: strongest(values, Math.max(Math.abs(low), Math.abs(high)) || 1),
    colours: Array.from(values, (value) => (known(value) ? step(table, place(value)) : none)),
    ramp: { colours: table, low: plain(low), middle: logarithmic ? "logarithmic" : "", high: `${plain(high)} ${unit}`.trim() },
  };
}

/**
 * Positions so that what is far from zero lies uppermost. Sorted by counting, which is fast and exact enough.
 * @param {ArrayLike<number>} values
 * @param {number} limit beyond which all are equal
 */
function strongest(values, limit) {
  const place = Int32Array.from(values, (value) => (known(value) ? Math.min(LEVELS - 1, 1 + Math.floor((Math.abs(value) / limit) * (LEVELS - 2))) : 0));
  const start = new Int32Array(LEVELS + 1);
  for (const level of place) start[level + 1]++;
  for (let level = 0; level < LEVELS; level++) start[level + 1] += start[level];
  const order = new Int32Array(values.length);
  for (let i = 0; i < place.length; i++) order[start[place[i]]++] = i;
  return order;
}

/** @param {string[]} table @param {number} place */
function step(table, place) {
  return table[Math.max(0, Math.min(table.length - 1, Math.floor(place)))];
}

/**
 * Steps between colours, as "#rrggbb".
 * @param {string[]} stops as "rgb(r, g, b)"
 */
function ramp(stops) {
  const parts = stops.map(channels);
  return Array.from({ length: STEPS }, (_, i) => {
    const at = (i / (STEPS - 1)) * (parts.length - 1);
    const below = Math.min(Math.floor(at), parts.length - 2);
    return joined(parts[below].map((value, channel) => value + (at - below) * (parts[below + 1][channel] - value)));
  });
}

/** @param {string} rgb */
function channels(rgb) {
  return (rgb.match(/[\d.]+/g) || ["0", "0", "0"]).slice(0, 3).map(Number);
}

/** @param {number[]} parts */
function joined(parts) {
  return `#${parts.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
}

/** @param {string} rgb */
function hex(rgb) {
  return joined(channels(rgb));
}
