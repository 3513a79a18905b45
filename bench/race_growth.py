"""Job d of the race: how our seconds and memory grow with training images, parameters and queries; ours only.

    WHENCE_MNIST=… python -m bench.race_growth [--scale 0.1]

One number at a time is varied about a base of 5,000 images, 10,000 parameters and 10 queries. The slope is that of the
logarithm of the seconds (fit and queries) over that of the number: 1 is linear. Memory is what a row needs beyond what
its process held before the fit, data included. The networks are as initialised, for time does not depend on their
weights; nothing is judged. ``--scale`` takes that share of all images and queries.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers.environments import cache
from bench.race_large import question
from bench.race_rows import Options, Record, entries, race
from bench.race_sheet import RESULTS, options_of, publish, sheet

IMAGES = (5_000, 10_000, 20_000, 40_000, 60_000)
WIDTHS = {2: 1_670, 5: 10_010, 16: 100_634, 50: 977_510}
QUERIES = (1, 10, 100, 1_000)
BASE = {"images": 5_000, "width": 5, "queries": 10}
ROWS = ("whence_gradient_dot", "whence_trak512", "whence_ekfac", "whence_sampled_gauss_newton")


def points(scale: float = 1.0) -> dict[str, list[tuple[int, int, int, int]]]:
    """By what is varied: (its value, images, width, queries)."""

    def share(value: int) -> int:
        return max(2, round(scale * value))

    images, queries = share(BASE["images"]), max(1, round(scale * BASE["queries"]))
    return {
        "images": [(share(value), share(value), BASE["width"], queries) for value in IMAGES],
        "parameters": [(size, images, width, queries) for width, size in WIDTHS.items()],
        "queries": [
            (value, images, BASE["width"], value) for value in sorted({max(1, round(scale * q)) for q in QUERIES})
        ],
    }


def run(
    mnist: str,
    options: Options | None = None,
    scale: float = 1.0,
    folder: Path = RESULTS,
    name: str = "race-d",
) -> dict[str, Any]:
    """Every point for every row; table and JSON are written after every point, and the result is returned."""
    options = options or Options()
    measured: dict[str, list[tuple[int, list[Record]]]] = {varied: [] for varied in points(scale)}
    result: dict[str, Any] = {}
    for varied, listed in points(scale).items():
        for value, images, width, queries in listed:
            place = question(mnist, images, (queries,), width, steps=0)
            measured[varied].append((value, race(name, place, entries(ROWS), options, None)))
            result.update(sheet(options, [], {"base": BASE, "scale": scale, "varied": list(measured)}))
            result["growth"] = [line for key, found in measured.items() for line in growth(key, found)]
            _publish(folder, name, result)
    return result


def growth(varied: str, measured: Sequence[tuple[int, Sequence[Record]]]) -> list[dict[str, Any]]:
    """A line a row: the values, seconds and MB at each, and the slope of the seconds."""
    lines = []
    for row in ROWS:
        found = [(value, one) for value, records in measured for one in records if one["row"] == row]
        whole = [(value, one) for value, one in found if len(one["seconds"]) > 1]
        seconds = [sum(one["seconds"].values()) for _, one in whole]
        line: dict[str, Any] = {
            "varied": varied,
            "row": row,
            "values": [value for value, _ in whole],
            "seconds": seconds,
            "MB": [one["peak MB"] - one["MB before the fit"] for _, one in whole],
            "slope": slope([value for value, _ in whole], seconds),
        }
        failed = {value: one["status"] for value, one in found if one["status"] != "ok"}
        lines.append(line | ({"failed": failed} if failed else {}))
    return lines


def slope(values: Sequence[int], seconds: Sequence[float]) -> float | None:
    """Of log seconds over log values, by least squares; None for fewer than two points."""
    if len(values) < 2:
        return None
    return float(np.polyfit([math.log(value) for value in values], [math.log(one) for one in seconds], 1)[0])


def _publish(folder: Path, name: str, result: dict[str, Any]) -> None:
    lines = ["| varied | row | values | seconds | MB beyond the data | slope | failed |", "|" + " --- |" * 7]
    for line in result["growth"]:
        cells = [line["varied"], line["row"], ", ".join(map(str, line["values"]))]
        cells += [", ".join(f"{one:.2f}" for one in line["seconds"]), ", ".join(f"{one:.0f}" for one in line["MB"])]
        cells += ["–" if line["slope"] is None else f"{line['slope']:.2f}"]
        cells += ["; ".join(f"{value}: {said[:60]}" for value, said in line.get("failed", {}).items())]
        lines.append("| " + " | ".join(cells) + " |")
    publish(folder, name, result, [f"# {name}: growth", "Made by `python -m bench.race_growth`.", "\n".join(lines)])


def main() -> int:
    """Run job d, or the rows that are asked for."""
    parser = argparse.ArgumentParser(description="Job d of the race.")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the images and of the queries")
    asked, options = options_of(parser, ROWS)
    quick: dict[str, Any] = {"scale": 0.02, "folder": cache() / "quick"} if asked.quick else {"scale": asked.scale}
    found = run(asked.mnist, options, **quick)
    for line in found["growth"]:
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
