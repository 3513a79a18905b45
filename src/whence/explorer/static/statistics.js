// @ts-check
/** Plain descriptions of numbers that are on the screen. Agreement with refits is looked up, not computed here. */

/** @typedef {ArrayLike<number>} List */

/**
 * The finite numbers, in rising order.
 * @param {List} values
 * @returns {Float64Array}
 */
export function sorted(values) {
  const out = new Float64Array(values.length);
  let n = 0;
  for (let i = 0; i < values.length; i++) if (Number.isFinite(values[i])) out[n++] = values[i];
  return out.subarray(0, n).sort();
}

/**
 * The quantile p of sorted numbers, interpolated linearly; NaN of none.
 * @param {List} rising
 * @param {number} p
 */
export function quantile(rising, p) {
  if (!rising.length) return NaN;
  const place = p * (rising.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, rising.length - 1);
  return rising[below] + (place - below) * (rising[above] - rising[below]);
}

/**
 * Quartiles, fences (the last value within 1.5 interquartile ranges) and what lies beyond them.
 * @param {number[]} members positions
 * @param {List} values by position
 */
export function box(members, values) {
  const kept = members.filter((i) => Number.isFinite(values[i])).sort((a, b) => values[a] - values[b]);
  const rising = kept.map((i) => values[i]);
  const [q1, median, q3] = [0.25, 0.5, 0.75].map((p) => quantile(rising, p));
  const reach = 1.5 * (q3 - q1);
  const low = kept.findIndex((i) => values[i] >= q1 - reach);
  let high = kept.length - 1;
  while (high > 0 && values[kept[high]] > q3 + reach) high--;
  const mean = rising.reduce((sum, value) => sum + value, 0) / rising.length;
  return {
    n: kept.length, q1, median, q3, mean,
    lower: rising[low], upper: rising[high],
    below: kept.slice(0, Math.max(low, 0)), above: kept.slice(high + 1),
  };
}

/**
 * Pearson's r over the pairs where both are finite; NaN below three pairs or without spread.
 * @param {List} x
 * @param {List} y
 * @returns {{r: number, n: number}}
 */
export function pearson(x, y) {
  let [n, sx, sy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(x[i]) || !Number.isFinite(y[i])) continue;
    n++; sx += x[i]; sy += y[i];
  }
  const [mx, my] = [sx / n, sy / n];
  let [xx, yy, xy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(x[i]) || !Number.isFinite(y[i])) continue;
    const [dx, dy] = [x[i] - mx, y[i] - my];
    xx += dx * dx; yy += dy * dy; xy += dx * dy;
  }
  return { r: n >= 3 && xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : NaN, n };
}

/**
 * Positions by group.
 * @param {List} groups group number by position; below 0 is none
 * @param {number} many how many groups
 * @returns {number[][]}
 */
export function gathered(groups, many) {
  /** @type {number[][]} */
  const out = Array.from({ length: many }, () => []);
  for (let i = 0; i < groups.length; i++) out[groups[i]]?.push(i);
  return out;
}

/**
 * Which quarter of the finite values each value lies in, 0 to 3; -1 where it is missing.
 * @param {List} values
 * @returns {{groups: Int32Array, edges: number[]}}
 */
export function quarters(values) {
  const rising = sorted(values);
  const edges = [0, 0.25, 0.5, 0.75, 1].map((p) => quantile(rising, p));
  const place = (/** @type {number} */ v) => (Number.isFinite(v) ? Number(v > edges[1]) + Number(v > edges[2]) + Number(v > edges[3]) : -1);
  return { groups: Int32Array.from(values, place), edges };
}
