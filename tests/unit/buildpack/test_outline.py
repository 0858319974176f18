from __future__ import annotations

from typing import Any

import pytest

from lifecycle.buildpack.descriptor import GroupElement
from lifecycle.buildpack.outline import Decisions, Outline
from lifecycle.buildpack.plan import BuildPlan, Offer, Require
from lifecycle.buildpack.resolve import Detection, resolve


def detection(id_: str, **said: Any) -> Detection:
    require = Require(id_, {"version": "1", "pylife": said} if said else {})
    return Detection.exited(GroupElement(id_, "1.0.0"), 0, BuildPlan((Offer((id_,), (require,)),)))


def test_plan_shows_each_buildpack_of_the_group_with_what_it_decided() -> None:
    python = detection(
        "a/python",
        files=["requirements.txt", "runtime.txt"],
        versions=[{"name": "python", "version": "3.11.2", "why": "runtime.txt:1 asks for 3.11"}],
        layers=[{"name": "venv", "holds": "3 packages"}],
        commands=["uv pip install -r requirements.txt"],
        problems=[{"id": "python.end-of-life", "what": "3.8 is not mended any more"}],
    )
    outline = Outline.of([python.element, GroupElement("a/silent", "2.0.0")], [python, detection("a/silent")])
    assert outline.lines() == (
        "a/python 1.0.0",
        "  looked at  requirements.txt, runtime.txt",
        "  version    python 3.11.2: runtime.txt:1 asks for 3.11",
        "  layer      venv: 3 packages",
        "  command    uv pip install -r requirements.txt",
        "  problem    3.8 is not mended any more [python.end-of-life]",
        "a/silent 1.0.0",
    )


def test_a_later_buildpacks_process_takes_the_place_of_an_earlier_ones() -> None:
    guessed = [{"type": "web", "command": "guess", "why": "g"}, {"type": "release", "command": "migrate", "why": "m"}]
    one, two = detection("a/one", processes=guessed), detection("a/two", processes=[{"type": "web", "command": "real"}])
    outline = Outline.of([one.element, two.element], [two, one], ["b/other"])
    assert [(element.id, row["type"], row["command"]) for element, row in outline.processes] == [
        ("a/one", "release", "migrate"),
        ("a/two", "web", "real"),
    ]
    assert outline.lines()[2:5] == (
        "processes of the image",
        "  release  migrate  (a/one: m)",
        "  web      real  (a/two)",
    )
    assert "b/other" in outline.lines()[-1]
    data = outline.to_data()
    assert data["also_matched"] == ["b/other"] and data["processes"][1]["buildpack"] == "a/two"


@pytest.mark.parametrize(
    "said",
    [
        {"files": "requirements.txt", "versions": {"name": "x"}, "processes": 7},
        {"files": [1, {}], "versions": ["x", {"version": "no name"}], "layers": [[]], "commands": [None]},
    ],
)
def test_what_is_not_of_the_form_is_left_out(said: dict[str, Any]) -> None:
    found = detection("a/odd", **said)
    assert Decisions.of(found) == Decisions(found.element)


def test_decisions_that_are_no_table_are_left_out() -> None:
    plan = BuildPlan((Offer(("x",), (Require("x", {"pylife": "words"}),)),))
    found = Detection.exited(GroupElement("a/odd", "1.0.0"), 0, plan)
    assert Decisions.of(found) == Decisions(found.element)


def test_a_text_of_several_lines_stays_on_its_line() -> None:
    found = detection("a/x", commands=["one\ntwo"])
    assert Outline.of([found.element], [found]).lines() == ("a/x 1.0.0", "  command  one two")


def test_decisions_change_nothing_of_the_resolution() -> None:
    said, silent = detection("a/x", files=["f"]), detection("a/x")
    resolved = [resolve([item]) for item in (said, silent)]
    assert resolved[0].group == resolved[1].group
    assert [entry.name for entry in resolved[0].plan.entries] == [entry.name for entry in resolved[1].plan.entries]
