"""What a Dockerfile is planned to be: its steps, the images asked for, and what cannot be planned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cases import Case, load_cases
from planning import AMD64, EMPTY_BASE, FakeSources, image_of, plan, planner

from lifecycle.dockerfile.ast import parse
from lifecycle.dockerfile.plan import PlanOptions, unused_arguments
from lifecycle.dockerfile.stages import read_dockerfile
from lifecycle.errors import PylifeError
from lifecycle.graph.node import walk


def _sources(case: Case, directory: Path) -> FakeSources:
    directory.mkdir()
    (directory / "b").write_text("b")
    base = image_of(json.loads(case.sections["base"]) if "base" in case.sections else EMPTY_BASE)
    contexts = dict.fromkeys(case.sections.get("contexts", "").split(), base)
    return FakeSources(directory, {"base": base}, dict(contexts))


def _options(case: Case) -> PlanOptions:
    args = dict(line.partition("=")[::2] for line in case.sections.get("args", "").splitlines() if line)
    target = case.sections.get("target", "").strip() or None
    return PlanOptions(target=target, build_args=args, platform=AMD64, build_platform=AMD64, epoch=1)


@pytest.mark.parametrize("case", load_cases("dockerfile/plan"), ids=str)
def test_a_dockerfile_is_planned(case: Case, tmp_path: Path) -> None:
    sources = _sources(case, tmp_path / "context")
    if "error" in case.sections:
        with pytest.raises(PylifeError) as caught:
            plan(case.sections["Dockerfile"], sources, _options(case))
        told = "\n".join(map(str, caught.value.as_dict().values()))
        for line in case.sections["error"].splitlines():
            assert line in told
        return
    made = plan(case.sections["Dockerfile"], sources, _options(case))
    if "steps" in case.sections:
        titles = [node.operation.title for node in walk([made.target.vertex])]
        assert titles == case.sections["steps"].splitlines()
    if "asked" in case.sections:
        assert sources.asked == case.sections["asked"].splitlines()


def test_every_step_has_a_place_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    sources = FakeSources(tmp_path / "context", {"base": image_of(EMPTY_BASE)})
    text = "FROM base AS a\nRUN 1\nRUN 2\nFROM base\nRUN 3\nCOPY --from=a / /\n"
    slots = [node.slot for node in walk([plan(text, sources).target.vertex])]
    assert len(set(slots)) == len(slots) == 4


def test_titles_name_the_platform_when_there_are_several(tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    sources = FakeSources(tmp_path / "context", {"base": image_of(EMPTY_BASE)})
    options = PlanOptions(platform=AMD64, build_platform=AMD64, show_platform=True)
    assert plan("FROM base AS a\nRUN 1\n", sources, options).nodes[0].operation.title == "[linux/amd64 a 2/2] RUN 1"


def test_build_arguments_that_no_arg_declares_are_told_with_the_near_word() -> None:
    dockerfile = read_dockerfile(parse(b"ARG BASE=a\nFROM $BASE\nARG VERSION\nONBUILD ARG LATER\n"))
    given = {"VERSON": "1", "BASE": "b", "HTTP_PROXY": "p", "no_proxy": "n", "BUILDKIT_SYNTAX": "", "TARGETARCH": "x"}
    assert unused_arguments(dockerfile, given) == [("VERSON", "Did you mean `VERSION`?")]


def test_labels_from_outside_leave_no_history(tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    sources = FakeSources(tmp_path / "context", {"base": image_of(EMPTY_BASE)})
    options = PlanOptions(platform=AMD64, build_platform=AMD64, labels={"a": "2", "b": "3"})
    draft = planner("FROM base\nLABEL a=1\n", sources, options).plan().target.draft
    assert draft.container["Labels"] == {"a": "2", "b": "3"}
    assert len(draft.lines) == 1
