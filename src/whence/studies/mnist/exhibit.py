"""Stage ``exhibit``: what a page shows beside the scores: pictures, neighbours, self-influence and maps."""

from __future__ import annotations

import xarray as xr

from whence import exhibit
from whence.exhibit.kept import Exhibit
from whence.studies.mnist import influence
from whence.studies.mnist.plan import DAMPING
from whence.studies.mnist.stage import Context, Outcome

LAYERS = ("input", "logits")
"""Pixels, and what the network makes of them."""


def work(context: Context) -> Outcome:
    run, model = context.run, context.model

    def self_influence() -> xr.DataArray:
        method = influence.methods(run, model, context.progress)[influence.EXACT]()
        return method.fit(model.task, model.train, model.mapper).self_influence()

    choices = exhibit.Choices(
        title="MNIST, the images of Koh and Liang",
        layers=LAYERS,
        self_influence=self_influence,
        refit="study",
        damping=DAMPING,
        seed=context.settings.seed,
    )
    exhibit.exhibit(run, model.task, model.train, model.queries, choices, context.progress.say)
    found = Exhibit.read(run)
    maps = [one["name"] for one in found.about["maps"]]
    return Outcome(facts={"exhibit": {"maps": maps, "columns": [one["name"] for one in found.about["columns"]]}})
