// @ts-check
/** By what the points of the map can be coloured, and what they then are. */

import { byClass, diverging, rising } from "whence/colouring";
import { unpack } from "whence/packed";
import { colour } from "whence/theme";

/** @typedef {import("whence/types").Context} Context */
/** @typedef {import("whence/colouring").Colouring} Colouring */
/** @typedef {{value: string, text: string}} Choice */
/** @typedef {{colouring: Colouring, values: ArrayLike<number>, words: string}} Seen */

/**
 * @param {Context} context
 * @param {import("whence/types").Columns} train
 * @returns {Choice[]} what this run can be coloured by
 */
export function choices({ about }, train) {
  const titles = new Map(about.columns.map(({ name, title }) => [name, title]));
  const classes = about.task === "classification";
  const all = /** @type {(Choice|false|undefined)[]} */ ([
    about.methods.length > 0 && { value: "influence", text: "score for this query" },
    train.label && { value: "label", text: classes ? "label" : "label (value)" },
    train.prediction && { value: "prediction", text: "prediction" },
    train.self_influence && { value: "self_influence", text: titles.get("self_influence") || "self-influence" },
    train.loss && { value: "loss", text: "loss" },
    train.disagreement && { value: "disagreement", text: titles.get("disagreement") || "disagreement with neighbours" },
  ]);
  return all.filter((choice) => choice !== false && choice !== undefined);
}

/**
 * @param {Context} context
 * @param {import("whence/types").Columns} train
 * @param {string} name one of the choices, "" for none
 * @param {number} query position of the chosen query
 * @returns {Promise<Seen>}
 */
export async function coloured(context, train, name, query) {
  const { about, naming, queries, source, state } = context;
  if (name === "influence") {
    const { method } = state.now;
    const values = unpack((await source.get("/api/scores", { method, query })).values);
    const says = naming.method(method)?.signed ?? true;
    const words = `${says ? "influence" : naming.method(method)?.quantity} on query ${queries.id[query]} (${naming.methodLabel(method)})`;
    return { values, words, colouring: says ? diverging(values, naming.unit(method)) : rising(values, naming.unit(method)) };
  }
  const values = /** @type {any} */ (train)[name];
  if (!values) return { values: [], words: "none is kept", colouring: { colours: [colour("soft")], symbols: null, order: null, keys: [], ramp: null } };
  if (name === "label" || name === "prediction") {
    const colouring = about.task === "classification" ? byClass(values, naming.value) : rising(values, "");
    return { values, colouring, words: name };
  }
  const column = about.columns.find((one) => one.name === name);
  const unit = name === "loss" ? about.unit || "" : column?.unit || "";
  return { values, words: column?.title || name, colouring: rising(values, unit === "none" ? "" : unit) };
}
