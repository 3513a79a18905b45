// @ts-check
/**
 * The shapes of what the server answers and of what the modules hand to each other. Holds no code.
 *
 * A *position* is an index along the training examples or the queries; an *id* is what people see.
 *
 * @typedef {"train"|"queries"} Side
 * @typedef {{f32: string}|{i32: string}} Packed base64 of little-endian numbers; missing is NaN or -1
 * @typedef {Float32Array|Int32Array} Numbers
 *
 * @typedef {object} Method one method whose scores the run holds
 * @property {string} name
 * @property {string} label
 * @property {string} method
 * @property {string} quantity
 * @property {string} unit
 * @property {string} sign
 * @property {boolean} signed whether a score says help or harm
 * @property {boolean} additive whether scores of several examples add up to a joint effect
 * @property {number|null} damping
 * @property {string[]} truths the refits that have the same unit
 *
 * @typedef {{name: string, kind: string, damping: number|null, removed: number, quantity: string, unit: string}} Truth
 * @typedef {{name: string, kind: string, layer: string, note: string}} MapName
 * @typedef {{name: string, title: string, unit: string, note: string}} Column
 * @typedef {{columns: number, tiles: number, tile: {height: number, width: number}}} Sprite
 *
 * @typedef {object} About
 * @property {string} title
 * @property {Record<string, any>} run
 * @property {"image"|"text"|"features"|"none"} kind
 * @property {"classification"|"regression"|"other"} task
 * @property {string[]|null} classes
 * @property {string} unit
 * @property {{train: number, queries: number}} counts
 * @property {Sprite|null} sprite
 * @property {Method[]} methods
 * @property {Truth[]} truths
 * @property {MapName[]} maps
 * @property {Column[]} columns
 * @property {{act: boolean, verify: boolean, why_not: string}} can
 * @property {string[]} problems sentences about what could not be read
 * @property {string[]} notes sentences about what was left out when the run was made ready for the page
 * @property {{query: number|null, method: string|null, map: string|null, k: number}} default
 *
 * @typedef {object} Columns what is known of every example of one side; absent columns are undefined
 * @property {(string|number)[]|Numbers} id
 * @property {Numbers} [label]
 * @property {Numbers} [prediction]
 * @property {Numbers} [confidence]
 * @property {Numbers} [loss]
 * @property {Numbers} [self_influence]
 * @property {Numbers} [disagreement]
 * @property {Numbers} [neighbours_label]
 *
 * @typedef {object} Scored one training example with its score for a query
 * @property {number} position
 * @property {string|number} id
 * @property {number|null} label
 * @property {number|null} prediction
 * @property {number|null} loss
 * @property {number} score
 * @property {number|null} actual the refitted change, where there is one
 * @property {string|null} truth which refit it is of
 *
 * @typedef {{truth: string, sample: string|null, n: number, pearson: number|null, low: number|null, high: number|null,
 *   spearman: number|null}} Agreement
 * @typedef {{solver: string|null, converged: boolean|null, relative_residual: number|null, damping: number|null,
 *   lambda_min: number|null, lambda_max: number|null, words: string, agreement: Agreement[]}} Trust
 * @typedef {{method: string, helpful: Scored[], harmful: Scored[], sides: string[], trust: Trust,
 *   unscored?: number}} Why
 *
 * @typedef {{position: number, id: string|number, text: string|null, features: Record<string, number>|null}} Row
 * @typedef {{position: number, id: string|number, label: number|null, prediction: number|null, confidence: number|null,
 *   loss: number|null, self_influence: number|null, disagreement: number|null, neighbours_label: number|null,
 *   ranks: Record<string, number>}} Suspect
 * @typedef {{flag: boolean, label: number|null, note: string, when?: string}} Flag
 *
 * @typedef {object} State what the address of the page says
 * @property {string} query id of the chosen query
 * @property {string} method
 * @property {string} beside second method, "" for none
 * @property {string} map
 * @property {string} colour
 * @property {string} x
 * @property {string} y
 * @property {string} by first ranking shown where there is room for one
 * @property {number[]} selected positions of training examples
 * @property {"why"|"where"|"much"|"labels"} view
 *
 * @typedef {object} Source where answers come from
 * @property {boolean} live whether a server answers
 * @property {(path: string, parameters?: Record<string, any>) => Promise<any>} get
 * @property {(path: string, parameters?: Record<string, any>) => void} forget
 * @property {(path: string, body: any) => Promise<any>} post
 * @property {(path: string, parameters?: Record<string, any>) => string} address
 *
 * @typedef {object} Context what every part of the page is given
 * @property {Source} source
 * @property {About} about
 * @property {import("whence/naming").Naming} naming
 * @property {import("whence/state").Store} state
 * @property {Columns} queries
 * @property {() => Promise<Columns>} train
 * @property {import("whence/rows").Rows} rows
 * @property {import("whence/flags").Flags} flags
 * @property {(text: string, kind?: "plain"|"error") => void} say
 *
 * @typedef {object} View one tab
 * @property {(changed: Set<string>) => Promise<void>} update resolves when what is seen is complete
 */
export {};
