"""Names of stages that are probably misspelt, told before anybody is asked for an image of that name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from lifecycle.dockerfile.errors import near
from lifecycle.dockerfile.instructions import Copy, Instruction, Run
from lifecycle.dockerfile.stages import Dockerfile


def unknown_stages(dockerfile: Dockerfile, wanted: Iterable[str]) -> Iterator[str]:
    """What to say of ``--no-cache-filter``: each name that no stage has."""
    numbers = [str(stage.index) for stage in dockerfile.stages]
    for name in wanted:
        if name.lower() not in dockerfile.names and name not in numbers:
            hint = near(name, dockerfile.names, _stages(dockerfile))
            yield f"--no-cache-filter {name}: the Dockerfile has no such stage. {hint}"


def likely_stages(
    dockerfile: Dockerfile, known: Collection[str], stored: Callable[[str], object | None]
) -> Iterator[str]:
    """What to say of each ``from`` that names neither a stage nor one of the ``known`` contexts, but nearly a stage.

    ``stored`` tells whether an image of that name is at hand: then nothing is said.
    """
    said: set[str] = set()
    for stage in dockerfile.stages:
        names = [(name, item) for item in stage.instructions for name in _sources(item)]
        for name, item in [(stage.from_.image, stage.from_), *names]:
            lower = name.lower()
            plain = name.replace("-", "").replace("_", "").isalnum() and not name.isdigit()
            if not plain or lower in said or lower in ("scratch", *dockerfile.names, *known):
                continue
            said.add(lower)
            hint = near(name, dockerfile.names)
            if hint and stored(name) is None:
                where = item.node.location
                yield f"{name} is no stage, and is looked for as an image ({where}). {hint}"


def _sources(instruction: Instruction) -> Iterator[str]:
    if isinstance(instruction, Copy) and instruction.from_:
        yield instruction.from_
    elif isinstance(instruction, Run):
        flags = [flag.partition("=")[2] for flag in instruction.node.flags if flag.startswith("--mount=")]
        fields = [field for flag in flags for field in flag.split(",")]
        yield from (field.removeprefix("from=") for field in fields if field.startswith("from="))


def _stages(dockerfile: Dockerfile) -> str:
    return f"It has {', '.join(stage.name or str(stage.index) for stage in dockerfile.stages)}."
