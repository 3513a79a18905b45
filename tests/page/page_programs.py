"""Small models with their data, as `whence attribute` takes them: pictures, texts, plain features."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits, load_wine
from torch import Tensor, nn

import whence as wh

SCRIPT, IMAGE, FORMULA, LINK = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "=cmd()",
    '<a href="javascript:alert(1)">here</a>',
)
CLASSES = (f"dull <b>film</b> {IMAGE}", f"{FORMULA} {LINK}")
"""Names of the text classes, as somebody might choose them who means ill."""
GOOD, DULL = ["good", "lovely", "superb", "warm", "funny"], ["bad", "awful", "slow", "cold", "boring"]
PLAIN = ["the", "film", "was", "its", "plot", "and", "one", "actor", "in", "that", "scene", "with", "music", "of", "a"]
TEXTS, TEXT_QUERIES = 120, 24
PICTURES, PICTURE_QUERIES, FLIPPED = 200, 40, 10


def fitted(net: nn.Module, x: Tensor, y: Tensor, decay: float) -> nn.Module:
    """The net at an optimum of the mean cross-entropy with L2 on its weights."""
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=200, line_search_fn="strong_wolfe")
    weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y) + 0.5 * decay * sum(w.square().sum() for w in weights)
        loss.backward()
        return loss

    optimizer.step(closure)
    return net


def pictures() -> tuple[Any, Any, Any]:
    """Handwritten digits, 8 x 8, some with a wrong label; half of the queries are mistakes of a small network."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images = torch.from_numpy(data.images[order] / 16.0)[:, None]
    truth = torch.from_numpy(data.target[order])
    labels = truth[:PICTURES].clone()
    labels[:FLIPPED] = (labels[:FLIPPED] + 1) % 10
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Tanh(), nn.Linear(10, 10)).double()
    fitted(net, images[:PICTURES], labels, 0.02)
    rest = torch.arange(PICTURES, len(truth))
    with torch.no_grad():
        wrong = net(images[rest]).argmax(1) != truth[rest]
    half = PICTURE_QUERIES // 2
    asked = torch.cat([rest[wrong][:half], rest[~wrong][:half]])
    names = [str(digit) for digit in range(10)]
    train = wh.as_examples((images[:PICTURES], labels), ids=order[:PICTURES], classes=names)
    queries = wh.as_examples((images[asked], truth[asked]), ids=order[asked.numpy()], classes=names)
    return wh.Classification(net, weight_decay=0.02), train, queries


class Words(nn.Module):
    """Drops the last column, which holds the number of the row."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :-1]


def reviews() -> tuple[list[str], list[str], np.ndarray]:
    """Texts, their ids and their labels; the first few are hostile."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, TEXTS + TEXT_QUERIES)
    texts = []
    for label in labels:
        moods = (GOOD if label else DULL) if random.random() > 0.15 else (DULL if label else GOOD)
        texts.append(" ".join(random.permutation([*random.choice(PLAIN, 6), *random.choice(moods, 2)])))
    ids = [f"review {number}" for number in range(len(texts))]
    for number, hostile in enumerate((SCRIPT, IMAGE, FORMULA, LINK)):
        texts[number] = f"{hostile} {texts[number]}"
        ids[10 + number] = f"{hostile} {number}"
        texts[TEXTS + number] = f"{hostile} {texts[TEXTS + number]}"
    ids[14] = 'a,b "c"'
    ids[TEXTS + 1] = f"{IMAGE} {LINK}"
    texts[5] += " 日本語 ünïcode \U0001f600"
    return texts, ids, labels


def texts() -> tuple[Any, Any, Any]:
    """Short reviews, good or dull, by which words they hold."""
    rows, ids, labels = reviews()
    index = {word: column for column, word in enumerate([*GOOD, *DULL, *PLAIN])}
    x = np.zeros((len(rows), len(index) + 1))
    for number, row in enumerate(rows):
        x[number, -1] = number
        for word in row.split():
            if word in index:
                x[number, index[word]] += 1
    torch.manual_seed(0)
    net = nn.Sequential(Words(), nn.Linear(len(index), 6), nn.Tanh(), nn.Linear(6, 2)).double()
    inputs, targets = torch.from_numpy(x), torch.from_numpy(labels)
    fitted(net, inputs[:TEXTS], targets[:TEXTS], 0.01)

    def examples(part: slice) -> Any:
        named = {"ids": ids[part], "classes": CLASSES, "show": lambda row: rows[int(row[-1])]}
        return wh.as_examples((inputs[part], targets[part]), **named)

    return wh.Classification(net, weight_decay=0.01), examples(slice(0, TEXTS)), examples(slice(TEXTS, None))


def features() -> tuple[Any, Any, Any]:
    """Italian wines by 13 measurements; a few training labels are wrong."""
    data = load_wine()
    order = np.random.default_rng(0).permutation(len(data.target))
    mean, spread = data.data.mean(0), data.data.std(0)
    x = torch.from_numpy(((data.data - mean) / spread)[order])
    y = torch.from_numpy(data.target[order])
    y[:6] = (y[:6] + 1) % 3
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(13, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    fitted(net, x[:100], y[:100], 0.01)
    classes = ("Barolo", "Grignolino", "Barbera")

    def measured(row: Tensor) -> dict[str, float]:
        return dict(zip(data.feature_names, (row.numpy() * spread + mean).tolist(), strict=True))

    def examples(part: slice, first: int) -> Any:
        ids = np.arange(first, first + len(x[part]))
        return wh.as_examples((x[part], y[part]), ids=ids, classes=classes, show=measured)

    return wh.Classification(net, weight_decay=0.01), examples(slice(0, 100), 0), examples(slice(100, 140), 1000)
