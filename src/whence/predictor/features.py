"""Features of (query, training example) pairs with known labels that cost one forward pass and no gradients.

Kernels have the library's sign: positive = helpful. The last layer's gradient kernel is the fast form of TracIn
(G. Pruthi et al., "Estimating training data influence by tracing gradient descent", NeurIPS 2020, section 5.2); with
the last layer's curvature it is influence restricted to that layer, as in Koh and Liang (ICML 2017) with the layers
below held still. The kernels of other layers take the layer's output for its input and pull the residual p − y back to
the last layer's input only, whitened on both sides: K-FAC (Martens and Grosse, ICML 2015) without a backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from whence.curvature import cholesky
from whence.embedding.activations import OUTPUT, activations
from whence.embedding.metrics import centroids, cosine_similarity, euclidean_distance
from whence.examples import Examples
from whence.predictor import last_layer
from whence.predictor.last_layer import Passed
from whence.task import AbstractTask

KERNEL = "gradient kernel"
PRECONDITIONED = "preconditioned kernel"
COSINE = f"cosine [{OUTPUT}]"
LOSS = "train loss"
Named = Iterator[tuple[str, Tensor]]


@dataclass(frozen=True)
class Features:
    """``values`` [query, train, feature] in float32 and the features' ``names``.

    ``relative``: names of the features whose size differs from query to query as the effects' size does: a predictor
    divides each by its root mean square over the query's pairs.
    Raises ValueError if the names do not fit the values or repeat, or a value is not finite.
    """

    values: npt.NDArray[np.float32]
    names: tuple[str, ...]
    relative: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.shape[2] != len(self.names) or len(set(self.names)) < len(self.names):
            raise ValueError(
                f"values {self.values.shape} with {len(self.names)} names: give [query, train, feature] and one name "
                "a feature, none twice."
            )
        unknown = sorted(set(self.relative) - set(self.names))
        if unknown:
            raise ValueError(f"relative names {unknown}, no features here: name some of {list(self.names)}.")
        if not np.isfinite(self.values).all():
            raise ValueError("a feature is not finite: check the model's outputs for the examples.")

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        """One feature [query, train]; raises KeyError for an unknown name."""
        if name not in self.names:
            raise KeyError(f"no feature {name!r}; there are {', '.join(self.names)}")
        return self.values[:, :, self.names.index(name)]

    def of(self, queries: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Features:
        """The features of some queries, by a mask or by positions."""
        return replace(self, values=self.values[queries])


def joined(first: Features, second: Features) -> Features:
    """Two tiers side by side: the features of ``first``, then those of ``second``, of the same pairs in the same order.

    Raises ValueError for other numbers of queries or training examples, or a name that both have.
    """
    if first.values.shape[:2] != second.values.shape[:2]:
        raise ValueError(
            f"features of {first.values.shape[:2]} and of {second.values.shape[:2]} pairs [query, train]: "
            "make both from the same queries and training examples."
        )
    both = sorted(set(first.names) & set(second.names))
    if both:
        raise ValueError(f"both tiers have the features {both}: join tiers that differ in every name.")
    values = np.concatenate([first.values, second.values], 2)
    return Features(values, first.names + second.names, first.relative + second.relative)


def pair_features(
    task: AbstractTask,
    queries: Examples,
    train: Examples,
    layers: Sequence[str] = (OUTPUT,),
    whole: Examples | None = None,
    damping: float = 0.01,
) -> Features:
    """Features of every pair of a query and a training example.

    ``train``: those that the pairs are formed with; ``whole``: the training set of the model, over which curvature,
    spreads and centroids are taken (by default ``train``). ``layers``: as :func:`whence.embedding.activations` takes
    them. ``damping``: δ of the last layer's curvature and, relative to the mean variance, of the spreads.

    ``"preconditioned kernel"`` is the change of the query's loss in nats if the example is removed and only the last
    layer refitted, to first order (``docs/conventions.md``); ``"gradient kernel"`` is ∇ℓ_q·∇ℓ_i in the last layer.

    Raises ValueError for a task that is no classification, a model that does not end in a dense layer or whose last
    layer the task does not study, and no examples; KeyError for an unknown layer.
    """
    whole = train if whole is None else whole
    asked, seen, every = (last_layer.forward(task, examples) for examples in (queries, train, whole))
    shape = (len(queries), len(train))
    found: dict[str, Tensor] = dict(_of_train(seen)) | {name: v[:, None] for name, v in _of_query(asked)}
    found |= dict(_relations(asked, seen))
    kernels = dict(_kernels(task, asked, seen, every, damping))
    pulled = _pulled(task, asked, seen, every, damping)
    for layer in layers:
        rows = [activations(task.module, layer, e)[layer].double() for e in (queries, train, whole)]
        found |= dict(_embedded(layer, rows[0], rows[1], rows[2], seen, every))
        kernels |= dict(_layer_kernels(layer, rows[0], rows[1], rows[2], pulled, damping))
    found |= kernels
    found[f"{LOSS} x sign"] = seen.loss * kernels[PRECONDITIONED].sign()
    values = torch.stack([value.expand(shape).float() for value in found.values()], 2).numpy()
    return Features(values, tuple(found), tuple(kernels))


def _of_train(seen: Passed) -> Named:
    yield LOSS, seen.loss
    yield "train margin", seen.margin
    yield "train residual norm", seen.residual.norm(dim=1)


def _of_query(asked: Passed) -> Named:
    yield "query loss", asked.loss
    yield "query margin", asked.margin
    yield "query residual norm", asked.residual.norm(dim=1)


def _relations(asked: Passed, seen: Passed) -> Named:
    """Who shares a class with whom, as 0 and 1, and how much probability each gives the other's label."""
    said, label = asked.predictions[:, None], asked.labels[:, None]
    yield "same label", (label == seen.labels).double()
    yield "train label = query prediction", (said == seen.labels).double()
    yield "train prediction = query label", (label == seen.predictions).double()
    yield "query's probability of the train label", asked.probabilities[:, seen.labels]
    yield "train's probability of the query label", seen.probabilities[:, asked.labels].T
    yield "train's probability of the query prediction", seen.probabilities[:, asked.predictions].T


