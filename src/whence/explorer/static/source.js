// @ts-check
/** Where answers come from: the server that runs this page, or the data that a self-contained report holds. */

/** @typedef {import("whence/types").Source} Source */

const KEPT = 160;
const CHANGING = new Set(["/api/flags", "/api/verify"]);

/**
 * The report's own data where the page holds some, else the server.
 * @returns {Source}
 */
export function open() {
  const held = document.getElementById("whence-data");
  return held ? inlined(JSON.parse(held.textContent || "{}")) : served();
}

/** @returns {Source} */
function served() {
  const token = document.querySelector('meta[name="whence-token"]')?.getAttribute("content") || "";
  const kept = leastRecentlyUsed(KEPT);
  const address = (/** @type {string} */ path, parameters = {}) => {
    const query = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]));
    return query.size ? `${path}?${query}` : path;
  };
  return {
    live: true,
    address,
    get(path, parameters = {}) {
      const url = address(path, parameters);
      if (CHANGING.has(path)) return answer(fetch(url));
      return kept.through(url, () => answer(fetch(url)));
    },
    forget: (path, parameters = {}) => kept.drop(address(path, parameters)),
    post: (path, body) =>
      answer(
        fetch(path, {
          method: "POST",
          headers: { "Content-Type": "application/json", "X-Whence-Token": token },
          body: JSON.stringify(body),
        }),
      ),
  };
}

/**
 * @param {Promise<Response>} asked
 * @returns {Promise<any>} the JSON; rejects with the server's own sentence
 */
async function answer(asked) {
  let response;
  try {
    response = await asked;
  } catch {
    throw new Error("The server does not answer. Is `whence explore` still running?");
  }
  const told = await response.json().catch(() => null);
  if (response.ok && told !== null) return told;
  throw new Error(told?.error || `The server answered ${response.status}. Its terminal says more.`);
}

/**
 * @param {Record<string, any>} held answers by request
 * @returns {Source}
 */
function inlined(held) {
  const key = (/** @type {string} */ path, /** @type {Record<string, any>} */ parameters = {}) => {
    const pairs = Object.keys(parameters).sort().map((name) => `${name}=${parameters[name]}`);
    return pairs.length ? `${path}?${pairs.join("&")}` : path;
  };
  const elsewhere = "This report does not hold that. Open the run with `whence explore` to see it.";
  return {
    live: false,
    address: (path, parameters = {}) => held[key(path, parameters)] || "",
    async get(path, parameters = {}) {
      if (path === "/api/rows") return { rows: rowsHeld(held, parameters) };
      if (path === "/api/flags") return held[path] || { flags: {} };
      const found = held[key(path, parameters)];
      if (found === undefined) throw new Error(elsewhere);
      return found;
    },
    forget() {},
    async post() {
      throw new Error("This is a report. Open the run with `whence explore` to do that.");
    },
  };
}

/**
 * @param {Record<string, any>} held
 * @param {Record<string, any>} parameters
 * @returns {any[]} those of the asked rows that the report holds
 */
function rowsHeld(held, parameters) {
  const wanted = new Set(String(parameters.positions).split(",").map(Number));
  const keys = Object.keys(held).filter((key) => key.startsWith("/api/rows?") && key.includes(`side=${parameters.side}`));
  return keys.flatMap((key) => held[key].rows).filter((row) => wanted.has(row.position));
}

/**
 * A cache of promises; what failed is forgotten, so that it is asked again.
 * @param {number} size
 */
function leastRecentlyUsed(size) {
  /** @type {Map<string, Promise<any>>} */
  const kept = new Map();
  return {
    /** @param {string} key @param {() => Promise<any>} make */
    through(key, make) {
      const known = kept.get(key);
      const promise = known || make();
      kept.delete(key);
      kept.set(key, promise);
      if (!known) promise.catch(() => kept.delete(key));
      if (kept.size > size) kept.delete(/** @type {string} */ (kept.keys().next().value));
      return promise;
    },
    /** @param {string} key */
    drop: (key) => kept.delete(key),
  };
}
