from __future__ import annotations

import math
import tomllib
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import PylifeError
from lifecycle.toml import Table, dump


class Bad(PylifeError):
    """Only for these tests."""

    code = "test.bad"


def test_layout_is_one_line_per_key_and_a_header_per_table() -> None:
    data = {
        "entries": [
            {"name": "python", "metadata": {"version": "3.12", "day": date(2026, 1, 2)}},
            {"name": "node", "metadata": {}},
        ],
        "command": ["a", "b"],
        "none": None,
        "empty": [],
    }
    assert dump(data).decode() == (
        'command = ["a", "b"]\n'
        "empty = []\n"
        "\n"
        "[[entries]]\n"
        '  name = "python"\n'
        "  [entries.metadata]\n"
        '    version = "3.12"\n'
        "    day = 2026-01-02\n"
        "\n"
        "[[entries]]\n"
        '  name = "node"\n'
        "  [entries.metadata]\n"
    )


def test_nothing_is_an_empty_document() -> None:
    assert dump({}) == b""


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
scalars = st.one_of(
    text,
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
    st.datetimes(timezones=st.sampled_from([None])),
    st.dates(),
    st.times(),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=20
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(text, values, max_size=4))
def test_what_is_written_reads_back(data: dict[str, Any]) -> None:
    assert tomllib.loads(dump(data).decode()) == data


def test_special_floats_read_back() -> None:
    found = tomllib.loads(dump({"a": math.inf, "b": -math.inf, "c": math.nan}).decode())
    assert (found["a"], found["b"], math.isnan(found["c"])) == (math.inf, -math.inf, True)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"a = \xff", "line 1 is not UTF-8"),
        (b"\na = = 1", "line 2"),
        (b".".join([b"a"] * 5000) + b" = 1", "nested more than 100 deep"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "nested"),
        (b"a = " + b"1" * 5000, "digits"),
    ],
    ids=["utf-8", "syntax", "dotted", "arrays", "digits"],
)
def test_hostile_documents_are_errors(raw: bytes, why: str) -> None:
    with pytest.raises(Bad, match=why):
        Table.parse(raw, "x.toml", Bad)


def test_a_boolean_is_no_integer() -> None:
    table = Table.parse(b"n = true\n", "x.toml", Bad)
    with pytest.raises(Bad, match="must be an integer, not a boolean") as error:
        table.integer("n")
    assert error.value.where == "x.toml: n"
