"""What stands on the page, read back: rows, numbers, pictures; and what the API says, unpacked."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect
from tools.explored import Explored

KINDS = {"f32": "<f4", "i32": "<i4"}
SETTLED = "html:not([data-busy])[data-query]"
"""The page while nothing is on its way."""


def unpacked(value: Any) -> Any:
    """Numbers that travel in bulk as an array; anything else as it is."""
    for name, kind in KINDS.items():
        if isinstance(value, Mapping) and name in value:
            return np.frombuffer(base64.b64decode(value[name]), kind)
    return value


def columns(server: Explored, side: str) -> dict[str, Any]:
    """The columns of one side, as /api/queries and /api/train give them; ``id`` as a list of words."""
    found = {name: unpacked(value) for name, value in server.get(f"/api/{side}").items()}
    return {**found, "id": [str(one) for one in np.asarray(found["id"]).tolist()]}


def query(page: Page) -> str:
    """The id of the prediction that is shown, once it is shown completely."""
    return str(page.locator(SETTLED).get_attribute("data-query"))


def shows(page: Page, identity: str) -> None:
    """Waits until this prediction is shown completely."""
    expect(page.locator(SETTLED)).to_have_attribute("data-query", identity)


def listed(page: Page) -> dict[int, str]:
    """Ids of the rows of the list that exist (those in sight), by their place in the whole list, from 0."""
    rows = page.get_by_test_id("query-list").get_by_role("option")
    found = rows.evaluate_all("rows => rows.map(row => [Number(row.ariaPosInSet) - 1, row.dataset.id])")
    return dict(sorted(found))


def number(text: str) -> float:
    """The first number of a text, as the page writes numbers."""
    found = re.search(r"[+−-]?\d[\d,]*(\.\d+)?(e−?\d+)?", text)
    assert found, f"no number in {text!r}"
    return float(found.group().replace("−", "-").replace(",", ""))


def correlations(text: str) -> list[float]:
    """Every "r = ..." of a text."""
    return [float(found.replace("−", "-")) for found in re.findall(r"r = (−?[\d.]+\d)", text)]


def picture(place: Locator, side: int) -> np.ndarray:
    """What is seen at a place, reduced to ``side`` x ``side`` greys."""
    place.scroll_into_view_if_needed()
    image = Image.open(io.BytesIO(place.screenshot())).convert("L")
    return np.asarray(image.resize((side, side), Image.Resampling.BOX), dtype=float)


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two pictures."""
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@dataclass(frozen=True)
class Frame:
    """Where the axes of a drawn chart are on the screen, in pixels, and what they span."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, x: Any, y: Any) -> Any:
        """Where points of the chart are on the screen [n, 2]."""
        across = self.left + (np.asarray(x) - self.x[0]) / (self.x[1] - self.x[0]) * self.width
        down = self.top + (self.y[1] - np.asarray(y)) / (self.y[1] - self.y[0]) * self.height
        return np.stack([across, down], axis=-1)


def chart(page: Page, name: str) -> Locator:
    """A figure's chart, drawn and in sight."""
    figure = page.get_by_test_id(name)
    figure.scroll_into_view_if_needed()
    found = figure.get_by_test_id(f"{name}-chart")
    expect(found.locator("svg.main-svg").first).to_be_visible()
    query(page)
    return found


def frame(chart: Locator) -> Frame:
    """Where the chart's axes are now."""
    found = chart.evaluate(
        """chart => {
          const full = chart._fullLayout, box = chart.getBoundingClientRect(), {l, t, w, h} = full._size;
          return [box.left + l, box.top + t, w, h, full.xaxis.range, full.yaxis.range];
        }"""
    )
    return Frame(*found)


def traces(chart: Locator) -> list[dict[str, list[float]]]:
    """The numbers of each trace that Plotly draws."""
    return chart.evaluate(
        """chart => chart.data.map(trace => Object.fromEntries(
          Object.entries(trace).filter(([, value]) => Array.isArray(value) || ArrayBuffer.isView(value))
            .map(([name, value]) => [name, Array.from(value)])))"""
    )


def canvas(chart: Locator) -> np.ndarray:
    """The points below a chart as red, green, blue and opacity [height, width, 4]."""
    found = chart.evaluate("chart => chart.parentElement.querySelector('canvas').toDataURL()")
    image = Image.open(io.BytesIO(base64.b64decode(found.split(",")[1])))
    return np.asarray(image.convert("RGBA"), dtype=int)


def apart(places: np.ndarray) -> int:
    """The point that is furthest from its nearest neighbour."""
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.diag(np.full(len(places), np.inf))
    return int(distance.min(1).argmax())


def tooltip(page: Page) -> Locator:
    """What is shown of the training example under the pointer."""
    return page.get_by_test_id("tooltip").filter(visible=True)


def selected(page: Page) -> list[int]:
    """Positions of the selected training examples, as the address of the page says."""
    words = parse_qs(urlsplit(page.url).fragment).get("selected", [""])[0]
    found: list[int] = []
    for part in filter(None, words.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
