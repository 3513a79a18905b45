"""How large the MNIST study is: by ``size`` (how many images) and by ``effort`` (how much is retrained)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from whence.retraining.adam import Adam
from whence.studies.study import Effort, Settings, Size

WEIGHT_DECAY: Final = 1e-3
DAMPING: Final = 0.01
SUBJECT: Final = 6558
"""The test image that Koh and Liang's network, and the thesis', get wrong: its position among the 10,000."""
CLASS: Final = 6


@dataclass(frozen=True)
class Plan:
    """The numbers of a run.

    ``images``: training images; ``recipe``: of the network; ``sides``: refits a subject and side, by predicted
    influence; ``random``: refits of examples at random; ``others``: further queries, half of them mistakes;
    ``lissa``: depth of the series; ``continued``: refits a side, at random, steps and seeds; ``scratch``: whole
    trainings without one example; ``hundred``: examples, training steps, further steps and refits of Fig. 5.20;
    ``converged``: full gradients that may be spent on the way to a minimum (0: not tried) and refits there.
    """

    images: int
    recipe: Adam
    sides: int
    random: int
    others: int
    lissa: int
    continued: tuple[int, int, int, int]
    scratch: int
    hundred: tuple[int, int, int, int]
    converged: tuple[int, int]


ONE_CYCLE: Final = Adam(10_000, batch_size=500, learning_rate=1e-2, schedule="one-cycle")
FAITHFUL: Final = Adam(500_000, batch_size=500, learning_rate=1e-3, drops=((10_000, 0.1), (20_000, 0.01)))
CONTINUED_RATE: Final = 1e-4
"""Of the continued refits of a one-cycle network, whose own rate has fallen to nothing; faithful ones go on at 1e-5."""

QUICK: Final = Plan(
    images=5500,
    recipe=ONE_CYCLE,
    sides=250,
    random=250,
    others=40,
    lissa=1000,
    continued=(8, 12, 150, 2),
    scratch=1,
    hundred=(100, 10_000, 600, 24),
    converged=(0, 0),
)
PLANS: Final[dict[Effort, Plan]] = {
    "quick": QUICK,
    "full": replace(
        QUICK, continued=(25, 50, 600, 2), scratch=3, hundred=(100, 100_000, 6000, 100), converged=(3000, 60)
    ),
    "faithful": replace(
        QUICK, recipe=FAITHFUL, continued=(250, 250, 30_000, 2), scratch=3, hundred=(100, 100_000, 6000, 100)
    ),
}
TINY: Final = Plan(
    images=200,
    recipe=Adam(600, batch_size=100, learning_rate=1e-2, schedule="one-cycle"),
    sides=3,
    random=6,
    others=6,
    lissa=20,
    continued=(2, 3, 10, 2),
    scratch=1,
    hundred=(30, 200, 20, 6),
    converged=(20, 2),
)


def plan_of(settings: Settings) -> Plan:
    """The plan of these settings; the tiny size is the same for every effort."""
    size: Size = settings.size
    return TINY if size == "tiny" else PLANS[settings.effort]


def config_of(settings: Settings) -> dict[str, object]:
    """What a run folder is the result of. A quick run may be continued as a full one: their networks are the same."""
    recipe = "faithful" if settings.effort == "faithful" and settings.size != "tiny" else "one-cycle"
    return {**settings.config, "recipe": recipe}
