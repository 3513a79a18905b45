// @ts-check
/** Thumbnails: tiles of sprite sheets, fetched when they come near the screen. */

import { el } from "whence/element";

/** @typedef {import("whence/types").Context} Context */
/** @typedef {import("whence/types").Side} Side */

const NEAR = "240px";
const COARSE = 16;

/** @type {WeakMap<Element, string>} */
const addresses = new WeakMap();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      if (target instanceof HTMLElement) target.style.backgroundImage = addresses.get(target) || "";
    }
  },
  { rootMargin: NEAR },
);

/**
 * The picture of one example, at most `room` pixels in either direction.
 * @param {Context} context
 * @param {Side} side
 * @param {number} position
 * @param {number} room
 * @param {{lazy?: boolean, words?: string}} [options]
 * @returns {HTMLElement}
 */
export function picture(context, side, position, room, { lazy = false, words = "" } = {}) {
  const frame = el("span", { class: "picture", style: { width: `${room}px`, height: `${room}px` } });
  const sprite = context.about.sprite;
  if (!sprite?.sides.includes(side)) return frame;
  const { height, width } = sprite.tile;
  const longest = Math.max(height, width);
  const fit = room / longest;
  // A few large pixels must be equally large; finer pictures may be drawn at any size.
  const scale = longest <= COARSE && fit >= 1 ? Math.floor(fit) : fit;
  const [w, h] = [width * scale, height * scale];
  const tile = position % sprite.tiles;
  const sheet = Math.floor(position / sprite.tiles);
  const [column, row] = [tile % sprite.columns, Math.floor(tile / sprite.columns)];
  const inner = el("span", {
    class: Number.isInteger(scale) ? "tile coarse" : "tile",
    role: "img",
    "aria-label": words || `picture of ${side === "train" ? "training example" : "query"} ${idOf(context, side, position)}`,
    style: {
      width: `${w}px`, height: `${h}px`,
      "background-size": `${sprite.columns * w}px auto`,
      "background-position": `${-column * w}px ${-row * h}px`,
    },
  });
  const address = context.source.address("/sprite", { sheet, side });
  if (address) {
    const image = `url("${address}")`;
    if (lazy) {
      addresses.set(inner, image);
      watcher.observe(inner);
    } else inner.style.backgroundImage = image;
  }
  frame.append(inner);
  return frame;
}

/**
 * @param {Context} context
 * @param {Side} side
 * @param {number} position
 */
function idOf(context, side, position) {
  return side === "queries" ? context.queries.id[position] : `at position ${position}`;
}
