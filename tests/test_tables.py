"""Tables as text: what is missing, what is hostile, and what is a number."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest

from whence import tables

TABLE = pd.DataFrame(
    {
        "name": ["=1+1", "plain", None],
        "value": [1.23456789, np.nan, np.inf],
        "count": pd.array([1, None, 3], dtype="Int64"),
        "flag": [True, False, True],
    }
)


def test_records_are_json() -> None:
    rows = json.loads(json.dumps(tables.records(TABLE), allow_nan=False))
    assert rows[0] == {"name": "=1+1", "value": 1.23456789, "count": 1, "flag": True}
    assert rows[1:] == [
        {"name": "plain", "value": None, "count": None, "flag": False},
        {"name": None, "value": None, "count": 3, "flag": True},
    ]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_no_text_becomes_a_formula(cell: str) -> None:
    text = tables.csv_text(pd.DataFrame({cell: [cell], "number": [-1.5]}))
    read = pd.read_csv(io.StringIO(text))
    safe = "'" + cell.replace("\r", "\n")
    assert read.columns.tolist() == [safe, "number"]
    assert read.iloc[0].tolist() == [safe, -1.5]


def test_a_categorical_column_is_defused_too() -> None:
    assert tables.csv_text(pd.DataFrame({"a": pd.Categorical(["=x", "y"])})) == "a\n'=x\ny\n"


def test_plain_text() -> None:
    assert tables.plain_text(TABLE).splitlines() == [
        "name   value  count   flag",
        "=1+1   1.235      1   True",
        "plain      -      -  False",
        "-        inf      3   True",
    ]


def test_nothing_steers_the_terminal() -> None:
    text = tables.plain_text(pd.DataFrame({"a\x1b": ["b\x1b[2J", "c\u202ed\ne"]}))
    assert text.count("\n") == 2
    assert all(c.isprintable() for c in text.replace("\n", ""))
