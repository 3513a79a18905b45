// @ts-check
/** What is looked at, kept in the address of the page, so that a copied link opens exactly this view. */

/** @typedef {import("whence/types").State} State */
/** @typedef {ReturnType<typeof makeStore>} Store */

/** A longer range is no selection of a person, and would take long to write out. */
const LONGEST = 1e6;
const VIEWS = ["why", "where", "much", "labels"];

/**
 * @param {State} defaults
 * @param {(state: State) => State} sound what an address says, without the names that this run does not have
 */
export function makeStore(defaults, sound) {
  /** @type {((changed: Set<string>) => void)[]} */
  const listeners = [];
  /** @type {State} */
  let now = sound({ ...defaults, ...read(location.hash, defaults) });

  /** @param {State} next */
  function move(next) {
    const changed = new Set(Object.keys(next).filter((name) => differs(now, next, name)));
    now = next;
    if (changed.size) for (const listener of listeners) listener(changed);
  }

  addEventListener("popstate", () => move(sound({ ...defaults, ...read(location.hash, defaults) })));
  return {
    /** @returns {Readonly<State>} */
    get now() {
      return now;
    },
    /**
     * Change what is looked at. Another view is a step that the browser's Back undoes.
     * @param {Partial<State>} patch
     */
    set(patch) {
      const next = { ...now, ...patch };
      const hash = write(next, defaults);
      if (hash !== location.hash) {
        if (patch.view && patch.view !== now.view) history.pushState(null, "", hash);
        else history.replaceState(null, "", hash);
      }
      move(next);
    },
    /** @param {(changed: Set<string>) => void} listener */
    listen: (listener) => listeners.push(listener),
    /** The address of this page with everything that is looked at, defaults too. */
    link: () => location.href.replace(/#.*$/, "") + write(now, null),
  };
}

/**
 * @param {any} a
 * @param {any} b
 * @param {string} name
 */
function differs(a, b, name) {
  return String(a[name]) !== String(b[name]);
}

/**
 * @param {string} hash
 * @param {State} defaults
 * @returns {Partial<State>} what the address says; unknown names are left out
 */
function read(hash, defaults) {
  /** @type {any} */
  const said = {};
  for (const [name, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (!(name in defaults)) continue;
    said[name] = name === "selected" ? ranges(value) : value;
  }
  if (!VIEWS.includes(said.view)) delete said.view;
  return said;
}

/**
 * @param {State} state
 * @param {State|null} defaults what need not be said; the query always is
 */
function write(state, defaults) {
  const said = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    const plain = name === "selected" ? shortened(/** @type {number[]} */ (value)) : String(value);
    if (name === "query" || (plain !== "" && (!defaults || differs(state, defaults, name)))) said.set(name, plain);
  }
  return `#${said}`;
}

/**
 * "3-5,9" as [3, 4, 5, 9].
 * @param {string} text
 * @returns {number[]}
 */
function ranges(text) {
  const out = new Set();
  for (const part of text.split(",")) {
    if (!/^\d{1,9}(-\d{1,9})?$/.test(part)) continue;
    const [first, last = first] = part.split("-").map(Number);
    if (last - first > LONGEST) continue;
    for (let i = first; i <= last; i++) out.add(i);
  }
  return [...out].sort((a, b) => a - b);
}

/**
 * [3, 4, 5, 9] as "3-5,9".
 * @param {number[]} numbers in rising order
 */
function shortened(numbers) {
  const parts = [];
  for (let i = 0; i < numbers.length; i++) {
    const first = numbers[i];
    while (numbers[i + 1] === numbers[i] + 1) i++;
    parts.push(first === numbers[i] ? `${first}` : `${first}-${numbers[i]}`);
  }
  return parts.join(",");
}
