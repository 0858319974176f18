"""Ranges as npm means them. The table was compared with what npm's own semver says of the same pairs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "buildpacks" / "nodejs" / "lib"))

from pylife_nodejs.semver import Range, RangeError, parse_version

VERSIONS = [
    "0.0.1",
    "0.0.3",
    "0.1.2",
    "0.2.3",
    "0.2.4",
    "0.3.0",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-beta.2",
    "1.0.0",
    "1.2.0",
    "1.2.3-beta.4",
    "1.2.3",
    "1.2.9",
    "1.3.0",
    "2.0.0-0",
    "2.0.0-rc.1",
    "2.0.0",
    "2.3.4",
    "3.0.0",
    "10.2.0",
]
CASES = {
    "": "0.0.1 0.0.3 0.1.2 0.2.3 0.2.4 0.3.0 1.0.0 1.2.0 1.2.3 1.2.9 1.3.0 2.0.0 2.3.4 3.0.0 10.2.0",
    "*": "0.0.1 0.0.3 0.1.2 0.2.3 0.2.4 0.3.0 1.0.0 1.2.0 1.2.3 1.2.9 1.3.0 2.0.0 2.3.4 3.0.0 10.2.0",
    "1.2.3": "1.2.3",
    "=v1.2.3": "1.2.3",
    "v1.2": "1.2.0 1.2.3 1.2.9",
    "1": "1.0.0 1.2.0 1.2.3 1.2.9 1.3.0",
    "1.x": "1.0.0 1.2.0 1.2.3 1.2.9 1.3.0",
    "1.2.X": "1.2.0 1.2.3 1.2.9",
    "~1.2.3": "1.2.3 1.2.9",
    "~> 1.2": "1.2.0 1.2.3 1.2.9",
    "~1": "1.0.0 1.2.0 1.2.3 1.2.9 1.3.0",
    "~1.2.3-beta.2": "1.2.3-beta.4 1.2.3 1.2.9",
    "^1.2.3": "1.2.3 1.2.9 1.3.0",
    "^0.2.3": "0.2.3 0.2.4",
    "^0.0.3": "0.0.3",
    "^0.0": "0.0.1 0.0.3",
    "^0": "0.0.1 0.0.3 0.1.2 0.2.3 0.2.4 0.3.0",
    "^1.0.0-alpha.1": "1.0.0-alpha.1 1.0.0-beta.2 1.0.0 1.2.0 1.2.3 1.2.9 1.3.0",
    ">1.2": "1.3.0 2.0.0 2.3.4 3.0.0 10.2.0",
    ">=1.3 <2.3.4": "1.3.0 2.0.0",
    ">= 2.0.0-rc.0": "2.0.0-rc.1 2.0.0 2.3.4 3.0.0 10.2.0",
    "<1.0.0": "0.0.1 0.0.3 0.1.2 0.2.3 0.2.4 0.3.0",
    "<=0.2": "0.0.1 0.0.3 0.1.2 0.2.3 0.2.4",
    "<2.0.0-rc.2 >1.3": "2.0.0-0 2.0.0-rc.1",
    "1.2.3 - 2.3.4": "1.2.3 1.2.9 1.3.0 2.0.0 2.3.4",
    "1.2 - 1": "1.2.0 1.2.3 1.2.9 1.3.0",
    "0.2.4 - 1.2": "0.2.4 0.3.0 1.0.0 1.2.0 1.2.3 1.2.9",
    "0.0.3 || 2.x || >=10": "0.0.3 2.0.0 2.3.4 10.2.0",
    "  ^1.3.0||~0.2.4 ": "0.2.4 1.3.0",
    ">x": "",
    "<0.0.0": "",
}


@pytest.mark.parametrize("text", CASES)
def test_a_range_holds_what_npm_says(text: str) -> None:
    assert " ".join(version for version in VERSIONS if Range(text).allows(version)) == CASES[text]


@pytest.mark.parametrize("text", ["latest", "1.2.3.4", "01.2.3", ">=", "1.x.3", "1.2.3beta", ">1<2", "1 -2", "node 18"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(RangeError):
        Range(text)


def test_versions_are_in_the_order_of_semver() -> None:
    order = ["1.0.0-1", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0"]
    parsed = [parse_version(text) for text in order]
    assert all(parsed)
    keys = [version.key for version in parsed if version]
    assert keys == sorted(keys)


def test_the_newest_is_by_number_and_an_open_end_is_told() -> None:
    assert Range("^1").newest(VERSIONS) == "1.3.0"
    assert Range(">=2").newest(VERSIONS) == "10.2.0"
    assert Range("^99").newest(VERSIONS) is None
    assert Range(">=18").open_ended
    assert not Range(">=18 <25").open_ended
