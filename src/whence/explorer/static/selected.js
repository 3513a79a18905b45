// @ts-check
/** The selected training examples, as sorted lists of positions. */

/**
 * With this example added, or taken out if it was there.
 * @param {readonly number[]} selected
 * @param {number} position
 */
export function toggled(selected, position) {
  return selected.includes(position) ? selected.filter((one) => one !== position) : united(selected, [position]);
}

/**
 * @param {readonly number[]} selected
 * @param {readonly number[]} more
 */
export function united(selected, more) {
  return [...new Set([...selected, ...more])].sort((a, b) => a - b);
}
