"""What a person noted: it survives a restart, a kill and a second server, and no spreadsheet can be harmed by it."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from page_client import Client
from small_run import HOSTILE, Made

Visit = Callable[..., Client]


def flags(client: Client) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = client.get("/api/flags")["flags"]
    return found


def test_a_flag_survives_a_restart(client: Client, visit: Visit, made: Made) -> None:
    told = client.post("/api/flags", {"position": 7, "flag": True, "label": 2, "note": HOSTILE[0]})
    assert told.keys() == {"position", "flag", "label", "note", "when"}
    client.post("/api/flags", {"position": 9, "flag": True, "label": None, "note": ""})
    client.post("/api/flags", {"position": 9, "flag": False, "label": None, "note": ""})
    expected = {"7": {"flag": True, "label": 2, "note": HOSTILE[0], "when": told["when"]}}
    assert flags(client) == expected
    assert flags(visit(made.folder)) == expected
    lines = (made.folder / "flags.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == made.train_ids[[7, 9, 9]].tolist()


def test_flags_belong_to_ids(visit: Visit, tmp_path: Path) -> None:
    made = Made(tmp_path / "run", exhibit=False)
    visit(made.write()).post("/api/flags", {"position": 4, "flag": True})
    turned = made.array().isel(train=slice(None, None, -1))
    with made.opened() as run:
        run.save("influence", turned)
    assert [*flags(visit(made.folder))] == [str(300 - 1 - 4)]


@pytest.mark.parametrize("torn", [b'{"id": 5, "fl', b'{"id": 5, "flag": true, "label": null, "note": "\xc3'])
def test_a_torn_last_line_costs_that_line_only(client: Client, visit: Visit, made: Made, torn: bytes) -> None:
    client.post("/api/flags", {"position": 1, "flag": True})
    with (made.folder / "flags.jsonl").open("ab") as file:
        file.write(torn)
    again = visit(made.folder)
    assert [*flags(again)] == ["1"]
    again.post("/api/flags", {"position": 2, "flag": True})
    assert [*flags(visit(made.folder))] == ["1", "2"]
    assert "1 line of flags.jsonl cannot be understood" in visit(made.folder).problems[0]


def test_two_servers_keep_flags_in_one_folder(client: Client, visit: Visit, made: Made) -> None:
    other = visit(made.folder)
    client.post("/api/flags", {"position": 1, "flag": True, "note": "first"})
    other.post("/api/flags", {"position": 2, "flag": True})
    other.post("/api/flags", {"position": 1, "flag": True, "note": "second"})
    assert flags(client) == flags(other)
    assert flags(client)["1"]["note"] == "second"


def test_lines_of_strangers_are_passed_over(client: Client, visit: Visit, made: Made) -> None:
    good = json.dumps({"id": int(made.train_ids[3]), "flag": True, "label": 1, "note": "", "when": "now"})
    bad = ["[]", "7", '{"id": [1]}', '{"id": 77777}', good.replace("true", '"yes"'), good.replace(": 1,", ": 99,")]
    bad += [good.replace('"note": ""', f'"note": "{"x" * 3000}"'), "[" * 100_000]
    (made.folder / "flags.jsonl").write_text("\n".join([*bad, good]) + "\n")
    again = visit(made.folder)
    assert [*flags(again)] == ["3"]
    assert "8 lines of flags.jsonl" in again.problems[0]


def test_a_link_is_not_followed(client: Client, visit: Visit, made: Made, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    (made.folder / "flags.jsonl").symlink_to(target)
    words = client.post("/api/flags", {"position": 1, "flag": True}, 409)["error"]
    assert "cannot be written" in words
    assert target.read_text() == "mine"
    assert "flags.jsonl cannot be read" in visit(made.folder).problems[0]
    assert flags(client) == {}


def test_a_full_disk_is_said(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda handle, content: len(content) - 1)
    assert "disk is full" in client.post("/api/flags", {"position": 1, "flag": True}, 409)["error"]


def test_cells_of_the_table_are_defused(visit: Visit, tmp_path: Path) -> None:
    made = Made(tmp_path / "run", words=True, classes=["=1+1", "@x", "-2"])
    client = visit(made.write())
    notes = ["=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", 'plain, "quoted"\nline', "</script>"]
    for position, note in enumerate(notes):
        client.post("/api/flags", {"position": position, "flag": True, "label": position % 3, "note": note})
    answer = client.http.get("/api/flags.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="flags.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    head, *rows = csv.reader(io.StringIO(answer.text))
    assert head == ["id", "position", "label", "flag", "suggested", "note", "loss", "self_influence", "when"]
    assert len(rows) == len(notes)
    for row in rows:
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell
    assert rows[0][5] == "'=cmd()"
    assert rows[6][5] == notes[6]
    assert {row[4] for row in rows} == {"'=1+1", "'@x", "'-2"}
    assert rows[1][0] == "'=cmd() 1"


def test_an_empty_table(client: Client) -> None:
    assert client.http.get("/api/flags.csv").text.splitlines() == [
        "id,position,label,flag,suggested,note,loss,self_influence,when"
    ]
