// @ts-check
/** The shapes of points: each class has its own, so that colour is not the only sign. */

const TURN = 2 * Math.PI;

/** Corners of shapes on a circle of radius 1, y down; a circle has none. @type {Record<string, [number, number][]>} */
const CORNERS = {
  circle: [],
  square: [[-0.82, -0.82], [0.82, -0.82], [0.82, 0.82], [-0.82, 0.82]],
  diamond: [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]],
  cross: [[-0.4, -1.1], [0.4, -1.1], [0.4, -0.4], [1.1, -0.4], [1.1, 0.4], [0.4, 0.4], [0.4, 1.1], [-0.4, 1.1], [-0.4, 0.4], [-1.1, 0.4], [-1.1, -0.4], [-0.4, -0.4]],
  x: [[-0.55, -1.05], [0, -0.5], [0.55, -1.05], [1.05, -0.55], [0.5, 0], [1.05, 0.55], [0.55, 1.05], [0, 0.5], [-0.55, 1.05], [-1.05, 0.55], [-0.5, 0], [-1.05, -0.55]],
  pentagon: around(5, 1.1),
  hexagon: around(6, 1.1),
  star: around(10, 1.3, 0.55),
  hourglass: [[-0.95, -0.95], [0.95, -0.95], [-0.95, 0.95], [0.95, 0.95]],
  bowtie: [[-0.95, -0.95], [0.95, 0.95], [0.95, -0.95], [-0.95, 0.95]],
  "triangle-up": [[0, -1.15], [1.1, 0.8], [-1.1, 0.8]],
  "triangle-down": [[0, 1.15], [1.1, -0.8], [-1.1, -0.8]],
};
/** What classes use: no triangle, which would say helpful or harmful. */
export const CLASS_SYMBOLS = ["circle", "square", "diamond", "cross", "x", "pentagon", "hexagon", "star", "hourglass", "bowtie"];

/**
 * A small canvas with one symbol in its middle.
 * @param {string} symbol a name of this table; "-open" at its end leaves it hollow
 * @param {string} colour
 * @param {number} size across, in pixels of the page
 * @param {number} scale pixels of the canvas in one of the page
 * @param {string} [edge] colour of a thin outline
 * @returns {HTMLCanvasElement}
 */
export function stamp(symbol, colour, size, scale, edge = "") {
  const open = symbol.endsWith("-open");
  const corners = CORNERS[symbol.replace("-open", "")] || [];
  const side = Math.ceil((size * 1.4 + 2) * scale);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.translate(side / 2, side / 2);
  pen.scale((size / 2) * scale, (size / 2) * scale);
  pen.beginPath();
  if (!corners.length) pen.arc(0, 0, 1, 0, TURN);
  for (const [x, y] of corners) pen.lineTo(x, y);
  pen.closePath();
  pen.fillStyle = pen.strokeStyle = colour;
  pen.lineWidth = open ? 3 / size : 1.5 / size;
  if (!open) pen.fill();
  if (edge) pen.strokeStyle = edge;
  if (open || edge) pen.stroke();
  return canvas;
}

/**
 * Corners spaced evenly around a circle, every other one nearer if `inner` is given.
 * @param {number} many
 * @param {number} radius
 * @param {number} [inner]
 * @returns {[number, number][]}
 */
function around(many, radius, inner = radius) {
  return Array.from({ length: many }, (_, i) => {
    const reach = i % 2 ? inner : radius;
    return [reach * Math.sin((TURN * i) / many), -reach * Math.cos((TURN * i) / many)];
  });
}
