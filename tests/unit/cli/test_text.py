"""Text for people."""

from __future__ import annotations

import pytest

from lifecycle.cli.text import amount, duration, ending, pairs, plain, size, some, suggestion, table
from lifecycle.events import StepEnded, StepProgress


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (12_345_678, "12.3 MB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_size_has_three_digits_and_a_decimal_unit(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s")]
)
def test_duration_is_no_longer_than_needed(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_amount_knows_bytes_and_things() -> None:
    assert amount(StepProgress("s", 1_500_000, 40_000_000)) == "1.5 MB of 40.0 MB"
    assert amount(StepProgress("s", 1_500_000)) == "1.5 MB"
    assert amount(StepProgress("s", 12, 80, "files")) == "12 of 80 files"


def test_ending_carries_outcome_time_and_detail() -> None:
    assert ending(StepEnded("s", "reused", 0.42, "3 layers")) == "reused in 0.4 s (3 layers)"


def test_table_aligns_columns_without_trailing_blanks() -> None:
    text = table(["NAME", "SIZE"], [["a", "1 B"], ["longer", "100 B"]], right=[1])
    assert text == "NAME     SIZE\na         1 B\nlonger  100 B"


def test_pairs_put_further_lines_under_the_first() -> None:
    assert pairs([("a", "1\n2"), ("long", "")]) == "a     1\n      2\nlong"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("a\rb\x08\x7f", "ab"),
        ("tab\tstays", "tab\tstays"),
        ("ü", "ü"),
    ],
)
def test_plain_has_no_control_sequences(line: str, text: str) -> None:
    assert plain(line) == text


def test_suggestion_is_only_made_for_a_near_word() -> None:
    assert suggestion("psuh", ["push", "pull"], "none") == "Did you mean `push`?"
    assert suggestion("qqq", ["push", "pull"], "none") == "none"


def test_some_names_a_few_and_counts_the_rest() -> None:
    assert some("abc") == "a, b, c"
    assert some("abcdefg") == "a, b, c, d, e and 2 more"
