// @ts-check
/** A person's flags, suggested labels and notes. They are kept in the run folder. */

/** @typedef {import("whence/types").Flag} Flag */
/** @typedef {import("whence/types").Source} Source */
/** @typedef {ReturnType<typeof makeFlags>} Flags */

/**
 * @param {Source} source
 */
export function makeFlags(source) {
  /** @type {Map<number, Flag>} */
  const kept = new Map();
  /** @type {((position: number) => void)[]} */
  const listeners = [];
  const ready = source.get("/api/flags").then(({ flags }) => {
    for (const [position, flag] of Object.entries(flags)) kept.set(Number(position), flag);
  });
  return {
    /** Resolves when the flags are known; rejects with the server's sentence. */
    ready,
    /** @param {number} position */
    of: (position) => kept.get(position),
    many: () => [...kept.values()].filter(({ flag, label, note }) => flag || label !== null || note).length,
    /** @param {(position: number) => void} listener */
    listen: (listener) => listeners.push(listener),
    /**
     * Keep what a person says of one example; rejects with the server's sentence.
     * @param {number} position
     * @param {Partial<Flag>} change
     */
    async set(position, change) {
      const { flag, label, note } = { flag: false, label: null, note: "", ...kept.get(position), ...change };
      kept.set(position, await source.post("/api/flags", { position, flag, label, note }));
      for (const listener of listeners) listener(position);
    },
  };
}
