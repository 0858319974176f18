"""Stages: what stands where, which stage a name means, and what is refused."""

from __future__ import annotations

import pytest
from cases import Case, load_cases

from lifecycle.dockerfile.ast import parse
from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.instructions import Copy, Run, Scope
from lifecycle.dockerfile.stages import Dockerfile, Stage, UnknownStage, read_dockerfile


def described(dockerfile: Dockerfile) -> str:
    """Global arguments, then each stage with what it stands on, takes from, and how many instructions it has."""
    parts = [f"ARG {name}={default}" for arg in dockerfile.globals for name, default in arg.pairs]
    for stage in dockerfile.stages:
        base = dockerfile.base(stage, stage.from_.image)
        parts.append(
            f"{stage.index} {stage.name}: {f'stage {base.index}' if base else stage.from_.image}"
            f", {len(stage.instructions)} instructions" + "".join(sources(dockerfile, stage))
        )
    return "\n".join(parts)


def sources(dockerfile: Dockerfile, stage: Stage) -> list[str]:
    found = []
    for written in stage.instructions:
        instruction = written.expand(Scope({}))
        names: list[str] = []
        if isinstance(instruction, Copy) and instruction.from_:
            names = [instruction.from_]
        elif isinstance(instruction, Run):
            names = [mount.from_ for mount in instruction.mounts if mount.from_]
        for name in names:
            source = dockerfile.source(stage, name, instruction)
            found.append(f", {name} is {f'stage {source.index}' if source else 'an image'}")
    return found


@pytest.mark.parametrize("case", load_cases("dockerfile/stages"), ids=str)
def test_stages(case: Case) -> None:
    data = case.sections["dockerfile"].encode()
    target = case.sections.get("target")
    if "error" in case.sections:
        with pytest.raises(DockerfileError) as caught:
            dockerfile = read_dockerfile(parse(data))
            described(dockerfile)
            dockerfile.target(target)
        error = caught.value
        assert f"{error.code}: {error}\n{error.details}\n{error.fix}" == case.sections["error"], case.where
        return
    dockerfile = read_dockerfile(parse(data))
    if target is None:
        assert described(dockerfile) == case.sections["is"], case.where
    else:
        assert str(dockerfile.target(target).index) == case.sections["is"], case.where


def test_the_last_stage_is_the_default_target() -> None:
    dockerfile = read_dockerfile(parse(b"FROM a AS x\nFROM b"))
    assert dockerfile.target(None) is dockerfile.stages[1]
    assert (dockerfile.names, dockerfile.stages[1].title) == (("x",), "stage-1")


def test_a_name_near_that_of_a_stage_is_suggested() -> None:
    dockerfile = read_dockerfile(parse(b"FROM a AS builder\nFROM b"))
    assert dockerfile.near("bulider") == "Did you mean `builder`?"
    assert dockerfile.near("debian") is None
    with pytest.raises(UnknownStage) as caught:
        dockerfile.target("Bilder")
    assert caught.value.fix == "Did you mean `builder`?"
    assert caught.value.details == "Stages: builder, 1"
