// @ts-check
/** Labels worth a second look: three rankings side by side, with the plain loss always beside the others. */

import { el, empty } from "whence/element";
import { counted } from "whence/numbers";
import { makeRanking } from "whence/ranking";

/** @typedef {import("whence/types").Context} Context */

const TITLES = /** @type {const} */ ({ loss: "By loss", self_influence: "By self-influence", disagreement: "By disagreement" });
const WORDS = {
  loss: "The plain baseline: what the model itself finds hard.",
  self_influence: "How much the example's own loss would rise without it.",
  disagreement: "Share of its nearest neighbours that carry another label.",
};

/**
 * @param {Context} context
 * @param {HTMLElement} panel
 * @returns {import("whence/types").View}
 */
export function makeSuspects(context, panel) {
  const { about, flags, source, state } = context;
  const tally = el("span", { class: "soft", data: { testid: "flag-count" } });
  const csv = el("a", { class: "button", href: source.live ? "/api/flags.csv" : null, download: "flags.csv", data: { testid: "export-csv" }, text: "Export flags as CSV" });
  const head = el("header", { class: "suspects-head" },
    el("div", {}, el("h2", { text: "Labels most worth a second look, by three rankings" }),
      el("p", { class: "soft", text: "A wrong label often has a high loss already. What ranks high elsewhere and low by loss is what the other columns add." })),
    el("div", { class: "buttons" }, tally, csv));
  const picks = el("div", { class: "group picks", role: "group", "aria-label": "Ranking" });
  const columns = el("div", { class: "rankings" });
  /** @type {Map<string, ReturnType<typeof makeRanking>>} */
  const rankings = new Map();
  let made = false;

  async function make() {
    const train = await context.train();
    const names = /** @type {(keyof typeof TITLES)[]} */ (Object.keys(TITLES)).filter((name) => train[name]);
    if (!names.length) return panel.replaceChildren(empty("This run keeps no loss, self-influence or neighbours of its training examples. Give the run's command again to have them worked out."));
    for (const name of names) {
      const column = about.columns.find((one) => one.name === name);
      const unit = name === "loss" ? about.unit : column?.unit;
      rankings.set(name, makeRanking(context, name, TITLES[name], column?.note || WORDS[name], unit && unit !== "none" ? unit : ""));
      picks.append(el("button", { type: "button", text: TITLES[name], data: { testid: `by-${name}` }, on: { click: () => state.set({ by: name }) } }));
    }
    csv.hidden = !source.live;
    columns.append(...[...rankings.values()].map(({ root }) => root));
    columns.style.setProperty("--rankings", String(names.length));
    panel.replaceChildren(head, picks, columns);
    made = true;
    if (!about.can.act) head.append(el("p", { class: "soft note", text: `Flags cannot be kept here. ${about.can.why_not}` }));
    await flags.ready.catch(() => {});
    await Promise.all([...rankings.values()].map((ranking) => ranking.more()));
  }

  function mark() {
    const by = rankings.has(state.now.by) ? state.now.by : [...rankings.keys()][0];
    [...rankings.keys()].forEach((name, at) => {
      picks.children[at].setAttribute("aria-pressed", String(name === by));
      rankings.get(name)?.root.classList.toggle("chosen-ranking", name === by);
    });
    tally.textContent = `${counted(flags.many(), "example")} marked`;
  }

  flags.listen((position) => {
    for (const ranking of rankings.values()) ranking.redraw(position);
    mark();
  });
  return {
    /** @param {Set<string>} changed */
    async update(changed) {
      if (!made) await make();
      mark();
      if (changed.has("selected")) for (const ranking of rankings.values()) ranking.select(new Set(state.now.selected));
    },
  };
}
