"""Embeddings laid out in few dimensions, to be looked at: principal components and t-SNE, by scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt
import xarray as xr

from whence.results import Labels

Array = npt.NDArray[np.float64]
Dim: TypeAlias = Literal["train", "query"]
FULL = 1000
BEFORE = 50
FEWEST = 3
AXES = ("t-SNE 1", "t-SNE 2")


@final
@dataclass(frozen=True)
class Plane:
    """Where an embedding of d columns varies most: ``mean`` [d], orthonormal ``directions`` [k, d].

    ``shares`` [k]: of the variance of the examples it was fitted to, by direction; ``solver``: how they were found.
    """

    mean: Array
    directions: Array
    shares: tuple[float, ...]
    solver: str

    def place(self, embedding: Any, labels: Labels | None = None, dim: Dim = "train") -> xr.DataArray:
        """An embedding [m, d] in this plane: (``dim``, "axis"), so that queries can be put among training examples.

        Raises ValueError for another number of columns, values that are not finite, and labels of other rows.
        """
        rows = _rows(embedding, labels)
        if rows.shape[1] != len(self.mean):
            raise ValueError(
                f"an embedding {rows.shape} for a plane in {len(self.mean)} dimensions: embed in the same layer."
            )
        names = [
            f"component {number} ({_percent(share)} of the variance)" for number, share in enumerate(self.shares, 1)
        ]
        attrs = {"method": "PCA", "explained_variance_ratio": list(self.shares), "settings": {"solver": self.solver}}
        return _map((rows - self.mean) @ self.directions.T, names, labels, attrs, dim)


def fit_plane(embedding: Any, components: int = 2) -> Plane:
    """The first principal components of an embedding [n, d], largest variance first.

    Up to a smaller side of 1,000 the decomposition is complete, above that randomised with a fixed seed (N. Halko et
    al., "Finding structure with randomness", SIAM Review 2011). The sign of each is fixed: its largest loading is
    positive.

    Raises ValueError for fewer than three rows, values that are not finite, rows that are all equal, and more
    components than rows or columns.
    """
    from sklearn.decomposition import PCA

    rows = _varied(_rows(embedding))
    if not 1 <= components <= min(rows.shape):
        raise ValueError(
            f"{components} components of an embedding {rows.shape}: ask for at least 1 and at most {min(rows.shape)}."
        )
    solver = _solver(rows)
    fitted = PCA(components, svd_solver=solver, random_state=0).fit(rows)
    return Plane(fitted.mean_, fitted.components_, tuple(fitted.explained_variance_ratio_.tolist()), solver)


def pca(embedding: Any, labels: Labels | None = None, components: int = 2) -> xr.DataArray:
    """The principal components ("train", "axis") of an embedding [n, d]; see :func:`fit_plane` for what it raises.

    The axes are named with their share of the variance; ``attrs`` holds ``method``, ``explained_variance_ratio`` (a
    list, by axis) and ``settings``. ``labels`` become coordinates; without them the ids are 0 to n − 1. To put queries
    into the same picture use :func:`fit_plane` and :meth:`Plane.place`.
    """
    return fit_plane(_rows(embedding, labels), components).place(embedding, labels)


def tsne(
    embedding: Any, labels: Labels | None = None, seed: int = 0, perplexity: float = 30.0, *, iterations: int = 1000
) -> xr.DataArray:
    """A t-SNE map ("train", "axis") of an embedding [n, d] (L. van der Maaten and G. Hinton, JMLR 2008; Barnes-Hut).

    It starts from the principal components, of which it sees at most the first 50, close to the 30 of its authors.
    Neighbourhoods are kept; distances between far groups, and the sizes of groups, are not. A seed gives the same map
    every time on a machine: one thread does the work, since sums over threads differ in their last digits, which t-SNE
    makes visible.

    ``perplexity``: about how many neighbours count, at most (n − 1)/3; a larger one is lowered to that (never below 1).
    ``attrs`` holds ``method`` with the perplexity used, ``kl_divergence`` in nats and ``settings`` (seed, perplexity
    as used and as asked for, iterations run, components seen). ``labels`` become coordinates; without them the ids are
    0 to n − 1.

    Raises ValueError for fewer than three rows or two columns, values that are not finite, rows that are all equal, a
    perplexity below 1 or fewer than 500 iterations.
    """
    values, attrs = _embedded(_rows(embedding, labels), seed, perplexity, iterations)
    return _map(values, AXES, labels, attrs, "train")


def tsne_together(
    train: Any,
    query: Any,
    labels: Labels | None = None,
    query_labels: Labels | None = None,
    seed: int = 0,
    perplexity: float = 30.0,
    *,
    iterations: int = 1000,
) -> tuple[xr.DataArray, xr.DataArray]:
    """One t-SNE map of training examples [n, d] and queries [q, d]: ("train", "axis") and ("query", "axis").

    t-SNE has no rule that would put a further point into a finished map, so both are embedded at once and the queries
    take part in where the training examples lie; ``settings`` counts them as ``queries``. Otherwise as :func:`tsne`.
    """
    first, second = _rows(train, labels), _rows(query, query_labels)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"embeddings {first.shape} and {second.shape} have different columns: embed in the same layer."
        )
    values, attrs = _embedded(np.concatenate([first, second]), seed, perplexity, iterations)
    attrs["settings"]["queries"] = len(second)
    above, below = values[: len(first)], values[len(first) :]
    return _map(above, AXES, labels, attrs, "train"), _map(below, AXES, query_labels, attrs, "query")


def _embedded(rows: Array, seed: int, perplexity: float, iterations: int) -> tuple[Array, dict[str, Any]]:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    rows = _varied(rows)
    if rows.shape[1] < 2:
        raise ValueError("an embedding of one column is no map: draw it as a histogram.")
    if not perplexity >= 1 or not np.isfinite(perplexity) or iterations < 500:
        raise ValueError(
            f"perplexity {perplexity} must be 1 or more (30 is usual), iterations {iterations} 500 or more: "
            "the first 250 exaggerate."
        )
    used = max(1.0, min(float(perplexity), (len(rows) - 1) / 3))
    seen = min(BEFORE, *rows.shape)
    with threadpool_limits(limits=1):
        if seen < rows.shape[1]:
            rows = PCA(seen, svd_solver=_solver(rows), random_state=0).fit_transform(rows)
        fitted = TSNE(2, perplexity=used, max_iter=iterations, init="pca", random_state=seed)
        values = fitted.fit_transform(rows)
    settings = {
        "seed": seed,
        "perplexity": used,
        "perplexity_asked": float(perplexity),
        "iterations": int(fitted.n_iter_) + 1,
        "components_seen": seen,
    }
    found = {"method": f"t-SNE, perplexity {used:.3g}", "kl_divergence": float(fitted.kl_divergence_)}
    return values.astype(np.float64), found | {"settings": settings}


def _rows(embedding: Any, labels: Labels | None = None) -> Array:
    rows = np.asarray(embedding, dtype=np.float64)
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"an embedding {rows.shape} cannot be mapped: give [n, d].")
    if labels is not None and len(labels.ids) != len(rows):
        raise ValueError(f"{len(labels.ids)} ids for {len(rows)} rows: give the labels of the embedded examples.")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{len(bad)} rows of the embedding are not finite (first: row {bad[0]}): leave those examples out."
        )
    return rows


def _varied(rows: Array) -> Array:
    if len(rows) < FEWEST:
        raise ValueError(f"{len(rows)} rows make no map: give {FEWEST} or more.")
    if (rows == rows[0]).all():
        raise ValueError("all rows of the embedding are equal: there is nothing to map.")
    return rows


def _solver(rows: Array) -> str:
    return "full" if min(rows.shape) <= FULL else "randomized"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "under 1 %"


def _map(values: Array, axes: Any, labels: Labels | None, attrs: dict[str, Any], dim: Dim) -> xr.DataArray:
    known = labels if labels is not None else Labels(np.arange(len(values)))
    own = {**attrs, "settings": dict(attrs["settings"])}
    return xr.DataArray(
        values, dims=(dim, "axis"), coords=known.coordinates(dim) | {"axis": list(axes)}, name="map", attrs=own
    )
