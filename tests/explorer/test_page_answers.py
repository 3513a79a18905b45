"""What the page is told about a run: lookups and the top of a list, each against the obvious way to work it out."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_run import HOSTILE, Made, attributes, unpacked

from whence import files, results
from whence.explorer import stored


def test_about(client, made: Made) -> None:
    about = client.get("/api/about")
    assert about["title"] == HOSTILE[0]
    assert about["classes"] == made.classes
    assert about["counts"] == {"train": 300, "queries": 5}
    assert about["sprite"] == {
        "columns": 16,
        "tiles": 256,
        "tile": {"height": 6, "width": 5},
        "sides": ["train", "queries"],
    }
    (method,) = about["methods"]
    assert (method["name"], method["signed"], method["additive"], method["truths"]) == ("influence", True, True, [])
    assert about["problems"] == []
    assert about["default"] == {
        "query": int(made.query_loss.argmax()), "method": "influence", "map": "pca h1", "k": 12
    }  # fmt: skip
    assert about["run"]["kind"] == "attribute"


def test_columns(client, made: Made) -> None:
    train, queries = client.get("/api/train"), client.get("/api/queries")
    assert unpacked(train["id"]).tolist() == made.train_ids.tolist()
    assert unpacked(train["label"]).tolist() == made.label.tolist()
    np.testing.assert_array_equal(unpacked(train["self_influence"]), made.self_influence)
    assert train.keys() == {"id", "label", "prediction", "confidence", "loss", "self_influence", "disagreement"}
    np.testing.assert_array_equal(unpacked(queries["loss"]), made.query_loss.astype("f4"))
    assert "neighbours_label" not in train


def test_why_lists_the_strongest(client, made: Made) -> None:
    found = client.get("/api/why", query=2, method="influence", k=5)
    order = np.argsort(made.scores[2])
    assert [row["position"] for row in found["helpful"]] == order[::-1][:5].tolist()
    assert [row["position"] for row in found["harmful"]] == order[:5].tolist()
    first = found["helpful"][0]
    assert first["score"] == made.scores[2, order[-1]]
    assert first["id"] == int(made.train_ids[order[-1]])
    assert first["label"] == made.label[order[-1]]
    assert (first["actual"], first["truth"]) == (None, None)
    assert found["sides"] == ["helpful", "harmful"]
    assert found["query"]["id"] == 5002
    assert len(client.get("/api/why", query=2, method="influence")["helpful"]) == 12
    values = unpacked(client.get("/api/scores", query=2, method="influence")["values"])
    np.testing.assert_array_equal(values, made.scores[2].astype("f4"))


def test_a_positive_score_is_never_called_harmful(visit, made: Made) -> None:
    with made.opened() as run:
        run.save("positive", made.array(np.abs(made.scores)))
        run.save("cosine", made.array(np.abs(made.scores), sign=results.NEAR, quantity="cosine", unit="none"))
    client = visit(made.folder)
    found = client.get("/api/why", query=0, method="positive")
    assert (len(found["helpful"]), len(found["harmful"])) == (12, 0)
    found = client.get("/api/why", query=0, method="cosine")
    assert found["sides"] == ["largest", "smallest"]
    assert len(found["harmful"]) == 12
    assert "alike" in found["trust"]["words"]
    methods = {method["name"]: method for method in client.get("/api/about")["methods"]}
    assert (methods["cosine"]["signed"], methods["cosine"]["additive"]) == (False, False)
    # Those that state a change of the loss come first.
    assert [*methods] == ["influence", "positive", "cosine"]


@pytest.mark.parametrize("order", ["C", "F"])
def test_results_are_aligned_by_id(visit, made: Made, order: str) -> None:
    turned = made.array().isel(train=slice(None, None, -1), query=[3, 0])
    turned = turned.copy(data=np.asarray(turned.values, order=order))
    with made.opened() as run:
        run.save("turned", turned)
        run.save("part", made.array().isel(train=slice(10, 20)))
    client = visit(made.folder)
    values = unpacked(client.get("/api/scores", query=3, method="turned")["values"])
    np.testing.assert_array_equal(values, made.scores[3].astype("f4"))
    assert np.isnan(unpacked(client.get("/api/scores", query=1, method="turned")["values"])).all()
    found = client.get("/api/why", query=1, method="turned")
    assert (found["helpful"], found["harmful"]) == ([], [])
    assert "was not computed for this query" in found["trust"]["words"]
    values = unpacked(client.get("/api/scores", query=1, method="part")["values"])
    np.testing.assert_array_equal(values[10:20], made.scores[1, 10:20].astype("f4"))
    assert np.isnan(values).sum() == 290
    found = client.get("/api/why", query=1, method="part")
    assert found["unscored"] == 290
    assert "290 training examples have no score" in found["trust"]["words"]
    assert {row["position"] for row in found["helpful"] + found["harmful"]} == set(range(10, 20))


@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_and_sums_of_a_stored_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    matrix = np.asarray(np.random.default_rng(0).normal(size=(7, 40)), order=order)
    np.save(tmp_path / "m.npy", matrix)
    monkeypatch.setattr(stored, "AT_ONCE", 200)
    columns = np.array([3, 0, 39, 20])
    np.testing.assert_array_equal(stored.row(tmp_path / "m.npy", 4), matrix[4])
    np.testing.assert_allclose(stored.sums(tmp_path / "m.npy", columns), matrix[:, columns].sum(1))
    np.save(tmp_path / "member.npy", np.eye(5, 40, k=2, dtype=bool))
    found = stored.single(tmp_path / "member.npy")
    assert found is not None
    assert found.tolist() == [2, 3, 4, 5, 6]
    np.save(tmp_path / "member.npy", np.ones((5, 40), dtype=bool))
    assert stored.single(tmp_path / "member.npy") is None


def test_what_refits_found(visit, made: Made) -> None:
    alone = made.truth([[7], [3], [9]])
    with made.opened() as run:
        run.save("alone", alone)
        run.save("group", made.truth([[1, 2], [4, 5]]))
        run.save("other", made.truth([[1]], checkpoint="another"))
    client = visit(made.folder)
    about = client.get("/api/about")
    assert about["methods"][0]["truths"] == ["alone"]
    assert {truth["name"]: truth["alone"] for truth in about["truths"]} == {
        "alone": True, "group": False, "other": True
    }  # fmt: skip
    found = client.get("/api/actual", query=1, truth="alone")
    assert unpacked(found["positions"]).tolist() == [7, 3, 9]
    np.testing.assert_allclose(unpacked(found["effect"]), alone["effect"].values[:, 1].mean(1), rtol=1e-6)
    assert found["sample"] is None
    assert "choose one of: alone, other" in client.get("/api/actual", 404, query=1, truth="group")["error"]
    strongest = int(np.argmax(made.scores[1]))
    with made.opened() as run:
        run.save("alone", made.truth([[strongest]]))
    (first, *_), words = (client.get("/api/why", query=1, method="influence")[key] for key in ("helpful", "trust"))
    assert first["truth"] == "alone"
    assert first["actual"] is not None
    assert "1 refit stands beside it" in words["words"]


def test_samples_of_a_truth(visit, made: Made) -> None:
    truth = made.truth([[7], [3], [9]])
    chosen = np.zeros((2, 5, 3), dtype=bool)
    chosen[0, :, 0] = chosen[1, :, 2] = True
    truth = truth.assign(chosen=(("sample", "query", "removed"), chosen)).assign_coords(sample=["top", "random"])
    with made.opened() as run:
        run.save("alone", truth)
    assert visit(made.folder).get("/api/actual", query=0, truth="alone")["sample"] == ["top", None, "random"]


def test_maps_and_suspicious_labels(client, made: Made) -> None:
    found = client.get("/api/map", name="pca h1")
    np.testing.assert_array_equal(unpacked(found["train"]["y"]), made.places[:, 1])
    np.testing.assert_array_equal(unpacked(found["queries"]["x"]), made.query_places[:, 0])
    found = client.get("/api/suspicious", by="self_influence", k=3, offset=1)
    order = np.argsort(-made.self_influence, kind="stable")
    assert [row["position"] for row in found["rows"]] == order[1:4].tolist()
    assert found["total"] == 300
    by_loss = np.argsort(-made.loss.astype("f4"), kind="stable").tolist()
    for rank, row in enumerate(found["rows"], 2):
        assert row["ranks"]["self_influence"] == rank
        assert row["ranks"]["loss"] == by_loss.index(row["position"]) + 1


def test_sprites(client, made: Made) -> None:
    answer = client.http.get("/sprite", params={"side": "train", "sheet": 1})
    sheet = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert sheet.shape == (16 * 6, 16 * 5)
    np.testing.assert_array_equal(sheet[6:12, 10:15], made.pictures[256 + 16 + 2])
    tag = answer.headers["etag"]
    again = client.http.get("/sprite", params={"side": "train", "sheet": 1}, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/api/rows", side="train", positions="257")["rows"][0]["picture"] == {"sheet": 1, "tile": 1}


@pytest.mark.parametrize("kind", ["text", "features"])
def test_rows_without_pictures(visit, tmp_path: Path, kind: str) -> None:
    client = visit(Made(tmp_path / "run", kind=kind).write())
    assert client.get("/api/about")["sprite"] is None
    row, other = client.get("/api/rows", side="train", positions="0,1")["rows"]
    if kind == "text":
        assert (row["text"], other["features"]) == (f"{HOSTILE[0]} text 0", None)
    else:
        assert row["features"] == {"length": 0.0, HOSTILE[0]: None}
        assert other["features"] == {"length": 2.0, HOSTILE[0]: 3.0}
    client.get("/sprite", 404, side="train", sheet=0)


def test_joint_effects_are_sums(client, made: Made) -> None:
    found = client.post("/api/joint", {"positions": [5, 1, 299], "method": "influence"})
    np.testing.assert_allclose(unpacked(found["change"]), made.scores[:, [5, 1, 299]].sum(1), rtol=1e-5)
    assert (found["unit"], found["quantity"]) == ("nats", "change in loss")


def test_joint_effects_that_mean_nothing_are_refused(visit, made: Made) -> None:
    with made.opened() as run:
        run.save("cosine", made.array(sign=results.NEAR, quantity="cosine", unit="none"))
        run.save("part", made.array().isel(train=slice(0, 10)))
    client = visit(made.folder)
    assert "add up" in client.post("/api/joint", {"positions": [1], "method": "cosine"}, 400)["error"]
    words = client.post("/api/joint", {"positions": [1, 20], "method": "part"}, 400)["error"]
    assert "no score for 1 of these" in words


def test_a_run_without_an_exhibit_is_shown_by_its_scores(visit, tmp_path: Path) -> None:
    made = Made(tmp_path / "run", exhibit=False)
    client = visit(made.write())
    about = client.get("/api/about")
    assert about["kind"] == "none"
    assert any("no exhibit" in problem for problem in about["problems"])
    assert unpacked(client.get("/api/train")["label"]).tolist() == made.label.tolist()
    np.testing.assert_allclose(unpacked(client.get("/api/queries")["loss"]), made.query_loss, rtol=1e-6)
    assert client.get("/api/why", query=0, method="influence")["helpful"]


def test_results_that_come_and_go_are_noticed(client, made: Made) -> None:
    assert client.get("/api/about")["truths"] == []
    with made.opened() as run:
        run.save("refit-1", made.truth([[1, 2]]))
        run.save("second", made.array())
    about = client.get("/api/about")
    assert [truth["name"] for truth in about["truths"]] == ["refit-1"]
    assert [method["label"] for method in about["methods"]] == ["influence (influence)", "influence (second)"]
    shutil.rmtree(made.folder / "results" / "second")
    assert len(client.get("/api/about")["methods"]) == 1
    client.get("/api/why", 404, query=0, method="second")


def test_refits_that_scores_carry_are_shown(visit, made: Made) -> None:
    scores = made.array()
    truth = made.truth([[1], [2]], effect=np.arange(10.0).reshape(2, 5, 1), damping=0.1)
    actual, chosen = np.full(scores.shape, np.nan), np.zeros(scores.shape, dtype=bool)
    actual[:, 1], actual[:, 2], chosen[:, 1:3] = np.arange(5.0), np.arange(5.0, 10.0), True
    coords = {"actual": (("query", "train"), actual), "verified": (("query", "train"), chosen)}
    coords["train_refit_converged"] = ("train", chosen[0])
    coords |= {f"train_refit_{name}": ("train", actual[0]) for name in ("gradient_norm", "evaluations", "distance")}
    about = {"k": 2, "comparison": "both are the change in loss in nats", "truth": dict(truth.attrs)}
    with made.opened() as run:
        run.save("influence", scores.assign_coords(coords).assign_attrs(verification=about))
    client = visit(made.folder)
    assert client.get("/api/about")["methods"][0]["truths"] == ["influence verified"]
    found = client.get("/api/actual", query=3, truth="influence verified")
    assert unpacked(found["positions"]).tolist() == [1, 2]
    assert unpacked(found["effect"]).tolist() == [3.0, 8.0]


@pytest.mark.parametrize(
    ("attrs", "words"),
    [
        ({}, "settled, and gives an estimate of how the model would move if it stayed near"),
        ({"solver": results.solver_report("cg", False, 0.3, 9)}, "did NOT settle (relative residual 0.3)"),
        ({"solver": results.solver_report()}, "solves no equations"),
        ({"quantity": "gradient dot product", "unit": "x"}, "only their order means something"),
    ],
)
def test_trust_in_words(visit, made: Made, attrs: dict, words: str) -> None:
    with made.opened() as run:
        run.save("influence", made.array(**attrs))
    trust = visit(made.folder).get("/api/why", query=0, method="influence")["trust"]
    assert words in trust["words"]
    assert "verify before you act" in trust["words"] or "no refit can be laid beside" in trust["words"]


@pytest.mark.parametrize(
    ("low", "words"), [(0.95, "almost exactly as"), (0.75, "much as"), (0.5, "only roughly as"), (-0.2, "NOT reliably")]
)
def test_trust_by_refits(visit, made: Made, low: float, words: str) -> None:
    row = {"scores": "influence", "truth": "alone", "sample": "random", "query": 5001, "n": 3, "proof": ""}
    row |= {"pearson": 0.97, "pearson_low": low, "pearson_high": 0.99, "spearman": 0.9}
    files.write_json(made.folder / "exhibit" / "about.json", {**made.about, "agreement": [row]})
    with made.opened() as run:
        run.save("alone", made.truth([[7], [3], [9]]))
    client = visit(made.folder)
    trust = client.get("/api/why", query=1, method="influence")["trust"]
    assert words in trust["words"]
    assert "3 random refits" in trust["words"]
    assert trust["agreement"] == [
        {"truth": "alone", "sample": "random", "n": 3, "pearson": 0.97, "low": low, "high": 0.99, "spearman": 0.9}
    ]
    other = client.get("/api/why", query=0, method="influence")["trust"]
    assert other["agreement"] == []
    assert "3 refits stand beside it" in other["words"]


def test_attributes_of_any_type_are_shown_as_far_as_they_go(visit, made: Made) -> None:
    strange = attributes(method=["x"], damping="much", notes=7, unit={"a": 1})
    with made.opened() as run:
        run.save("strange", made.array(**strange))
    client = visit(made.folder)
    method = next(one for one in client.get("/api/about")["methods"] if one["name"] == "strange")
    assert (method["method"], method["damping"], method["unit"], method["notes"]) == ("", None, "", {})
    assert client.get("/api/why", query=0, method="strange")["helpful"]
