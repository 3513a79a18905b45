// @ts-check
/** What the page is still at: `<html data-busy>` stands while anything is asked for or drawn, and no longer. */

const page = document.documentElement;
let running = 0;
/** @type {(() => void)[]} */
let waiting = [];

/**
 * Counts this work as under way until it has ended, well or badly.
 * @template T
 * @param {Promise<T>} work
 * @returns {Promise<T>} the same
 */
export function busy(work) {
  running += 1;
  page.dataset.busy = "";
  work.then(ended, ended);
  return work;
}

function ended() {
  running -= 1;
  if (running) return;
  delete page.dataset.busy;
  const told = waiting;
  waiting = [];
  for (const tell of told) tell();
}

/**
 * When nothing is under way.
 * @returns {Promise<void>}
 */
export function settled() {
  return running ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve();
}
