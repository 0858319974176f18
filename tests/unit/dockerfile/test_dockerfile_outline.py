"""What a Dockerfile can be told and what can be built from it, case by case."""

from __future__ import annotations

import pytest
from cases import Case, load_cases

from lifecycle.dockerfile.ast import parse
from lifecycle.dockerfile.outline import Argument, Outline, Target, outline, targets
from lifecycle.dockerfile.stages import read_dockerfile

CASES = load_cases("dockerfile/outline")


def shown(text: str, description: str) -> str:
    return f"{text}: {description}" if description else text


def outline_lines(found: Outline) -> list[str]:
    lines = [shown(f"target {found.target or '(default)'}", found.description)]
    lines += [argument_line(argument) for argument in found.arguments]
    for kind, wanted in (("secret", found.secrets), ("ssh", found.ssh)):
        lines += [f"{kind} {item.id}{' required' if item.required else ''}" for item in wanted]
    return lines + [f"cache {cache.id} at {cache.target} {cache.sharing}" for cache in found.caches]


def argument_line(argument: Argument) -> str:
    value = "" if argument.value is None else f" = {argument.value}"
    return shown(f"arg {argument.name}{value}", argument.description)


def target_line(target: Target) -> str:
    words = [target.name or str(target.index), target.base, target.platform, "(default)" if target.default else None]
    return shown(" ".join(word for word in words if word), target.description)


@pytest.mark.parametrize("case", [case for case in CASES if "outline" in case.sections], ids=str)
def test_outline_is_what_the_case_says(case: Case) -> None:
    dockerfile = read_dockerfile(parse(case.sections["dockerfile"].encode()))
    args = dict(line.split("=", 1) for line in case.sections.get("args", "").strip().splitlines())
    target = dockerfile.target(case.sections["target"].strip()) if "target" in case.sections else None
    assert outline_lines(outline(dockerfile, target, args)) == case.sections["outline"].strip().splitlines()


@pytest.mark.parametrize("case", [case for case in CASES if "targets" in case.sections], ids=str)
def test_targets_are_what_the_case_says(case: Case) -> None:
    dockerfile = read_dockerfile(parse(case.sections["dockerfile"].encode()))
    assert [target_line(target) for target in targets(dockerfile)] == case.sections["targets"].strip().splitlines()


def test_places_are_told() -> None:
    text = b"ARG A=1\nFROM busybox:$A\nRUN --mount=type=secret,id=s \\\n  --mount=type=cache,target=/c true\n"
    found = outline(read_dockerfile(parse(text)))
    assert [argument.location.line for argument in found.arguments] == [1]
    assert [item.location.line for item in (*found.secrets, *found.caches)] == [3, 3]
