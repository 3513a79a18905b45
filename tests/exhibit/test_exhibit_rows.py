"""Rows as a person sees them: pictures, texts and features, whatever the data are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_up import Given, images, texts, vectors

import whence as wh
from whence.display import Shown
from whence.examples import as_examples
from whence.exhibit import pictures, rows


@pytest.mark.parametrize("shape", [(1, 5, 4), (5, 4), (3, 5, 4)])
def test_images_keep_their_shape_and_the_range_of_the_training_set(shown, shape: tuple[int, ...]) -> None:
    given = images(shape=shape)
    found = shown(given)
    assert found.problems == []
    assert found.about["kind"] == "image"
    assert found.about["picture"] == {"height": 5, "width": 4, "channels": 3 if shape[0] == 3 else 1}
    inputs = given.train.take(slice(None)).inputs.numpy()
    expected = inputs.reshape(30, 5, 4) if shape[0] != 3 else np.moveaxis(inputs, 1, -1)
    expected = np.rint((expected - inputs.min()) / (inputs.max() - inputs.min()) * 255)
    np.testing.assert_array_equal(found.pictures("train"), expected)
    assert found.pictures("queries").shape == (6, *expected.shape[1:])
    assert found.pictures("queries").dtype == np.uint8


def test_the_quick_path_and_the_slow_one_agree(shown) -> None:
    quick = shown(images(shape=(3, 5, 4)))
    slow = shown(images(shape=(3, 5, 4), show=lambda row: np.moveaxis(row.numpy(), 0, -1)))
    np.testing.assert_array_equal(quick.pictures("train"), slow.pictures("train"))
    np.testing.assert_array_equal(quick.pictures("queries"), slow.pictures("queries"))


def test_large_pictures_are_made_smaller_and_that_is_said(shown) -> None:
    found = shown(images(count=4, shape=(1, 200, 100)))
    assert found.pictures("train").shape == (4, 96, 48)
    assert "Pictures are shown smaller than they are." in found.about["notes"]
    # noise is averaged, not sampled
    assert found.pictures("train").std() < 0.7 * 255 / np.sqrt(12)


def test_pictures_of_several_sizes_and_colours_share_one_frame(shown) -> None:
    def show(row: torch.Tensor) -> np.ndarray:
        wide = bool(row[0] > 0)
        return np.full((4, 8, 3) if wide else (6, 2), 200, dtype=np.uint8)

    given = vectors(show=show)
    found = shown(given)
    wide = given.train.take(slice(None)).inputs[:, 0].numpy() > 0
    assert found.pictures("train").shape == (30, 6, 8, 3)
    assert (found.pictures("train")[wide][:, 1:5] == 200).all()
    assert (found.pictures("train")[wide][:, [0, 5]] == 0).all()
    assert (found.pictures("train")[~wide][:, :, 3:5] == 200).all()
    assert (found.pictures("train")[~wide][:, :, [0, 1, 2, 5, 6, 7]] == 0).all()


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (np.zeros((1, 3, 5)), (3, 5)),
        (np.zeros((3, 5, 1)), (3, 5)),
        (np.zeros((3, 4, 5)), (4, 5, 3)),
        (np.zeros((5, 6, 4)), (5, 6, 3)),
        (np.zeros((2, 3), dtype=bool), (2, 3)),
    ],
)
def test_forms_of_pictures(picture: np.ndarray, expected: tuple[int, ...]) -> None:
    assert pictures.plain(picture).shape == expected


@pytest.mark.parametrize("picture", [np.zeros(3), np.zeros((2, 2, 7)), np.zeros((0, 3)), np.array([["a"]]), None])
def test_what_is_no_picture_is_refused(picture: object) -> None:
    with pytest.raises(pictures.PictureError, match="give \\[height, width\\]"):
        pictures.plain(picture)


def test_values_that_are_not_finite_are_black(shown) -> None:
    def show(row: torch.Tensor) -> np.ndarray:
        return np.array([[float(row[0]), np.nan], [0.0, 1.0]])

    assert (shown(vectors(show=show)).pictures("train")[:, 0, 1] == 0).all()


def test_true_and_false_are_white_and_black(shown) -> None:
    module = torch.nn.Sequential(torch.nn.Flatten(), Cast(), torch.nn.Linear(16, 2).double())
    x, y = torch.rand(12, 4, 4) > 0.5, torch.arange(12) % 2
    found = shown(Given(wh.Classification(module), as_examples((x[:8], y[:8])), as_examples((x[8:], y[8:]))))
    np.testing.assert_array_equal(found.pictures("train"), x[:8].numpy() * 255)


class Cast(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.double()


def test_texts_come_back_letter_by_letter(shown) -> None:
    words = ["", "plain", "line\nend \0 tab\t", "</script><b onerror=x>", "=cmd()", "日本語 é \U0001f600", "x" * 10_000]

    def show(row: torch.Tensor) -> str:
        return words[int(row[0] * 1000) % len(words)]

    given = vectors(show=show)
    found = shown(given)
    assert found.about["kind"] == "text"
    for side, examples in (("train", given.train), ("queries", given.queries)):
        for position in range(len(examples)):
            assert found.text(side, position) == show(examples.take(slice(None)).inputs[position])
    assert found.pictures("train") is None
    assert found.features("train", 0) is None


def test_letters_that_are_no_unicode_are_replaced(shown) -> None:
    assert shown(vectors(show=lambda row: "a\udc80b")).text("train", 0) == "a?b"


@pytest.mark.parametrize("position", [-1, 30])
def test_a_row_past_the_last_is_an_index_error(shown, position: int) -> None:
    with pytest.raises(IndexError, match="there are 30"):
        shown(texts()).text("train", position)
    with pytest.raises(IndexError, match="there are 30"):
        shown(vectors()).features("train", position)


def test_features_by_form_and_by_show_agree(shown) -> None:
    def show(row: torch.Tensor) -> dict[str, float]:
        return {f"x{place}": float(value) for place, value in enumerate(row)}

    given = vectors()
    by_form, by_show = shown(given), shown(vectors(show=show))
    values = given.train.take(slice(None)).inputs[7].float().tolist()
    assert by_form.features("train", 7) == dict(zip(["x0", "x1", "x2", "x3"], values, strict=True))
    assert by_show.features("train", 7) == by_form.features("train", 7)
    assert by_form.about["notes"] == []


def test_at_most_64_features_are_kept_and_that_is_said(shown) -> None:
    found = shown(vectors(width=100))
    assert list(found.features("queries", 0)) == [f"x{place}" for place in range(64)]
    assert found.about["notes"] == ["Of 100 features the first 64 are shown."]


def test_a_feature_that_a_row_lacks_is_nan(shown) -> None:
    found = shown(vectors(show=lambda row: {"a": 1.0} | ({"b": [1, 2]} if row[0] > 0 else {})))
    first, *_ = (found.features("train", position) for position in range(30))
    assert set(first) in ({"a"}, {"a", "b 0", "b 1"})
    lacking = vectors(show=lambda row: {"a": 1.0, "b": 2.0} if row[0] > 0 else {"a": 1.0})
    positive = lacking.train.take(slice(None)).inputs[:, 0].numpy() > 0
    order = np.argsort(~positive, kind="stable")
    again = shown(Given(lacking.task, lacking.train[order], lacking.queries))
    assert np.isnan(again.features("train", 29)["b"])


def test_a_table_with_words_is_shown_as_text(shown) -> None:
    found = shown(vectors(show=lambda row: {"colour": "red", "size": round(float(row[0]), 1)}))
    assert found.about["kind"] == "text"
    assert found.text("train", 0).startswith("colour: red\nsize: ")


def test_inputs_of_several_tensors_are_features(shown) -> None:
    class Both(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.out = torch.nn.Linear(2, 3).double(), torch.nn.Linear(3, 2).double()

        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return self.out(self.one(left).tanh() + right)

    x = {"left": torch.rand(20, 2).double(), "right": torch.rand(20, 1).double(), "y": torch.arange(20) % 2}
    every = as_examples(x)
    found = shown(Given(wh.Classification(Both()), every[:14], every[14:]), layers=None)
    assert found.problems == []
    assert list(found.features("train", 0)) == ["left 0", "left 1", "right 0"]
    assert [one["layer"] for one in found.about["maps"]] == ["one", "one"]


def test_rows_that_cannot_be_shown_are_blank_and_counted(shown) -> None:
    def show(row: torch.Tensor) -> str:
        if row[0] < 0:
            raise RuntimeError("no such file")
        return "fine"

    given = vectors(show=show)
    order = np.argsort(-given.train.take(slice(None)).inputs[:, 0].numpy(), kind="stable")
    given = Given(given.task, given.train[order], given.queries)
    found = shown(given)
    bad = int((given.train.take(slice(None)).inputs[:, 0] < 0).sum())
    assert any(note.startswith(f"{bad} rows of train cannot be shown") for note in found.about["notes"])
    assert (found.text("train", 0), found.text("train", 29)) == ("fine", "")


@pytest.mark.parametrize("answer", [None, 3, Shown("image", np.zeros(3)), Shown("image", "no array")])
def test_data_that_cannot_be_shown_at_all_leave_the_rest(shown, answer: object) -> None:
    found = shown(vectors(show=lambda row: answer))
    assert found.about["kind"] == "none"
    assert found.about["notes"][0].startswith("The rows are not shown: ")
    assert found.problems == []
    assert len(found.columns("train")["loss"]) == 30


@pytest.mark.parametrize(("kind", "given"), [("image", images()), ("text", texts()), ("features", vectors())])
def test_reading_many_rows_does_not_depend_on_batches(kind: str, given: Given, monkeypatch) -> None:
    manner = rows.manner_of(given.train)
    assert manner.kind == kind
    whole = rows.rows_of(given.train, manner)
    monkeypatch.setattr(rows, "BATCH", 7)
    for name, array in rows.rows_of(given.train, manner).items():
        np.testing.assert_array_equal(array, whole[name])
