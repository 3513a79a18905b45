"""All benchmarks, one after the other: ``python -m bench.run [ROW ...]``; results to ``bench/results``.

``race-a`` to ``race-d`` are the race with the peers, each row in a process of its own: hours from nothing, so they run
only where named, and finished rows are kept. ``python -m bench.race --help`` and its neighbours run parts of it. So do
``lds-digits`` and ``lds-mnist``, the linear datamodeling scores of these rows; the latter scores what race-a has left.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tools.chromium import MISSING, executable

from bench import (
    conjugate_gradients,
    ekfac_agreement,
    lds,
    one_query,
    page,
    preconditioners,
    race,
    race_growth,
    race_large,
    race_text,
    refit,
)
from bench.timing import machine

NAMED = ("race-", "lds-")
RESULTS = Path(__file__).parent / "results"


def rows() -> dict[str, Callable[[], dict[str, object]]]:
    """The rows that can run here: MNIST is read from the folder that WHENCE_MNIST names."""
    found: dict[str, Callable[[], dict[str, object]]] = {"refit": refit.run, "ekfac-agreement": ekfac_agreement.run}
    if executable():
        found["page"] = page.run
    else:
        print(f"page is left out: {MISSING}", file=sys.stderr)
    mnist = os.environ.get("WHENCE_MNIST")
    if mnist:
        found["one-query"] = lambda: one_query.run(mnist)
        checkpoint = os.environ.get("WHENCE_CHECKPOINT")
        if checkpoint:
            found["conjugate-gradients"] = lambda: conjugate_gradients.run(mnist, checkpoint)
            found["preconditioners"] = lambda: preconditioners.run(mnist, checkpoint)
        else:
            say = "conjugate-gradients and preconditioners are left out: set WHENCE_CHECKPOINT to a MNIST run's "
            print(say + "model.safetensors", file=sys.stderr)
        found["race-a"] = lambda: race.run(mnist, checkpoint)
        found["race-b"] = lambda: race_large.run(mnist)
        found["race-d"] = lambda: race_growth.run(mnist)
        found["lds-mnist"] = lambda: lds.run(lds.on_mnist(mnist, checkpoint))
    else:
        print("rows on MNIST are left out: set WHENCE_MNIST to a folder with MNIST in IDX files", file=sys.stderr)
    found["race-c"] = race_text.run
    found["lds-digits"] = lambda: lds.run(lds.on_digits())
    return found


def main() -> int:
    """Run what is asked for, or all rows that need not be named; print each as JSON and keep it."""
    known = rows()
    asked = sys.argv[1:] or [name for name in known if not name.startswith(NAMED)]
    unknown = [name for name in asked if name not in known]
    if unknown:
        print(f"error: no benchmark {unknown}; there are {list(known)}", file=sys.stderr)
        return 2
    RESULTS.mkdir(exist_ok=True)
    for name in asked:
        record = {"benchmark": name, "machine": machine(), "result": known[name]()}
        text = json.dumps(record, indent=1)
        print(text)
        (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