def _kernels(task: AbstractTask, asked: Passed, seen: Passed, every: Passed, damping: float) -> Named:
    yield "residual dot", asked.residual @ seen.residual.T
    yield KERNEL, (asked.residual @ seen.residual.T) * (asked.inputs @ seen.inputs.T)
    factor = torch.linalg.cholesky(last_layer.gauss_newton(task, every, damping))
    solved = cholesky.solve(factor, asked.gradients().T).T
    mean = task.objective == "mean"
    # Σ r ⊗ a over all examples is one product of matrices
    centre = (every.residual.T @ every.inputs).flatten() / len(every.loss) if mean else 0.0
    yield PRECONDITIONED, solved @ (seen.gradients() - centre).T / (max(1, len(every.loss) - 1) if mean else 1)


def _pulled(task: AbstractTask, asked: Passed, seen: Passed, every: Passed, damping: float) -> tuple[Tensor, Tensor]:
    """Wᵀ(p − y), the gradient in the last layer's input: its dot products [query, train], plain and whitened."""
    weight = last_layer.last_dense(task)[1].weight.detach().double()
    q, i, n = (passed.residual @ weight for passed in (asked, seen, every))
    return q @ i.T, q @ torch.linalg.solve(_spread(n, damping), i.T)


def _layer_kernels(
    layer: str, query: Tensor, train: Tensor, whole: Tensor, pulled: tuple[Tensor, Tensor], damping: float
) -> Named:
    yield f"kernel [{layer}]", pulled[0] * (query @ train.T)
    yield f"whitened kernel [{layer}]", pulled[1] * (query @ torch.linalg.solve(_spread(whole, damping), train.T))


def _spread(rows: Tensor, damping: float) -> Tensor:
    """The second moments of rows [n, d] with a share ``damping`` of their mean on the diagonal, to be invertible."""
    moments = rows.T @ rows / len(rows)
    ridge = max(damping, 1e-6) * float(moments.diagonal().mean())
    return moments + (ridge if ridge > 0 else 1.0) * torch.eye(len(moments), dtype=moments.dtype)


def _embedded(layer: str, query: Tensor, train: Tensor, whole: Tensor, seen: Passed, every: Passed) -> Named:
    yield f"cosine [{layer}]", cosine_similarity(query, train)
    yield f"dot [{layer}]", query @ train.T
    yield f"distance [{layer}]", euclidean_distance(query, train)
    classes, means = centroids(whole, every.labels)
    own = torch.searchsorted(classes, seen.labels).clamp(max=len(classes) - 1)
    yield f"distance to own centroid [{layer}]", (train - means[own]).norm(dim=1)
