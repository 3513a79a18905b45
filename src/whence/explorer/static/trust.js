// @ts-check
/** How far a score can be trusted: what the solver reports, and how well the method agrees with refits. */

import { el } from "whence/element";
import { correlation, known, plain, setting } from "whence/numbers";

/** @typedef {import("whence/types").Agreement} Agreement */
/** @typedef {import("whence/types").Context} Context */
/** @typedef {import("whence/types").Trust} Trust */

/**
 * @param {Context} context
 * @param {string} method
 * @param {Trust} trust
 * @param {boolean} headed whether to name the method
 * @returns {HTMLElement}
 */
export function trustLine(context, method, trust, headed) {
  const sign = trust.converged === false ? "⚠" : trust.converged === true ? "✓" : "·";
  const facts = /** @type {[string, string|null][]} */ ([
    ["solver", trust.solver],
    ["converged", trust.converged === null || trust.converged === undefined ? null : trust.converged ? "yes" : "no"],
    ["residual", known(trust.relative_residual) ? plain(trust.relative_residual, 2) : null],
    ["damping", known(trust.damping) ? setting(trust.damping) : null],
    ["eigenvalues", known(trust.lambda_min) && known(trust.lambda_max) ? `${plain(trust.lambda_min, 2)} to ${plain(trust.lambda_max, 2)}` : null],
  ]);
  return el("section", { class: trust.converged === false ? "trust unsure" : "trust", data: { testid: "trust" }, "aria-label": "How far to trust these scores" },
    headed && el("h3", { text: context.naming.methodLabel(method) }),
    el("p", { class: "words" }, el("b", { text: `${sign} ` }), trust.words || "The run says nothing of how this was solved."),
    el("dl", { class: "facts" }, ...facts.filter(([, value]) => value).map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: value })))),
    agreements(context, trust.agreement || []));
}

/**
 * @param {Agreement} row
 * @returns {string} "r = 0.982 [0.975, 0.988], n = 254"
 */
export function agreementWords({ pearson, low, high, n }) {
  const interval = known(low) && known(high) ? ` [${correlation(low)}, ${correlation(high)}]` : "";
  return known(pearson) ? `r = ${correlation(pearson)}${interval}, n = ${n}` : `no r, n = ${n}`;
}

/**
 * @param {Context} context
 * @param {Agreement[]} rows
 */
function agreements({ naming }, rows) {
  if (!rows.length) return null;
  const truths = [...new Set(rows.map((row) => row.truth))];
  return el("ul", { class: "agreement", data: { testid: "agreement" }, "aria-label": "Agreement with refits of this query" },
    ...truths.map((truth) => el("li", {}, el("span", { class: "soft", text: `against the ${naming.truth(truth)}: ` }),
      ...rows.filter((row) => row.truth === truth).flatMap((row, at) => [at ? " · " : "", el("b", { text: agreementWords(row) }), row.sample && row.sample !== "all" ? el("span", { class: "soft", text: ` ${row.sample}` }) : ""]))));
}
