"""Stage ``maps``: where the training images lie in the logits, by PCA and t-SNE (Fig. 5.8), and TensorBoard's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from whence.embedding.activations import activations
from whence.embedding.maps import fit_plane, tsne_together
from whence.embedding.projector import export_projector
from whence.gradients.labels import labels_of
from whence.plots import embedding_map
from whence.plots.embedding_map import Embedding
from whence.results import Labels
from whence.studies.mnist.stage import Context, Outcome
from whence.studies.section import Section

LAYER = "logits"
EXPORTED = ("h3_c", "h3_d", "logits")
PROJECTOR = "projector"


def work(context: Context) -> Outcome:
    model, progress = context.model, context.progress
    objective = model.objective
    train, asked = labels_of(objective, model.train), labels_of(objective, model.asked)
    found = activations(model.module, EXPORTED, model.train)
    points, queries = found[LAYER].numpy(), activations(model.module, LAYER, model.asked)[LAYER].numpy()
    progress.say(f"maps of {len(points)} images by PCA and t-SNE")
    plane = fit_plane(points)
    flat = Embedding(plane.place(points, train), plane.place(queries, asked, "query"), "PCA of the logits")
    near, stars = tsne_together(points, queries, train, asked, seed=context.settings.seed)
    close = Embedding(near, stars, f"{near.attrs['method']} of the logits")
    figure = context.figure("maps", embedding_map([flat, close]))
    folder = Path(context.run.folder) / PROJECTOR
    export_projector(folder, {name: rows.numpy() for name, rows in found.items()}, _about(train), _pictures(context))
    share = sum(plane.shares)
    words = (
        f"Two principal components hold {share:.0%} of the variance of the logits. Of the {len(points)} images "
        f"{_neighbours(points, train):.1%} have a nearest neighbour in the logits that is predicted as they are; on "
        f"the t-SNE map {_neighbours(near.values, train):.1%}.",
        f"{PROJECTOR}/ holds the layers {', '.join(EXPORTED)} with labels and pictures for TensorBoard's projector.",
    )
    section = Section(
        "Figure 5.8",
        "The training images in the logits, coloured by what the network takes them for",
        words,
        figures=(figure,),
        source="t-SNE with perplexity 19 in TensorBoard's projector: images of one label lie together, some apart.",
        chapter="5 Results",
    )
    return Outcome([section], {"maps": {"variance": share, **near.attrs}})


def _about(train: Labels) -> pd.DataFrame:
    # TensorBoard labels points by the first column
    columns = {"label": train.label, "id": train.ids, "prediction": train.prediction, "loss": train.loss}
    return pd.DataFrame(columns)


def _pictures(context: Context) -> np.ndarray:
    images = context.model.train.take(slice(None)).inputs
    return np.asarray(images)[:, 0]


def _neighbours(points: np.ndarray, train: Labels) -> float:
    """The share of points whose nearest neighbour has the same prediction."""
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=2).fit(points).kneighbors(points, return_distance=False)[:, 1]
    prediction = np.asarray(train.prediction)
    return float((prediction[nearest] == prediction).mean())
