// @ts-check
/** How an example is shown: its picture, its text or a table of its features. */

import { busy } from "whence/busy";
import { el } from "whence/element";
import { plain } from "whence/numbers";
import { picture } from "whence/pictures";

/** @typedef {import("whence/types").Context} Context */
/** @typedef {import("whence/types").Side} Side */

const FIRST = 5;

/**
 * Whether examples are pictures, so that they are shown beside words and not under them.
 * @param {Context} context
 */
export function isPicture(context) {
  return context.about.kind === "image" && context.about.sprite !== null;
}

/**
 * The example itself. Texts and features arrive a moment later in the element that is returned at once.
 *
 * @param {Context} context
 * @param {Side} side
 * @param {number} position
 * @param {object} options
 * @param {number} [options.room] longest side of a picture, in pixels
 * @param {boolean} [options.lazy] fetch a picture only when it is near the screen
 * @param {boolean|number} [options.brief] two lines of a text; three features, or so many
 * @param {number|null} [options.against] a query whose features stand beside
 * @returns {HTMLElement}
 */
export function shown(context, side, position, { room = 56, lazy = false, brief = false, against = null } = {}) {
  if (isPicture(context)) return picture(context, side, position, room, { lazy });
  if (context.about.kind === "text") return textOf(context, side, position, brief === true);
  if (context.about.kind === "features") return featuresOf(context, side, position, brief, against);
  return el("span", { class: "nothing", text: "" });
}

/**
 * @param {Context} context
 * @param {Side} side
 * @param {number} position
 * @param {boolean} brief
 */
function textOf(context, side, position, brief) {
  const place = el("q", { class: brief ? "text brief" : "text", text: "…" });
  const filled = context.rows.of(side, position).then(
    (row) => {
      place.textContent = row?.text ?? "no text is kept for this example";
      if (!row?.text) place.classList.add("soft");
    },
    (error) => (place.textContent = error.message),
  );
  busy(filled);
  return place;
}

/**
 * @param {Context} context
 * @param {Side} side
 * @param {number} position
 * @param {boolean|number} brief
 * @param {number|null} against
 */
function featuresOf(context, side, position, brief, against) {
  const place = el("div", { class: "features" });
  const wanted = [context.rows.of(side, position), against === null ? undefined : context.rows.of("queries", against)];
  const filled = Promise.all(wanted).then(
    ([row, query]) => {
      const names = Object.keys(row?.features || {});
      if (!row?.features) place.textContent = "no features are kept for this example";
      else if (brief) place.textContent = listed(names, row.features, brief === true ? 3 : brief);
      else place.replaceChildren(...tables(names, row.features, query?.features || null));
    },
    (error) => (place.textContent = error.message),
  );
  busy(filled);
  return place;
}

/**
 * "alcohol 12.5 · ash 2.2 · and 9 more".
 * @param {string[]} names
 * @param {Record<string, number>} values
 * @param {number} many
 */
function listed(names, values, many) {
  const parts = names.slice(0, many).map((name) => `${name} ${plain(values[name])}`);
  return [...parts, ...(names.length > many ? [`and ${names.length - many} more`] : [])].join(" · ");
}

/**
 * The first features, and the others behind a disclosure.
 * @param {string[]} names
 * @param {Record<string, number>} values
 * @param {Record<string, number>|null} beside
 */
function tables(names, values, beside) {
  const parts = [table(names.slice(0, FIRST), values, beside, true)];
  const others = names.slice(FIRST);
  if (!others.length) return parts;
  const more = el("details", {}, el("summary", { text: `${others.length} more features` }));
  more.addEventListener("toggle", () => more.append(table(others, values, beside, false)), { once: true });
  return [...parts, more];
}

/**
 * @param {string[]} names
 * @param {Record<string, number>} values
 * @param {Record<string, number>|null} beside
 * @param {boolean} headed
 */
function table(names, values, beside, headed) {
  const head = el("thead", {}, el("tr", {}, el("th", { text: "feature" }), el("th", { class: "number", text: beside ? "example" : "value" }),
    beside && el("th", { class: "number", text: "query" })));
  const rows = names.map((name) => el("tr", {}, el("th", { text: name, scope: "row" }), el("td", { class: "number", text: plain(values[name]) }),
    beside && el("td", { class: "number soft", text: plain(beside[name]) })));
  return el("table", {}, headed && head, el("tbody", {}, ...rows));
}
