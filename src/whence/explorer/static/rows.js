// @ts-check
/** Texts and features of examples, asked for in batches: what is wanted in one turn goes in one request. */

/** @typedef {import("whence/types").Row} Row */
/** @typedef {import("whence/types").Side} Side */
/** @typedef {import("whence/types").Source} Source */
/** @typedef {ReturnType<typeof makeRows>} Rows */

const MOST = 200;

/**
 * @param {Source} source
 */
export function makeRows(source) {
  const wards = { train: batched(source, "train"), queries: batched(source, "queries") };
  return {
    /**
     * The text or features of one example; undefined if there are none.
     * @param {Side} side
     * @param {number} position
     * @returns {Promise<Row|undefined>}
     */
    of: (side, position) => wards[side](position),
  };
}

/**
 * @param {Source} source
 * @param {Side} side
 */
function batched(source, side) {
  /** @type {Map<number, Promise<Row|undefined>>} */
  const known = new Map();
  /** @type {Map<number, {resolve: (row?: Row) => void, reject: (error: unknown) => void}>} */
  let waiting = new Map();

  async function ask() {
    const asked = waiting;
    waiting = new Map();
    const wanted = [...asked.keys()].sort((a, b) => a - b);
    for (let start = 0; start < wanted.length; start += MOST) {
      const part = wanted.slice(start, start + MOST);
      try {
        const { rows } = await source.get("/api/rows", { positions: part.join(","), side });
        const found = new Map(rows.map((/** @type {Row} */ row) => [row.position, row]));
        for (const position of part) asked.get(position)?.resolve(found.get(position));
      } catch (error) {
        for (const position of part) {
          known.delete(position);
          asked.get(position)?.reject(error);
        }
      }
    }
  }

  return (/** @type {number} */ position) => {
    const before = known.get(position);
    if (before) return before;
    /** @type {Promise<Row|undefined>} */
    const promise = new Promise((resolve, reject) => {
      if (!waiting.size) setTimeout(ask);
      waiting.set(position, { resolve, reject });
    });
    known.set(position, promise);
    return promise;
  };
}
