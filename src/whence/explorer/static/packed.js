// @ts-check
/** Numbers in bulk travel as base64 of little-endian float32 or int32. */

/**
 * A packed array as numbers; lists pass through, absent values give undefined.
 * @param {any} value
 * @returns {any}
 */
export function unpack(value) {
  if (value === null || value === undefined) return undefined;
  if (Array.isArray(value)) return value;
  if (typeof value.f32 === "string") return new Float32Array(bytes(value.f32));
  if (typeof value.i32 === "string") return new Int32Array(bytes(value.i32));
  return undefined;
}

/**
 * Every packed entry of an answer, unpacked.
 * @param {Record<string, any>} answer
 * @returns {any}
 */
export function unpackAll(answer) {
  return Object.fromEntries(Object.entries(answer).map(([name, value]) => [name, unpack(value)]));
}

/**
 * @param {string} text base64
 * @returns {ArrayBuffer}
 */
export function bytes(text) {
  const letters = atob(text);
  const out = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) out[i] = letters.charCodeAt(i);
  return out.buffer;
}
