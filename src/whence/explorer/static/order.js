// @ts-check
/** Which queries the list shows, and in what order. */

/** @typedef {import("whence/types").Columns} Columns */
/** @typedef {{sort: string, label: string, prediction: string, right: string, text: string}} Filter */

export const SORTS = [
  { value: "loss-down", text: "highest loss first", column: "loss" },
  { value: "loss-up", text: "lowest loss first", column: "loss" },
  { value: "confidence-up", text: "least confident first", column: "confidence" },
  { value: "confidence-down", text: "most confident first", column: "confidence" },
  { value: "run", text: "order of the run", column: "id" },
];

/** @type {Filter} */
export const EVERYTHING = { sort: "loss-down", label: "", prediction: "", right: "", text: "" };

/**
 * Positions of the queries that pass the filter, sorted; ties keep the order of the run, missing values come last.
 *
 * @param {Columns} queries
 * @param {Filter} filter
 * @param {(label?: number, prediction?: number) => boolean|null} right
 * @returns {number[]}
 */
export function ordered(queries, filter, right) {
  const { label, prediction } = queries;
  const kept = [];
  for (let i = 0; i < queries.id.length; i++) {
    if (filter.label !== "" && label?.[i] !== Number(filter.label)) continue;
    if (filter.prediction !== "" && prediction?.[i] !== Number(filter.prediction)) continue;
    if (filter.right !== "" && right(label?.[i], prediction?.[i]) !== (filter.right === "right")) continue;
    if (filter.text !== "" && !String(queries.id[i]).startsWith(filter.text)) continue;
    kept.push(i);
  }
  const [column, direction] = filter.sort.split("-");
  const values = column === "loss" ? queries.loss : column === "confidence" ? queries.confidence : undefined;
  if (!values) return kept;
  const sign = direction === "down" ? -1 : 1;
  const place = (/** @type {number} */ i) => (Number.isFinite(values[i]) ? sign * values[i] : Infinity);
  return kept.sort((a, b) => place(a) - place(b) || a - b);
}
