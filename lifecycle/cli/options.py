"""Options that several commands share, and what their texts mean."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lifecycle.errors import UsageError

if TYPE_CHECKING:
    from lifecycle.app.build import DetectRequest
    from lifecycle.platform.bindings import Binding
    from lifecycle.sandbox.spec import Mount

F = TypeVar("F", bound=Callable[..., Any])
_NAME = re.compile(r"[^=/\0\s]+")
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def env_options(function: F) -> F:
    """``--env`` and ``--env-file``."""
    function = click.option("-e", "--env", multiple=True, metavar="K[=V]", help="Set a variable (K alone: yours).")(
        function
    )
    return click.option(
        "--env-file", multiple=True, metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="K=V lines."
    )(function)


def limit_options(function: F) -> F:
    """``--network``, ``--memory`` and ``--timeout``."""
    function = click.option("--memory", metavar="SIZE", help="Memory for each process tree, as 512m or 2g.")(function)
    function = click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Stop then.")(
        function
    )
    return click.option(
        "--network",
        type=click.Choice(["default", "none", "host"]),
        default="default",
        help="Which network processes see (default: the host's).",
    )(function)


def parse_env(pairs: Iterable[str], files: Iterable[str]) -> dict[str, str]:
    """The variables of the files, then of the pairs; a name alone takes this process's value, if it has one."""
    env: dict[str, str] = {}
    for file in files:
        for number, line in enumerate(Path(file).read_text(errors="surrogateescape").splitlines(), 1):
            text = line.strip()
            if text and not text.startswith("#"):
                env.update(_pair(text, f"{file}:{number}"))
    for pair in pairs:
        env.update(_pair(pair, "--env"))
    return env


def _pair(text: str, where: str) -> dict[str, str]:
    name, equals, value = text.partition("=")
    if not _NAME.fullmatch(name):
        raise UsageError(f"{text!r} is not a variable", where=where, fix="Write it as NAME=VALUE.")
    if equals:
        return {name: value}
    return {name: os.environ[name]} if name in os.environ else {}


def parse_pairs(pairs: Iterable[str], option: str) -> dict[str, str]:
    """``K=V`` texts as a mapping."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"{pair!r} is not K=V", where=option, fix=f"Write it as {option} KEY=VALUE.")
        found[key] = value
    return found


def parse_memory(text: str | None) -> int | None:
    """Bytes of ``512m``, ``2g``, ``1.5GiB`` or a plain number."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", text.strip().lower())
    if match is None or float(match[1]) == 0:
        raise UsageError(f"{text!r} is not a size", where="--memory", fix="Write it as 512m or 2g.")
    return int(float(match[1]) * _UNITS[match[2]])


def parse_volumes(texts: Iterable[str]) -> tuple[Mount, ...]:
    """``SRC:DST[:ro|rw]`` texts as mounts; SRC must exist, DST must be absolute."""
    from lifecycle.sandbox.spec import Mount

    mounts = []
    for text in texts:
        source, _, rest = text.partition(":")
        target, _, mode = rest.partition(":")
        place = Path(source).expanduser().absolute()
        if not target.startswith("/") or mode not in ("", "ro", "rw"):
            raise UsageError(f"{text!r} is not a volume", fix="Write it as SRC:DST or SRC:DST:ro, DST absolute.")
        if not place.exists():
            raise UsageError(f"The volume's source {place} does not exist", fix="Create it, or correct the path.")
        mounts.append(Mount(str(place), target, mode == "ro"))
    return tuple(mounts)


binding_option = click.option(
    "--binding", "bindings", multiple=True, metavar="[NAME=]DIR", help="A service binding (certificates, npmrc, …)."
)


def parse_bindings(texts: Iterable[str], env: Mapping[str, str]) -> tuple[Binding, ...]:
    """The bindings that were named; raises UsageError when a variable says that they are elsewhere."""
    from lifecycle.platform.bindings import ROOT_VARIABLE, read_bindings

    found = read_bindings(texts)
    if found and ROOT_VARIABLE in env:
        raise UsageError(
            f"--binding and {ROOT_VARIABLE} are both given",
            fix=f"Leave {ROOT_VARIABLE} out: it is set to where --binding puts them.",
        )
    return found


def detect_options(function: F) -> F:
    """What ``pylife build`` and ``pylife detect`` are told alike."""
    options = [
        click.option(
            "--app",
            "--path",
            "--context",
            "app",
            default=".",
            metavar="PLACE",
            help="A directory, archive, or - (default: .).",
        ),
        click.option("--builder", metavar="NAME|FILE", help="The builder image, or a builder.toml to make it from."),
        click.option(
            "-b", "--buildpack", "buildpacks", multiple=True, metavar="ID|DIR|URL", help="Use these, in this order."
        ),
        click.option("--run-image", metavar="NAME", help="The image that the app runs on (default: the builder's)."),
        click.option(
            "--descriptor", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="project.toml."
        ),
        click.option("--volume", "volumes", multiple=True, metavar="SRC:DST[:ro]", help="Show SRC to the buildpacks."),
        binding_option,
    ]
    for option in reversed(options):
        function = option(function)
    return function


def parse_detect(options: dict[str, Any]) -> DetectRequest:
    """The request that the options of ``detect_options``, ``env_options`` and ``limit_options`` make."""
    from lifecycle.app.build import DetectRequest
    from lifecycle.phases.inputs import Limits

    descriptor = options["descriptor"]
    env = parse_env(options["env"], options["env_file"])
    return DetectRequest(
        app=str(options["app"]),
        builder=options["builder"],
        buildpacks=options["buildpacks"],
        run_image=options["run_image"],
        env=env,
        bindings=parse_bindings(options["bindings"], env),
        descriptor=Path(descriptor) if descriptor else None,
        limits=Limits(
            network="none" if options["network"] == "none" else "host",
            memory=parse_memory(options["memory"]),
            timeout=options["timeout"],
            mounts=parse_volumes(options["volumes"]),
        ),
    )
