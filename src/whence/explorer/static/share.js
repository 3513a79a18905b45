// @ts-check
/** Sharing: a link to exactly this view, and the self-contained report of the chosen or of the ticked queries. */

import { byId, el } from "whence/element";
import { counted } from "whence/numbers";

/** @typedef {import("whence/types").Context} Context */

/**
 * @param {Context} context
 * @param {{now: () => number, ticked: () => number[]}} list
 */
export function startShare({ say, source, state }, list) {
  const link = el("button", { type: "button", text: "Copy link to this view", data: { testid: "copy-link" }, on: { click: copy } });
  const one = el("a", { text: "Write report of this query", data: { testid: "report-one" } });
  const many = el("a", { text: "", data: { testid: "report-ticked" } });
  const hint = el("p", { class: "soft", text: "A report is one file that opens without a server and without a network. Figures are saved by the PNG and SVG buttons beside them." });
  const menu = el("div", { id: "share-menu", popover: "auto", class: "menu", data: { testid: "share-menu" } }, link, one, many, hint);
  document.body.append(menu);
  menu.addEventListener("beforetoggle", () => {
    const ticked = list.ticked();
    offer(one, list.now() < 0 ? [] : [list.now()]);
    offer(many, ticked);
    many.textContent = ticked.length ? `Write report of ${counted(ticked.length, "ticked query", "ticked queries")}` : "Write report of ticked queries: tick some in the list (☐)";
    const place = byId("share").getBoundingClientRect();
    menu.style.top = `${place.bottom + 8}px`;
    const room = document.documentElement.clientWidth;
    menu.style.left = `${Math.max(8, Math.min(place.left, room - Math.min(320, room - 16) - 8))}px`;
  });

  /**
   * @param {HTMLAnchorElement} item
   * @param {number[]} queries positions
   */
  function offer(item, queries) {
    const { method, beside } = state.now;
    const methods = beside && beside !== method ? [method, beside] : [method];
    item.setAttribute("aria-disabled", String(!queries.length || !source.live));
    if (queries.length && source.live) item.href = source.address("/api/report", { methods: methods.join(","), queries: queries.join(",") });
    else item.removeAttribute("href");
    item.download = "";
    item.hidden = !source.live;
  }

  async function copy() {
    const address = state.link();
    try {
      await navigator.clipboard.writeText(address);
      say("Copied the link to this view.");
    } catch {
      // Clipboards are closed to pages without permission; the address bar and this message hold the link.
      say(`This browser does not let a page copy. The link is: ${address}`);
    }
    menu.hidePopover();
  }
}
