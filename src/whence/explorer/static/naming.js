// @ts-check
/** Words for classes, values and methods. */

import { known, MISSING, plain, setting } from "whence/numbers";

/** @typedef {import("whence/types").About} About */
/** @typedef {ReturnType<typeof makeNaming>} Naming */

/**
 * @param {About} about
 */
export function makeNaming(about) {
  const classes = about.task === "classification" ? about.classes : null;
  const methods = new Map(about.methods.map((method) => [method.name, method]));
  const truths = new Map(about.truths.map((truth) => [truth.name, truth]));
  const naming = {
    classes,
    /** @param {number|null|undefined} value a class or, in a regression, a number */
    value(value) {
      if (!known(value)) return MISSING;
      if (about.task !== "classification") return plain(value);
      if (value < 0) return MISSING;
      return classes?.[value] ?? String(value);
    },
    /**
     * Whether a prediction is right; null where that cannot be said.
     * @param {number|null|undefined} label
     * @param {number|null|undefined} prediction
     * @returns {boolean|null}
     */
    right(label, prediction) {
      if (about.task !== "classification" || !known(label) || !known(prediction)) return null;
      return label < 0 || prediction < 0 ? null : label === prediction;
    },
    /** @param {string} name */
    method: (name) => methods.get(name),
    /** @param {string} name */
    methodLabel: (name) => methods.get(name)?.label || name,
    /**
     * "change in loss (nats)".
     * @param {string} name
     */
    quantity(name) {
      const method = methods.get(name);
      if (!method) return "score";
      return method.unit && method.unit !== "none" ? `${method.quantity} (${method.unit})` : method.quantity;
    },
    /** @param {string} name */
    unit(name) {
      const unit = methods.get(name)?.unit;
      return unit && unit !== "none" ? unit : "";
    },
    /**
     * "proximal refit, damping 0.05".
     * @param {string|null} name
     */
    truth(name) {
      const truth = truths.get(name || "");
      if (!truth) return name || "refit";
      const kind = `${truth.kind.replaceAll("_", " ")} refit`;
      return truth.damping ? `${kind}, damping ${setting(truth.damping)}` : kind;
    },
    /** @param {string} name */
    truthOf: (name) => truths.get(name),
    /**
     * "PCA of layer h3".
     * @param {import("whence/types").MapName} map
     */
    map: ({ kind, layer }) => `${kind === "tsne" ? "t-SNE" : kind.toUpperCase()} of ${naming.layer(layer)}`,
    /** @param {string} layer */
    layer: (layer) => (layer === "input" ? "the inputs" : `layer ${layer}`),
    /** Methods as options of a select, gathered by what they state. */
    methodOptions: () => about.methods.map(({ name, label, quantity, unit }) => ({
      value: name, text: label || name, group: unit && unit !== "none" ? `${quantity} (${unit})` : quantity,
    })),
  };
  return naming;
}

/**
 * The position of every id, as people type it.
 * @param {ArrayLike<string|number>} ids
 * @returns {Map<string, number>}
 */
export function positions(ids) {
  return new Map(Array.from(ids, (id, position) => [String(id), position]));
}
