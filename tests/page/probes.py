"""Questions to the page's own DOM, in JavaScript."""

from __future__ import annotations

CONTRAST = r"""() => {
  const numbers = (words) => (words.match(/[\d.]+/g) || []).map(Number);
  const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const over = (ink, below) => [0, 1, 2].map((i) => ink[i] * (ink[3] ?? 1) + below[i] * (1 - (ink[3] ?? 1)));
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    return over(numbers(getComputedStyle(element).backgroundColor), ground(element.parentElement));
  };
  const aside = ":disabled, option, [aria-disabled], svg, script, style, noscript, .skip";
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const words = walker.currentNode.data.trim();
    const element = walker.currentNode.parentElement;
    if (!words || element.closest(aside)) continue;
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const style = getComputedStyle(element);
    const below = ground(element);
    const [dark, bright] = [light(over(numbers(style.color), below)), light(below)].sort((a, b) => a - b);
    const ratio = (bright + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.add(`${ratio.toFixed(2)}: ${element.className} "${words.slice(0, 30)}"`);
  }
  return [...found];
}"""
"""Texts whose contrast with their ground is below WCAG's 4.5 (3 for large ones); disabled controls are exempt."""

FOCUSED = """() => {
  const element = document.activeElement;
  if (element === document.body) return null;
  const style = getComputedStyle(element);
  const name = element.dataset.testid || element.id || element.className || element.tagName;
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  return { name, ring: outlined || style.boxShadow !== "none" };
}"""
"""What has the focus, and whether that can be seen; null for nothing."""

SETTLED = r"""([chart, theme]) => {
  const full = chart._fullLayout;
  if (!full) return false;
  const red = (ink) => (ink.startsWith("#") ? parseInt(ink.slice(1, 3), 16) : Number(ink.match(/\d+/)[0]));
  // The map's paper is transparent, so the theme is read off the colour of the letters.
  return Math.abs(full.width - chart.clientWidth) < 2 && red(full.font.color) > 128 === (theme === "dark");
}"""
"""Whether a chart has its place's width and its theme's colours."""

ASIDE = r"""() => {
  // What an ancestor cuts off (an ellipsis, a list that scrolls by itself) reaches no further than that ancestor.
  const right = (element) => {
    let edge = element.getBoundingClientRect().right;
    for (let around = element.parentElement; around; around = around.parentElement)
      if (getComputedStyle(around).overflowX !== "visible") edge = Math.min(edge, around.getBoundingClientRect().right);
    return edge;
  };
  return [...document.querySelectorAll("body *")]
    .filter((element) => element.checkVisibility() && !element.closest(".skip, [popover]"))
    .filter((element) => right(element) > innerWidth + 1)
    .slice(0, 5)
    .map((element) => `${element.tagName}.${element.className}`);
}"""
"""Some elements that can be seen beyond the right border."""

FETCH = """async ([path, init]) => {
  const answer = await fetch(path, init);
  return [answer.status, (await answer.text()).slice(0, 500)];
}"""
"""Status and words of an answer to the page."""
