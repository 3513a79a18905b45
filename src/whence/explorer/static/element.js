// @ts-check
/** DOM elements, made without parsing: text is only ever text. */

/**
 * An element. `props` holds attributes, and: `class`, `text` (textContent), `data` (dataset), `on` (listeners),
 * `style` (single properties, set through CSSOM, which a strict style-src allows). False and null leave an attribute out.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") made.className = value;
    else if (name === "text") made.textContent = value;
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) made.style.setProperty(key, one);
    else if (name === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== undefined && child !== false) made.append(child);
  return made;
}

/**
 * The element of the template with this id.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found;
}

/**
 * Fill a select with options; entries with a `group` are gathered under it in order of appearance.
 * @param {HTMLSelectElement} select
 * @param {{value: string, text: string, group?: string}[]} options
 * @param {string} chosen
 */
export function fillSelect(select, options, chosen) {
  /** @type {Map<string, HTMLElement>} */
  const groups = new Map();
  const loose = [];
  for (const { value, text, group } of options) {
    const option = el("option", { value, text });
    if (!group) loose.push(option);
    else {
      if (!groups.has(group)) groups.set(group, el("optgroup", { label: group }));
      groups.get(group)?.append(option);
    }
  }
  select.replaceChildren(...loose, ...groups.values());
  select.value = chosen;
}

/**
 * What stands in a panel that has nothing to show: what is missing and what to do.
 * @param {string} text
 * @returns {HTMLElement}
 */
export function empty(text) {
  return el("p", { class: "empty", text });
}

/**
 * What stands in a panel whose request failed; the rest of the page goes on.
 * @param {unknown} error
 * @returns {HTMLElement}
 */
export function failed(error) {
  const text = error instanceof Error ? error.message : String(error);
  return el("p", { class: "failed", role: "alert", data: { testid: "failed" } }, el("b", { text: "⚠ " }), text);
}
