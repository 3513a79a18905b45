// @ts-check
/** Between the numbers of a chart and the pixels of the page. */

const NEAR = 14;

/** @typedef {{clientX: number, clientY: number}} Pointer */

/**
 * Where the axes of a drawn chart are: its plot area in pixels, the ranges, and pixels a unit; null before it is drawn.
 * @param {HTMLElement} chart
 */
export function frameOf(chart) {
  const full = /** @type {any} */ (chart)._fullLayout;
  if (!full?._size) return null;
  const { l, t, w, h } = full._size;
  const [[x0, x1], [y0, y1]] = [full.xaxis.range, full.yaxis.range];
  return { left: l, top: t, width: w, height: h, x0, x1, y0, y1, kx: w / (x1 - x0), ky: h / (y1 - y0) };
}

/**
 * The index of the point nearest to a pointer, the last of equals; -1 if none is near.
 * @param {HTMLElement} chart
 * @param {ArrayLike<number>} x
 * @param {ArrayLike<number>} y
 * @param {Pointer} pointer
 */
export function nearest(chart, x, y, pointer) {
  const at = frameOf(chart);
  if (!at) return -1;
  const box = chart.getBoundingClientRect();
  const [px, py] = [pointer.clientX - box.left - at.left, pointer.clientY - box.top - at.top];
  if (px < 0 || py < 0 || px > at.width || py > at.height) return -1;
  let [best, found] = [NEAR * NEAR, -1];
  for (let i = 0; i < x.length; i++) {
    const dx = (x[i] - at.x0) * at.kx - px;
    const dy = at.height - (y[i] - at.y0) * at.ky - py;
    if (dx * dx + dy * dy <= best) [best, found] = [dx * dx + dy * dy, i];
  }
  return found;
}

/**
 * The indices of the points inside a polygon; a ray from such a point crosses the border an odd number of times.
 * @param {ArrayLike<number>} x
 * @param {ArrayLike<number>} y
 * @param {{x: number[], y: number[]}} polygon
 * @returns {number[]}
 */
export function inside(x, y, polygon) {
  const [xs, ys] = [polygon.x, polygon.y];
  const found = [];
  for (let k = 0; k < x.length; k++) {
    let odd = false;
    for (let i = 0, j = xs.length - 1; i < xs.length; j = i++) {
      if (ys[i] > y[k] !== ys[j] > y[k] && x[k] < ((xs[j] - xs[i]) * (y[k] - ys[i])) / (ys[j] - ys[i]) + xs[i]) odd = !odd;
    }
    if (odd) found.push(k);
  }
  return found;
}

/**
 * The range of an axis that holds all values with a margin.
 * @param {ArrayLike<number>} values
 * @param {number} [share] the margin as a share of the range
 * @returns {[number, number]}
 */
export function spread(values, share = 0.04) {
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < values.length; i++) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  if (low > high) return [-1, 1];
  const margin = share * (high - low) || Math.abs(high) * share || 1;
  return [low - margin, high + margin];
}
