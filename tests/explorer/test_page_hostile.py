"""Run folders and requests that mean harm, or were merely cut off: a plain message, and the rest of the page works."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_run import HOSTILE, Made, unpacked

from whence.explorer import holdings
from whence.explorer.packed import text

GETS = {
    "/api/about": {},
    "/api/queries": {},
    "/api/train": {},
    "/api/why": {"query": "0", "method": "influence", "k": "3"},
    "/api/scores": {"query": "0", "method": "influence"},
    "/api/actual": {"query": "0", "truth": "alone"},
    "/api/map": {"name": "pca h1"},
    "/api/suspicious": {"by": "loss", "k": "5", "offset": "0"},
    "/api/rows": {"side": "train", "positions": "0,1"},
    "/sprite": {"side": "train", "sheet": "0"},
    "/api/flags": {},
    "/api/flags.csv": {},
    "/api/verify": {"job": "x"},
    "/api/report": {"queries": "0", "methods": "influence"},
}
WRONG = [
    "..",
    "../../etc/passwd",
    "",
    "-1",
    "999999999999999999999",
    "1e3",
    "0x1",
    "１",
    "1_0",
    "nan",
    HOSTILE[0],
    "\x00",
]


@pytest.fixture
def full(visit, made: Made):
    with made.opened() as run:
        run.save("alone", made.truth([[7], [3]]))
    return visit(made.folder)


def cases() -> list[tuple[str, str]]:
    return [(path, name) for path, parameters in GETS.items() for name in [*parameters, "unknown"]]


@pytest.mark.parametrize(("path", "name"), cases())
def test_wrong_parameters_are_refused_in_words(full, path: str, name: str) -> None:
    for value in WRONG:
        answer = full.http.get(path, params={**GETS[path], name: value})
        assert answer.status_code in (400, 404), (path, name, value)
        words = answer.json()["error"]
        assert len(words) < 400
        assert "Traceback" not in words
    twice = full.http.get(path, params=[*GETS[path].items(), (name, "0"), (name, "0")])
    assert twice.status_code in (400, 404)
    assert full.http.get("/api/about").status_code == 200


@pytest.mark.parametrize("path", [path for path, parameters in GETS.items() if {"query", "method"} & parameters.keys()])
def test_missing_parameters_are_named(full, path: str) -> None:
    for name in GETS[path].keys() - {"k", "offset"}:
        given = {key: value for key, value in GETS[path].items() if key != name}
        assert f"the parameter {name} is missing" in full.get(path, 400, **given)["error"]


def test_right_parameters_are_answered(full) -> None:
    for path, parameters in GETS.items():
        expected = 404 if path == "/api/verify" else 200
        assert full.http.get(path, params=parameters).status_code == expected, path


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/joint", {}),
        ("/api/joint", {"positions": [], "method": "influence"}),
        ("/api/joint", {"positions": [300], "method": "influence"}),
        ("/api/joint", {"positions": [-1], "method": "influence"}),
        ("/api/joint", {"positions": [True], "method": "influence"}),
        ("/api/joint", {"positions": [1, 1], "method": "influence"}),
        ("/api/joint", {"positions": ["../.."], "method": "influence"}),
        ("/api/joint", {"positions": [1], "method": "../influence"}),
        ("/api/joint", {"positions": [1], "method": ["influence"]}),
        ("/api/verify", {"positions": "1"}),
        ("/api/verify", {"positions": [1.5]}),
        ("/api/cancel", {"job": "../x"}),
        ("/api/cancel", {}),
        ("/api/flags", {"position": 300, "flag": True}),
        ("/api/flags", {"position": "0", "flag": True}),
        ("/api/flags", {"position": 0, "flag": "yes"}),
        ("/api/flags", {"position": 0, "label": 3}),
        ("/api/flags", {"position": 0, "label": "../cat"}),
        ("/api/flags", {"position": 0, "note": "x" * 2001}),
        ("/api/flags", {"position": 0, "note": 7}),
        ("/api/flags", [1]),
        ("/api/flags", "x"),
    ],
)
def test_wrong_bodies_are_refused_in_words(full, path: str, body: object, made: Made) -> None:
    headers = {"X-Whence-Token": full.served.token}
    answer = full.http.post(path, json=body, headers=headers)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]
    assert not (made.folder / "flags.jsonl").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"position": 1e999}'])
def test_bodies_that_are_no_json(full, content: bytes) -> None:
    headers = {"X-Whence-Token": full.served.token, "Content-Type": "application/json"}
    assert full.http.post("/api/flags", content=content, headers=headers).status_code == 400


def spoil(folder: Path, how: str) -> None:
    score = folder / "results" / "spoilt" / "score.npy"
    header = folder / "results" / "spoilt" / "result.json"
    if how == "missing":
        score.unlink()
    elif how == "truncated":
        os.truncate(score, score.stat().st_size // 2)
    elif how == "altered":
        with score.open("r+b") as file:
            file.seek(-8, os.SEEK_END)
            file.write(b"\1" * 8)
    elif how == "no header":
        header.unlink()
    elif how == "empty header":
        header.write_text("")
    elif how == "deep header":
        header.write_text("[" * 100_000)
    elif how == "nan header":
        header.write_text(header.read_text().replace('"damping": 0.1', '"damping": NaN'))
    elif how == "no attributes":
        header.write_text(json.dumps({**json.loads(header.read_text()), "attrs": {}}))
    elif how == "other file":
        record = json.loads(header.read_text())
        record["variables"]["score"]["file"] = "../../../secret.npy"
        header.write_text(json.dumps(record))
    elif how == "only a file":
        shutil.rmtree(folder / "results" / "spoilt")
        (folder / "results" / "spoilt").write_text("")
    elif how == "empty folder":
        shutil.rmtree(folder / "results" / "spoilt")
        (folder / "results" / "spoilt").mkdir()


SPOILT = ["missing", "truncated", "altered", "no header", "empty header", "deep header", "no attributes", "other file"]


@pytest.mark.parametrize("how", [*SPOILT, "empty folder"])
@pytest.mark.parametrize("late", [False, True])
def test_a_spoilt_result_is_named_and_the_rest_works(visit, made: Made, how: str, late: bool) -> None:
    with made.opened() as run:
        run.save("spoilt", made.array())
    if not late:
        spoil(made.folder, how)
    client = visit(made.folder)
    if late:
        spoil(made.folder, how)
        header = made.folder / "results" / "spoilt" / "result.json"
        if header.exists():
            os.utime(header)
    about = client.get("/api/about")
    assert [method["name"] for method in about["methods"]] == ["influence"]
    (problem,) = about["problems"]
    assert problem.startswith("spoilt cannot be shown: ")
    assert problem.endswith("Compute it again, or copy it anew.")
    assert client.get("/api/why", query=0, method="influence")["helpful"]
    client.get("/api/why", 404, query=0, method="spoilt")


@pytest.mark.parametrize("how", ["missing", "truncated", "altered"])
def test_a_large_result_is_proved_when_it_is_first_used(
    visit, made: Made, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with made.opened() as run:
        run.save("spoilt", made.array())
    monkeypatch.setattr(holdings, "PROVED_AT_ONCE", 5000)
    client = visit(made.folder)
    spoil(made.folder, how)
    assert "spoilt cannot be shown" in client.get("/api/why", 410, query=0, method="spoilt")["error"]
    assert "spoilt cannot be shown" in client.problems[0]
    assert client.get("/api/why", query=0, method="influence")["helpful"]


def test_a_file_that_goes_while_it_is_used(client, made: Made) -> None:
    client.get("/api/scores", query=0, method="influence")
    (made.folder / "results" / "influence" / "score.npy").unlink()
    assert "is missing" in client.get("/api/scores", 410, query=0, method="influence")["error"]
    assert client.get("/api/about")["methods"] == []
    assert client.http.get("/").status_code == 200


def test_numbers_that_are_no_json_are_left_out(visit, made: Made) -> None:
    with made.opened() as run:
        run.save("spoilt", made.array())
    spoil(made.folder, "nan header")
    about = visit(made.folder).get("/api/about")
    assert [method["damping"] for method in about["methods"]] == [0.1, None]


@pytest.mark.parametrize("piece", ["train", "queries", "train pictures", "columns", "map pca h1"])
@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_a_spoilt_piece_of_the_exhibit(visit, made: Made, piece: str, how: str) -> None:
    lines = (made.folder / "exhibit" / "manifest.jsonl").read_text().splitlines()
    record = next(entry for line in lines if (entry := json.loads(line))["key"] == piece)
    for array in record["arrays"].values():
        place = made.folder / "exhibit" / array["file"]
        if how == "missing":
            place.unlink()
        else:
            os.truncate(place, 100)
    client = visit(made.folder)
    about = client.get("/api/about")
    assert any(piece in problem for problem in about["problems"])
    assert client.get("/api/why", query=0, method="influence")["helpful"]
    for path in ("/api/train", "/api/queries", "/api/rows?side=train&positions=0"):
        assert client.http.get(path).status_code == 200
    if piece == "train pictures":
        assert "no pictures" in client.get("/sprite", 404, side="train", sheet=0)["error"]
        assert client.http.get("/sprite?side=queries&sheet=0").status_code == 200


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": "whence-exhibit"}', '{"format": "whence-exhibit", "schema": 1}']
)
def test_a_spoilt_record_of_the_exhibit(visit, made: Made, content: str) -> None:
    (made.folder / "exhibit" / "about.json").write_text(content)
    client = visit(made.folder)
    assert client.problems
    assert client.get("/api/why", query=0, method="influence")["helpful"]
    assert client.http.get("/").status_code == 200


def test_scores_that_are_no_numbers(visit, made: Made) -> None:
    made.scores[0, :10] = np.nan
    made.scores[0, 10:15] = [np.inf, -np.inf, np.inf, -np.inf, np.inf]
    with made.opened() as run:
        run.save("influence", made.array())
        run.save("nothing", made.array(np.full_like(made.scores, np.nan)))
    client = visit(made.folder)
    found = client.get("/api/why", query=0, method="influence", k=200)
    assert not {row["position"] for row in found["helpful"] + found["harmful"]} & set(range(15))
    assert found["unscored"] == 15
    assert "15 training examples have no score here" in found["trust"]["words"]
    assert np.isnan(unpacked(client.get("/api/scores", query=0, method="influence")["values"])[:15]).all()
    joint = client.post("/api/joint", {"positions": [0, 20], "method": "influence"})
    assert np.isnan(unpacked(joint["change"])).tolist() == [True, False, False, False, False]
    found = client.get("/api/why", query=0, method="nothing")
    assert (found["helpful"], found["harmful"], found["unscored"]) == ([], [], 300)


def test_zero_queries(visit, tmp_path: Path) -> None:
    client = visit(Made(tmp_path / "run", queries=0).write())
    about = client.get("/api/about")
    assert about["counts"]["queries"] == 0
    assert about["default"]["query"] is None
    assert unpacked(client.get("/api/queries")["id"]).tolist() == []
    assert "holds no examples" in client.get("/api/why", 404, query=0, method="influence")["error"]
    assert "holds no examples" in client.get("/api/rows", 404, side="queries", positions="0")["error"]
    assert client.get("/api/map", name="pca h1")["queries"] == {"x": {"f32": ""}, "y": {"f32": ""}}
    assert client.get("/api/suspicious", by="loss")["total"] == 300
    change = client.post("/api/joint", {"positions": [1], "method": "influence"})["change"]
    assert unpacked(change).tolist() == []
    client.get("/sprite", 404, side="queries", sheet=0)
    assert client.http.get("/").status_code == 200


def test_one_class_and_one_example(visit, tmp_path: Path) -> None:
    client = visit(Made(tmp_path / "run", train=1, queries=1, classes=["only"]).write())
    found = client.get("/api/why", query=0, method="influence")
    assert len(found["helpful"] + found["harmful"]) == 1
    assert client.get("/api/suspicious", by="loss")["total"] == 1
    client.post("/api/flags", {"position": 0, "label": 0})
    assert "one of" in client.get("/api/suspicious", 404, by="depth")["error"]


def test_a_run_without_results(visit, tmp_path: Path) -> None:
    made = Made(tmp_path / "run")
    made.write()
    shutil.rmtree(made.folder / "results")
    client = visit(made.folder)
    about = client.get("/api/about")
    assert (about["methods"], about["truths"], about["default"]["method"]) == ([], [], None)
    assert "(there is none)" in client.get("/api/why", 404, query=0, method="influence")["error"]
    assert client.get("/api/suspicious", by="loss")["total"] == 300


def test_an_empty_run(visit, tmp_path: Path) -> None:
    with Made(tmp_path / "run").opened():
        pass
    client = visit(tmp_path / "run")
    assert client.get("/api/about")["counts"] == {"train": 0, "queries": 0}
    assert unpacked(client.get("/api/train")["id"]).tolist() == []
    client.post("/api/flags", {"position": 0, "flag": True}, 400)
    client.post("/api/verify", {"positions": [0]}, 404)
    assert client.http.get("/").status_code == 200


@pytest.mark.parametrize("kind", ["image", "text", "features"])
def test_hostile_words_come_back_as_they_are(visit, tmp_path: Path, kind: str) -> None:
    made = Made(tmp_path / "run", kind=kind, words=True)
    client = visit(made.write())
    assert client.get("/api/train")["id"] == made.train_ids.tolist()
    found = client.get("/api/why", query=1, method="influence")
    assert found["query"]["id"] == f"{HOSTILE[1]} q1"
    for path in ("/api/about", "/api/train", "/api/rows?side=train&positions=0,1,2"):
        raw = client.http.get(path).text
        assert "<" not in raw
        assert raw.isascii()


def test_ids_that_a_browser_would_round(visit, tmp_path: Path) -> None:
    made = Made(tmp_path / "run", train=3, exhibit=False)
    made.train_ids = np.array([2**60, 2**60 + 1, -5])
    client = visit(made.write())
    assert client.get("/api/train")["id"] == [str(2**60), str(2**60 + 1), "-5"]
    made = Made(tmp_path / "other", train=3, exhibit=False)
    made.train_ids = np.array([2**40, 1, 2])
    assert visit(made.write()).get("/api/train")["id"] == [2**40, 1, 2]


def test_answers_hold_nothing_that_ends_a_script() -> None:
    for words in [*HOSTILE, "\u2028", "\ud800", "&amp;"]:
        raw = text({words: [words]})
        assert not set(raw) & set("<>&")
        assert json.loads(raw) == {words: [words]}
    with pytest.raises(ValueError, match="Out of range"):
        text(float("nan"))


def test_parameters_may_come_in_any_order(full) -> None:
    for parameters in itertools.permutations(GETS["/api/why"].items()):
        assert full.http.get("/api/why", params=[*parameters]).status_code == 200
