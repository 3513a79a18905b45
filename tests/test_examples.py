"""The door for data: every accepted form gives the same rows with ids, every unfit one is refused with a remedy."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
    default_collate,
)

from whence.batch import Batch
from whence.examples import Examples, as_examples

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


class Rows(Dataset[Any]):
    """A map-style dataset whose rows have the form that ``shape`` gives them."""

    def __init__(self, shape: Callable[[int], Any]) -> None:
        self.shape = shape

    def __len__(self) -> int:
        return len(Y)

    def __getitem__(self, row: int) -> Any:
        return self.shape(row)


def tensors() -> TensorDataset:
    return TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))


def collate(rows: list[Any]) -> Any:
    x, y = default_collate(rows)
    return {"x": x, "answer": y}


def everything(examples: Examples) -> Batch:
    return examples.take(slice(None))


PLAIN = {
    "numpy": lambda: (X, Y),
    "a list of two arrays": lambda: [X, Y],
    "tensors": lambda: (torch.from_numpy(X), torch.from_numpy(Y)),
    "pandas": lambda: (pd.DataFrame(X, columns=["a", "b"], index=list("fedcba")), pd.Series(Y)),
    "read-only and big-endian": lambda: (np.frombuffer(X.astype(">f4").tobytes(), ">f4").reshape(6, 2), Y),
    "not contiguous": lambda: (np.asfortranarray(X), np.repeat(Y, 2)[::2]),
    "DataLoader": lambda: DataLoader(tensors(), batch_size=4),
    "shuffled DataLoader": lambda: DataLoader(tensors(), batch_size=4, shuffle=True),
    "dataset": tensors,
    "dataset of tuples": lambda: Rows(lambda row: (X[row], int(Y[row]))),
    "list of tuples": lambda: [(X[row], int(Y[row])) for row in range(6)],
}
NAMED = {
    "dict": lambda: {"x": X, "labels": Y},
    "dict with text for people": lambda: {"x": X, "labels": Y, "text": list("abcdef")},
    "pair of a dict and targets": lambda: ({"x": X}, Y),
    "dataset of dicts": lambda: Rows(lambda row: {"x": X[row], "y": int(Y[row])}),
    "dataset of dicts with text": lambda: Rows(lambda row: {"x": X[row], "y": int(Y[row]), "text": "seen"}),
    "list of dicts": lambda: [{"x": X[row], "label": int(Y[row])} for row in range(6)],
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", PLAIN)
def test_every_form_of_pairs_gives_the_same_rows(form: str) -> None:
    examples = as_examples(PLAIN[form]())
    batch = everything(examples)
    assert len(examples) == 6
    assert examples.ids.tolist() == list(range(6))
    assert isinstance(batch.inputs, torch.Tensor)
    assert torch.equal(batch.inputs, torch.from_numpy(X))
    assert torch.equal(batch.targets, torch.from_numpy(Y))
    assert torch.equal(examples.take(np.array([4, 1])).inputs, torch.from_numpy(X[[4, 1]]))


@pytest.mark.parametrize("form", NAMED)
def test_every_form_of_dicts_gives_the_same_columns(form: str) -> None:
    batch = everything(as_examples(NAMED[form]()))
    assert list(batch.inputs) == ["x"]
    assert torch.equal(batch.inputs["x"], torch.from_numpy(X))
    assert torch.equal(batch.targets, torch.from_numpy(Y))


def test_a_target_column_of_another_name() -> None:
    batch = everything(as_examples({"x": X, "answer": Y, "y": X[:, 0]}, target="answer"))
    assert sorted(batch.inputs) == ["x", "y"]
    assert torch.equal(batch.targets, torch.from_numpy(Y))
    loader = DataLoader(tensors(), batch_size=2, shuffle=True, collate_fn=collate)
    batch = everything(as_examples(loader, target="answer"))
    assert torch.equal(batch.inputs["x"], torch.from_numpy(X))
    assert torch.equal(batch.targets, torch.from_numpy(Y))


@pytest.mark.parametrize(
    "data",
    [
        (X, X[:, :1], Y),
        Rows(lambda row: (X[row], X[row, :1], Y[row])),
        Rows(lambda row: ((X[row], X[row, :1]), Y[row])),
        DataLoader(Rows(lambda row: (X[row], X[row, :1], Y[row])), shuffle=True),
    ],
    ids=["arrays", "dataset", "nested", "loader"],
)
def test_several_inputs(data: Any) -> None:
    batch = as_examples(data).take(slice(1, 4))
    assert isinstance(batch.inputs, tuple)
    assert [value.tolist() for value in batch.inputs] == [X[1:4].tolist(), X[1:4, :1].tolist()]
    assert batch.targets.tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    "ids",
    [
        [f"row {i}" for i in range(6)],
        np.array(list("abcdef")),
        pd.Series(list("abcdef")),
        range(10, 16),
        [np.int64(i) for i in range(10, 16)],
        torch.arange(10, 16),
        (str(i) for i in range(6)),
    ],
    ids=["list", "numpy", "pandas", "range", "numpy scalars", "tensor", "generator"],
)
def test_ids_of_ones_own(ids: Any) -> None:
    expected = ids if not isinstance(ids, Iterator) else list("012345")
    examples = as_examples((X, Y), ids=ids)
    assert examples.ids.dtype.kind in "iU"
    assert examples.ids.tolist() == [getattr(value, "item", lambda v=value: v)() for value in expected]
    last = examples.ids[5]
    assert examples.select([last]).take(slice(None)).inputs.tolist() == X[5:].tolist()


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 2, 2, 3, 3, 4], r"must be unique; repeated: \[2, 3\]"),
        (["a", "b", "c", "d", "e", None], "every example needs one"),
        (["a", "b", "c", "d", "e", ""], "every example needs one"),
        ([1, 2, 3, 4, 5, float("nan")], "every example needs one"),
        (pd.Series([1, 2, 3, 4, 5, None], dtype="Int64"), "every example needs one"),
        ([1, 2, 3], "3 ids for 6 examples: give one id an example"),
        (range(7), "give one id an example"),
        ([1, 2, 3, 4, 5, "6"], "all integers or all strings"),
        (np.arange(6.0), "all integers or all strings"),
        ([True, False, 2, 3, 4, 5], "all integers or all strings"),
        ([2**63, -1, 0, 1, 2, 3], "give larger ones as strings"),
    ],
)
def test_unfit_ids_are_refused(ids: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_examples((X, Y), ids=ids)
    with pytest.raises(ValueError, match=message):
        as_examples(as_examples((X, Y)), ids=ids)


class Stream(IterableDataset[Any]):
    def __len__(self) -> int:
        return 6

    def __iter__(self) -> Iterator[Any]:
        return iter(tensors())


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (lambda: DataLoader(Stream(), batch_size=2), TypeError, "map-style dataset"),
        (Stream, TypeError, "or a map-style dataset"),
        (lambda: DataLoader(tensors(), batch_size=None), TypeError, "give a dataset of examples"),
        (lambda: DataLoader(tensors(), sampler=SubsetRandomSampler([0, 1])), ValueError, r"Subset\(dataset, positions"),
        (lambda: (X, Y[:5]), ValueError, r"unequal length: \[5, 6\]; give one row an example"),
        (lambda: {"x": X, "z": X[:3], "y": Y}, ValueError, "give one row an example"),
        (lambda: {"x": X, "z": X}, ValueError, "name it with target="),
        (lambda: (X, Y.astype(str)), TypeError, "encode text and categories as numbers"),
        (lambda: {"x": X, "label": list("ababab")}, TypeError, "encode text and categories as numbers"),
        (lambda: (pd.DataFrame({"a": Y, "b": list("ababab")}), Y), TypeError, "encode text and categories"),
        (lambda: (X.tolist(), Y.tolist()), TypeError, r"np\.asarray\(X\)"),
        (lambda: (X,), TypeError, "give arrays or tensors"),
        (lambda: X, TypeError, r"ndarray: give \(X, y\)"),
        (lambda: pd.DataFrame(X), TypeError, r"DataFrame: give \(X, y\)"),
        (lambda: 3, TypeError, r"int: give \(X, y\)"),
    ],
)
def test_unfit_data_are_refused(data: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        as_examples(data())


def test_options_that_would_be_ignored_are_refused() -> None:
    with pytest.raises(ValueError, match="with the target last"):
        as_examples((X, Y), target="y")
    with pytest.raises(ValueError, match="leave target out"):
        as_examples(as_examples((X, Y)), target="y")
    with pytest.raises(ValueError, match="name it with target="):
        as_examples({"x": X, "y": Y}, target="z")


def test_rows_of_a_dataset_that_do_not_fit_are_refused_when_read() -> None:
    single = as_examples(Rows(lambda row: X[row]))
    with pytest.raises(ValueError, match=r"pair \(input, target\)"):
        single.take(slice(0, 2))
    dropping = as_examples(DataLoader(tensors(), collate_fn=lambda rows: default_collate(rows[1:])))
    with pytest.raises(ValueError, match="collating 3 examples gave 2 targets: let the collate function keep"):
        dropping.take(slice(0, 3))


def test_examples_pass_through_with_what_is_new() -> None:
    first = as_examples((X, Y), classes=["a", "b", "c"])
    again = as_examples(first)
    assert again.classes == ("a", "b", "c")
    assert again.ids.tolist() == first.ids.tolist()
    renamed = as_examples(first, ids=list("uvwxyz"), classes=["d", "e", "f"], show=str)
    assert renamed.ids.tolist() == list("uvwxyz")
    assert renamed.classes == ("d", "e", "f")
    assert renamed.show is str
    assert first.ids.tolist() == list(range(6))


@pytest.mark.parametrize(
    ("which", "rows"),
    [
        (slice(1, 4), [1, 2, 3]),
        (slice(None, None, -1), [5, 4, 3, 2, 1, 0]),
        ([4, 0], [4, 0]),
        ([0, 2, 1, 3], [0, 2, 1, 3]),
        (np.array([-1]), [5]),
        (3, [3]),
        (Y == 1, [1, 4]),
        (torch.from_numpy(Y == 1), [1, 4]),
        (np.zeros(6, bool), []),
        ([], []),
    ],
)
@pytest.mark.parametrize("source", ["arrays", "dataset"])
def test_parts_keep_their_ids(which: Any, rows: list[int], source: str) -> None:
    ids = np.array(list("abcdef"))
    part = as_examples((X, Y) if source == "arrays" else tensors(), ids=ids)[which]
    assert len(part) == len(rows)
    assert part.ids.tolist() == ids[rows].tolist()
    assert part.targets().tolist() == Y[rows].tolist()
    if rows:
        assert everything(part).inputs.tolist() == X[rows].tolist()
        assert part[::-1].select(part.ids).targets().tolist() == Y[rows].tolist()


@pytest.mark.parametrize("which", [[1, 1], [5, -1], [[0], [1]]])
def test_a_part_holds_each_example_once(which: Any) -> None:
    with pytest.raises(ValueError, match="give a row of positions, none twice"):
        as_examples((X, Y))[which]


def test_a_mask_has_one_entry_an_example() -> None:
    with pytest.raises(ValueError, match="give one True or False an example"):
        as_examples((X, Y))[np.ones(5, bool)]


def test_select() -> None:
    examples = as_examples((X, Y), ids=["a", "b", "c", "d", "e", "fg"])
    part = examples.select(["fg", "b"])
    assert part.ids.tolist() == ["fg", "b"]
    assert everything(part).inputs.tolist() == X[[5, 1]].tolist()
    assert examples.select("fg").ids.tolist() == ["fg"]
    assert examples.positions(part.ids).tolist() == [5, 1]
    assert len(examples.select([])) == 0
    with pytest.raises(KeyError, match=r"no example has the id \['z', 'y'\]; the ids here are strings, 'a', 'b', 'c'"):
        examples.select(["z", "a", "y"])
    with pytest.raises(ValueError, match="none twice"):
        examples.select(["a", "a"])
    with pytest.raises(KeyError, match="the ids here are integers, 0, 1"):
        as_examples((X, Y)).select(["0"])
    with pytest.raises(TypeError, match=r"write examples\[mask\]"):
        as_examples((X, Y)).select(Y == 1)


@pytest.mark.parametrize("count", [1, 2, 4, 6, 9])
def test_shards_partition_in_order(count: int) -> None:
    examples = as_examples((X, Y), ids=list("fedcba"))
    shards = examples.shards(count)
    assert len(shards) == min(count, 6)
    assert [identity for shard in shards for identity in shard.ids.tolist()] == list("fedcba")
    assert torch.equal(torch.cat([everything(shard).inputs for shard in shards]), torch.from_numpy(X))
    lengths = [len(shard) for shard in shards]
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) > 0


def test_no_shards_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="give 1 or more"):
        as_examples((X, Y)).shards(0)


def test_an_empty_selection() -> None:
    empty = as_examples((X, Y))[Y == 7]
    assert len(empty) == 0
    assert empty.shards(3) == []
    assert list(empty.batches(2)) == []
    assert everything(empty).inputs.shape == (0, 2)
    assert len(empty.targets()) == 0


def test_batches_cover_all_positions_in_order() -> None:
    examples = as_examples((X, Y))[::-1]
    seen = [(window.start, window.stop, batch.targets.tolist()) for window, batch in examples.batches(4)]
    assert seen == [(0, 4, [2, 1, 0, 2]), (4, 6, [1, 0])]


def test_a_batch_casts_floats_and_leaves_integers() -> None:
    batch = everything(as_examples({"x": X, "tokens": Y, "y": Y})).to(torch.float64, torch.device("cpu"))
    assert batch.inputs["x"].dtype == torch.float64
    assert batch.inputs["tokens"].dtype == batch.targets.dtype == torch.int64
    assert everything(as_examples((X, X))).to(torch.float64, torch.device("cpu")).targets.dtype == torch.float64


def test_tensors_lose_their_gradient_history() -> None:
    inputs = torch.from_numpy(X).requires_grad_()
    assert not everything(as_examples((inputs * 2, torch.from_numpy(Y)))).inputs.requires_grad
