// @ts-check
/**
 * Many points below a chart of Plotly, on a canvas that follows its axes.
 *
 * Plotly's own WebGL points compile code from strings, which the page's policy forbids; this needs no WebGL either.
 */

import { el } from "whence/element";
import { frameOf, inside, nearest } from "whence/plane";
import { stamp } from "whence/symbols";

/**
 * @typedef {object} Cloud
 * @property {ArrayLike<number>} x
 * @property {ArrayLike<number>} y
 * @property {ArrayLike<string>} colours by position, or one for all
 * @property {ArrayLike<string>|null} symbols by position; null is a circle
 * @property {number} size across, in pixels
 * @property {ArrayLike<number>|null} order positions from the lowest to the uppermost; null is their own order
 * @property {number} opacity
 */

const SMALL = 3;

/**
 * @param {HTMLElement} chart the element that Plotly draws in; the canvas is put before it
 */
export function makePoints(chart) {
  const canvas = el("canvas", { class: "points", "aria-hidden": "true" });
  chart.before(canvas);
  /** @type {Cloud|null} */
  let cloud = null;
  let listening = false;
  let drawn = 0;
  let waiting = false;

  /**
   * @param {HTMLCanvasElement} target
   * @param {number} scale pixels of the canvas in one of the page
   */
  function paint(target, scale) {
    const at = frameOf(chart);
    if (!at || !cloud) return;
    target.width = Math.round(at.width * scale);
    target.height = Math.round(at.height * scale);
    const pen = /** @type {CanvasRenderingContext2D} */ (target.getContext("2d"));
    pen.globalAlpha = cloud.opacity;
    const { x, y, colours, symbols, size, order } = cloud;
    const [kx, ky, margin, one] = [at.kx * scale, at.ky * scale, size * scale, colours.length === 1];
    /** @type {Map<string, HTMLCanvasElement>} */
    const stamps = new Map();
    const side = size * scale;
    let before = "";
    for (let j = 0; j < x.length; j++) {
      const i = order ? order[j] : j;
      const px = (x[i] - at.x0) * kx;
      const py = target.height - (y[i] - at.y0) * ky;
      if (!(px > -margin && py > -margin && px < target.width + margin && py < target.height + margin)) continue;
      const colour = one ? colours[0] : colours[i];
      if (size <= SMALL) {
        if (colour !== before) pen.fillStyle = before = colour;
        pen.fillRect(px - side / 2, py - side / 2, side, side);
        continue;
      }
      const key = symbols ? colour + symbols[i] : colour;
      let image = stamps.get(key);
      if (!image) stamps.set(key, (image = stamp(symbols ? symbols[i] : "circle", colour, size, scale)));
      pen.drawImage(image, px - image.width / 2, py - image.width / 2);
    }
  }

  function draw() {
    const at = frameOf(chart);
    if (!at || !cloud || waiting) return;
    Object.assign(canvas.style, { left: `${at.left}px`, top: `${at.top}px`, width: `${at.width}px`, height: `${at.height}px` });
    paint(canvas, Math.min(2, devicePixelRatio || 1));
  }

  function soon() {
    cancelAnimationFrame(drawn);
    drawn = requestAnimationFrame(draw);
  }

  return {
    /** The axes are about to change, and so are the points: draw nothing until they are shown. */
    wait() {
      waiting = true;
    },
    /**
     * What is drawn from now on.
     * @param {Cloud} next
     */
    show(next) {
      cloud = next;
      waiting = false;
      const plot = /** @type {any} */ (chart);
      if (!listening && plot.on) {
        listening = true;
        for (const event of ["plotly_relayouting", "plotly_relayout"]) plot.on(event, soon);
        plot.on("plotly_afterplot", draw);
      }
      draw();
    },
    /**
     * The point nearest to a pointer; -1 if none is near.
     * @param {import("whence/plane").Pointer} pointer
     */
    nearest: (pointer) => (cloud ? nearest(chart, cloud.x, cloud.y, pointer) : -1),
    /**
     * The points inside a polygon.
     * @param {{x: number[], y: number[]}} polygon
     */
    inside: (polygon) => (cloud ? inside(cloud.x, cloud.y, polygon) : []),
    /** The points as an image of Plotly's layout, for a saved picture with the same axes. */
    image() {
      const at = frameOf(chart);
      if (!at) return null;
      const picture = document.createElement("canvas");
      paint(picture, 2);
      return {
        source: picture.toDataURL(), xref: "x", yref: "y", x: at.x0, y: at.y1, sizex: at.x1 - at.x0, sizey: at.y1 - at.y0,
        xanchor: "left", yanchor: "top", sizing: "stretch", layer: "below",
      };
    },
  };
}
