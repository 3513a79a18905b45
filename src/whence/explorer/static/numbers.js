// @ts-check
/** Numbers as people read them: three significant digits, a true minus sign, a dash for what is not known. */

export const MISSING = "–";

/** @param {number|null|undefined} value @returns {value is number} */
export function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/**
 * "0.0123", "1,240", "4.1e−7".
 * @param {number|null|undefined} value
 * @param {number} [digits] significant digits
 */
export function plain(value, digits = 3) {
  if (!known(value)) return MISSING;
  const size = Math.abs(value);
  let text;
  if (size === 0) text = "0";
  else if (size < 1e-3 || size >= 1e6) text = value.toExponential(digits - 1).replace("e+", "e");
  else if (size >= 1000) text = Math.round(value).toLocaleString("en");
  else text = value.toPrecision(digits);
  return text.replaceAll("-", "−");
}

/**
 * A number that a person chose, as it was written: "0.05", "1e−6".
 * @param {number|null|undefined} value
 */
export function setting(value) {
  return known(value) ? String(Number(value.toPrecision(6))).replaceAll("-", "−") : MISSING;
}

/**
 * With its sign always: "+0.0123", "−4.1e−7".
 * @param {number|null|undefined} value
 */
export function signed(value) {
  return known(value) && value > 0 ? `+${plain(value)}` : plain(value);
}

/**
 * A correlation: "0.996", "−0.012".
 * @param {number|null|undefined} value
 */
export function correlation(value) {
  return known(value) ? value.toFixed(3).replace("-", "−") : MISSING;
}

/** @param {number|null|undefined} value a share of 1 */
export function percent(value) {
  if (!known(value)) return MISSING;
  const hundred = value * 100;
  if (hundred > 99.9 && hundred < 100) return ">99.9 %";
  return `${hundred >= 99.95 || hundred < 0.05 ? hundred.toFixed(0) : hundred.toFixed(1)} %`;
}

/** @param {number} value */
export function count(value) {
  return value.toLocaleString("en");
}

/**
 * "1 example", "2 examples".
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 */
export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/**
 * The glyph of a sign, beside every colour that means it.
 * @param {number|null|undefined} value
 */
export function glyph(value) {
  if (!known(value) || value === 0) return "·";
  return value > 0 ? "▲" : "▼";
}
