// @ts-check
/** A frame around a chart: a sentence that says what is seen, the chart, and saving it as PNG or SVG. */

import { CONFIG, escaped, plotly } from "whence/charts";
import { el, empty, failed } from "whence/element";
import { colour } from "whence/theme";

const WIDTH = 960;
/** What a figure is called until it is drawn and says what is seen. */
const TITLES = { boxes: "Scores by class", map: "Map of the training examples", "predicted-actual": "Predicted against actual", "two-columns": "Two columns against each other" };

/**
 * @param {keyof TITLES} name used for test ids and file names
 * @param {{say: (text: string, kind?: "plain"|"error") => void}} context
 * @param {{aside?: Node, legend?: () => any[], image?: () => any}} [options] what stands beside the chart; and for a saved
 *   picture: traces whose names are its legend, and the points below the chart as an image of Plotly's layout
 */
export function makeFigure(name, { say }, { aside, legend = () => [], image = () => null } = {}) {
  const heading = el("h3", { id: `${name}-title`, text: TITLES[name], data: { testid: `${name}-title` } });
  const controls = el("div", { class: "controls" });
  const saving = el("div", { class: "saving" },
    ...["png", "svg"].map((format) => el("button", {
      type: "button", class: "quiet", text: format.toUpperCase(), "aria-label": `Save this figure as ${format.toUpperCase()}`,
      data: { testid: `${name}-${format}` }, on: { click: () => save(format) },
    })));
  // One picture to who cannot see it: the sentence above names it, the note below describes it.
  const chart = el("div", { class: "chart", role: "img", "aria-labelledby": `${name}-title`, "aria-describedby": `${name}-note`, data: { testid: `${name}-chart` } });
  const stage = el("div", { class: "stage" }, chart);
  const body = el("div", { class: "with-aside" }, stage, aside || "");
  const notice = el("div", { class: "notice", hidden: true });
  const note = el("p", { id: `${name}-note`, class: "soft note", data: { testid: `${name}-note` } });
  const root = el("figure", { class: "figure", "aria-labelledby": `${name}-title`, data: { testid: name } }, el("header", {}, heading, saving), controls, aside ? body : stage, notice, note);
  let drawn = false;

  new ResizeObserver(() => {
    if (drawn && chart.clientWidth) plotly().then((Plotly) => Plotly.Plots.resize(chart));
  }).observe(chart);

  /** @param {Node} content shown in place of the chart */
  function instead(content) {
    stage.hidden = body.hidden = true;
    notice.hidden = false;
    saving.hidden = true;
    notice.replaceChildren(content);
  }

  /** @param {string} format */
  async function save(format) {
    try {
      const Plotly = await plotly();
      const { data, layout, clientWidth, clientHeight } = /** @type {any} */ (chart);
      const named = legend();
      const below = image();
      const { t, r, b, l } = { ...layout.margin };
      const margin = { l, r, t: t + 64, b: b + (named.length ? 56 : 16) };
      const height = Math.round(((clientHeight - t - b) * (WIDTH - l - r)) / (clientWidth - l - r)) + margin.t + margin.b;
      const picture = {
        data: [...data.map((/** @type {any} */ trace) => ({ ...trace, showlegend: false })), ...named],
        layout: {
          ...layout, margin, width: WIDTH, height, showlegend: named.length > 0, images: below ? [below] : [],
          paper_bgcolor: colour("panel"), plot_bgcolor: below ? "rgba(0,0,0,0)" : colour("panel"),
          title: { text: escaped(wrapped(heading.textContent || "")).replaceAll("\n", "<br>"), font: { size: 15 }, x: 0.02, xanchor: "left", y: 1, yanchor: "top", yref: "container", pad: { t: 16 } },
          legend: { orientation: "h", x: 0, y: -44 / (height - margin.t - margin.b), yanchor: "top", font: { size: 11 } },
        },
      };
      const url = await Plotly.toImage(picture, { format, width: WIDTH, height, scale: format === "svg" ? 1 : 2 });
      el("a", { href: url, download: `whence-${name}.${format}` }).click();
      say(`Saved whence-${name}.${format}.`);
    } catch (error) {
      say(`The figure could not be saved: ${error instanceof Error ? error.message : error}`, "error");
    }
  }

  return {
    root, chart, controls, heading, note,
    /** @param {string} text */
    empty: (text) => instead(empty(text)),
    /** @param {unknown} error */
    failed: (error) => instead(failed(error)),
    /**
     * Draw or redraw; what did not change is kept by Plotly.
     * @param {any[]} traces
     * @param {any} layout
     */
    async draw(traces, layout) {
      const Plotly = await plotly();
      notice.hidden = true;
      stage.hidden = body.hidden = saving.hidden = false;
      await Plotly.react(chart, traces, layout, CONFIG);
      drawn = true;
      // Plotly measures words in a picture far off the page, which nobody is to be told of.
      document.getElementById("js-plotly-tester")?.setAttribute("aria-hidden", "true");
    },
  };
}

/**
 * Lines of about the width of a saved picture.
 * @param {string} text
 */
function wrapped(text) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if ((lines[lines.length - 1] + word).length > 110) lines.push("");
    lines[lines.length - 1] += `${lines[lines.length - 1] ? " " : ""}${word}`;
  }
  return lines.join("\n");
}
