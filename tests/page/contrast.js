// Texts on the page that stand out too little from what is behind them (WCAG 2: 4.5, for large letters 3).
() => {
  const rgb = (words) => (words.match(/[\d.]+/g) || []).map(Number);
  const light = (c) => { const f = c.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const over = (top, below) => { const a = top[3] ?? 1; return top.slice(0, 3).map((v, i) => v * a + below[i] * (1 - a)); };
  const ground = (element) => { const own = rgb(getComputedStyle(element).backgroundColor);
    if ((own[3] ?? 1) === 1 && own.length) return own;
    return over(own.length ? own : [0, 0, 0, 0], element.parentElement ? ground(element.parentElement) : [255, 255, 255]); };
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, style = getComputedStyle(element);
    if (!walker.currentNode.data.trim() || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (element.closest(":disabled, option, [aria-disabled], svg, script, style, noscript, .skip")) continue;
    const below = ground(element), ink = over(rgb(style.color), below);
    const [a, b] = [light(ink), light(below)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.add(`${ratio.toFixed(2)} ${element.tagName}.${element.className} "${walker.currentNode.data.trim().slice(0, 30)}"`);
  }
  return [...found];
}
