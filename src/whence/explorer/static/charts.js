// @ts-check
/** Plotly, fetched when the page already shows something, and kept within a style policy without inline styles. */

import { bytes } from "whence/packed";
import { colour } from "whence/theme";

/** @typedef {any} Plotly */

/** @type {Promise<Plotly>|null} */
let loading = null;
export const CONFIG = { displayModeBar: false, responsive: false, scrollZoom: true, doubleClick: "reset", showTips: false };

/**
 * Plotly, fetched once: from the server, or from the report that holds it.
 * @returns {Promise<Plotly>}
 */
export function plotly() {
  loading ??= load();
  loading.catch(() => (loading = null));
  return loading;
}

async function load() {
  const held = document.getElementById("whence-plotly");
  const script = document.createElement("script");
  const own = document.createElement;
  // While it starts, plotly.js adds a <style> for its geographic maps, which the page's policy refuses and reports.
  // No chart here needs it, so it is made an inert element. Its other rules go into the sheet whose id it looks for.
  document.createElement = (/** @type {string} */ name, /** @type {any} */ options) =>
    own.call(document, name === "style" ? "template" : name, options);
  try {
    if (held) {
      script.textContent = await inflated(held.textContent || "");
      document.head.append(script);
    } else {
      await new Promise((resolve, reject) => {
        script.onload = resolve;
        script.onerror = () => reject(new Error("The charts could not be loaded from /plotly.js; reload the page."));
        script.src = "/plotly.js";
        document.head.append(script);
      });
    }
  } finally {
    document.createElement = own;
  }
  const found = /** @type {any} */ (globalThis).Plotly;
  if (!found) throw new Error("The charts could not be started in this browser.");
  return found;
}

/**
 * @param {string} text base64 of gzip
 * @returns {Promise<string>}
 */
function inflated(text) {
  const stream = new Blob([bytes(text.trim())]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

/**
 * Text from data, safe where Plotly reads pseudo-HTML.
 * @param {unknown} text
 */
export function escaped(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/**
 * An axis with its name, quiet lines and the page's colours.
 * @param {string} name quantity and unit; it is escaped here
 * @param {Record<string, any>} [more]
 */
export function axis(name, more = {}) {
  return {
    title: { text: escaped(name), standoff: 8, font: { size: 12, color: colour("soft") } },
    color: colour("soft"), gridcolor: colour("line"), zerolinecolor: colour("edge"), linecolor: colour("line"),
    // Margins that Plotly measures anew, and labels that it checks for overflow, cost more than the drawing itself.
    tickfont: { size: 11 }, zeroline: false, automargin: false, ticklabeloverflow: "allow", ...more,
  };
}

/**
 * A layout in the page's colours.
 * @param {Record<string, any>} [more]
 */
export function layout(more = {}) {
  return {
    // Points are drawn on a canvas below, so the chart itself has no ground.
    paper_bgcolor: clear(colour("panel")), plot_bgcolor: clear(colour("panel")),
    font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", size: 12, color: colour("ink") },
    margin: { l: 72, r: 16, t: 8, b: 48 }, showlegend: false, hovermode: false, dragmode: "pan", ...more,
  };
}

/**
 * The same colour, seen through entirely.
 * @param {string} rgb
 */
function clear(rgb) {
  return rgb.replace(/^rgba?\((\d+),\s*(\d+),\s*(\d+).*$/, "rgba($1, $2, $3, 0)");
}
