// @ts-check
/**
 * The page: opens its source, shows the list and the reasons first, and brings each view up to date when it is in sight.
 *
 * `<html data-ready>` says how far it is ("list", "why", "all"), `data-query` which prediction is shown completely,
 * `data-busy` that something is on its way.
 */

import { busy, settled } from "whence/busy";
import { plotly } from "whence/charts";
import { showChosen } from "whence/chosen";
import { byId, el, failed, fillSelect } from "whence/element";
import { makeFlags } from "whence/flags";
import { startKeyboard } from "whence/keyboard";
import { say, tellProblems } from "whence/messages";
import { makeNaming } from "whence/naming";
import { counted } from "whence/numbers";
import { unpackAll } from "whence/packed";
import { makeQueries } from "whence/queries";
import { makeRows } from "whence/rows";
import { startSelection } from "whence/selection";
import { startShare } from "whence/share";
import { open } from "whence/source";
import { makeStore } from "whence/state";
import { startTabs } from "whence/tabs";
import { nextTheme, startTheme } from "whence/theme";
import { askWhy, makeWhy } from "whence/why";

/** @typedef {import("whence/types").About} About */
/** @typedef {import("whence/types").Columns} Columns */
/** @typedef {import("whence/types").Context} Context */

const page = document.documentElement;

/** @param {"list"|"why"|"all"} stage */
function reached(stage) {
  page.dataset.ready = stage;
  performance.mark(`whence-${stage}`);
}

/**
 * @param {About} about
 * @param {Columns} queries
 * @returns {import("whence/types").State}
 */
function defaults(about, queries) {
  const query = String(queries.id[about.default.query ?? 0] ?? "");
  return { query, method: about.default.method || "", beside: "", map: about.default.map || "", colour: "", x: "", y: "", by: "loss", selected: [], view: "why" };
}

/** @param {Context} context */
function startMethods({ about, naming, state }) {
  const [method, beside] = /** @type {HTMLSelectElement[]} */ ([byId("method"), byId("beside")]);
  const options = naming.methodOptions();
  const mark = () => {
    fillSelect(method, options, state.now.method);
    fillSelect(beside, [{ value: "", text: "nothing" }, ...options.filter(({ value }) => value !== state.now.method)], state.now.beside);
  };
  method.addEventListener("change", () => state.set({ method: method.value, ...(state.now.beside === method.value && { beside: "" }) }));
  beside.addEventListener("change", () => state.set({ beside: beside.value }));
  state.listen((changed) => (changed.has("method") || changed.has("beside")) && mark());
  mark();
  if (!about.methods.length) byId("method").closest(".methods")?.setAttribute("hidden", "");
}

/** @param {About} about */
function showTitle(about) {
  byId("title").textContent = about.title;
  document.title = `${about.title} · whence`;
  const parts = [counted(about.counts.train, "training example"), counted(about.counts.queries, "query", "queries")];
  byId("subtitle").textContent = parts.join(" · ");
}

async function start() {
  startTheme();
  const source = open();
  const [about, packed] = await Promise.all([source.get("/api/about"), source.get("/api/queries")]);
  const queries = /** @type {Columns} */ ({ id: [], ...unpackAll(packed) });
  const naming = makeNaming(about);
  const first = defaults(about, queries);
  const state = makeStore(first, (said) => ({
    ...said,
    method: naming.method(said.method) ? said.method : first.method,
    beside: naming.method(said.beside) ? said.beside : "",
    selected: said.selected.filter((position) => position < about.counts.train),
  }));
  /** @type {Promise<Columns>|null} */
  let train = null;
  /** @type {Context} */
  const context = {
    about, queries, source, state, say, naming, rows: makeRows(source), flags: makeFlags(source),
    train: () => (train ??= source.get("/api/train").then(unpackAll)),
  };
  showTitle(about);
  tellProblems(about.problems, about.notes || []);
  startMethods(context);
  const list = makeQueries(context, byId("queries"));
  const move = (/** @type {number} */ step) => list.move(step);
  reached("list");

  const tabs = startTabs(context, { why: () => makeWhy(context, byId("view-why"), list.now) }, list.now);
  const selection = startSelection(context, byId("selection"), list);
  startShare(context, list);
  startKeyboard(context, { list, tabs, nextTheme });

  /** @param {Set<string>} changed */
  async function refresh(changed) {
    if (changed.has("query")) {
      delete page.dataset.query;
      list.mark();
      showChosen(context, byId("chosen"), list.now(), move);
    }
    const { query } = state.now;
    await busy(Promise.all([tabs.refresh(changed), selection.refresh(changed)]));
    await settled();
    if (query !== state.now.query) return;
    page.dataset.query = query;
    idle(() => ahead(context, list, tabs.wantsScores()));
  }

  state.listen(refresh);
  context.flags.ready.catch((error) => say(error.message, "error"));
  await refresh(new Set(["query", "view", "selected"]));
  reached("why");
  idle(async () => {
    await plotly().catch((error) => say(error.message, "error"));
    reached("all");
  });
}

/**
 * Ask for the neighbours of the chosen query, so that an arrow key finds them here.
 * @param {Context} context
 * @param {ReturnType<typeof makeQueries>} list
 * @param {boolean} scores whether the view in sight needs the scores of all examples
 */
function ahead(context, list, scores) {
  const { method, beside } = context.state.now;
  for (const step of [1, -1]) {
    const query = list.neighbour(step);
    if (query === undefined) continue;
    for (const name of beside ? [method, beside] : [method]) {
      askWhy(context, query, name).catch(() => {});
      if (!scores) continue;
      context.source.get("/api/scores", { method: name, query }).catch(() => {});
      const truth = context.state.now.view === "much" && context.naming.method(name)?.truths[0];
      if (truth) context.source.get("/api/actual", { query, truth }).catch(() => {});
    }
  }
}

/** @param {() => void} work done when the page has nothing better to do */
function idle(work) {
  if ("requestIdleCallback" in window) requestIdleCallback(work, { timeout: 1000 });
  else setTimeout(work, 50);
}

start().catch((error) => {
  byId("main").replaceChildren(failed(error), el("p", { class: "soft", text: "Nothing was lost: reload the page when the cause is gone." }));
  console.error(error);
});
