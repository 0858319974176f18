"""Where a buildpack executable stands: the paths and files that the lifecycle hands to bin/detect and bin/build.

Source: Buildpack API 0.10, "Detection" and "Build"; the positional arguments are still passed by every lifecycle.
"""

from __future__ import annotations

import errno
import os
import sys

from pylife_sdk import toml
from pylife_sdk.output import Failure, report

TYPE_CHECKING = False
if TYPE_CHECKING:  # dataclasses and typing cost a detect as much as the interpreter's start
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from pylife_sdk.decisions import Decisions

PASS, NO_MATCH = 0, 100
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Detect:
    """The inputs of bin/detect. ``plan_path`` is written by ``pass_with``."""

    __slots__ = ("app", "env", "plan_path", "platform")

    def __init__(self, app: str, platform: str, plan_path: str, env: Mapping[str, str]) -> None:
        self.app, self.platform, self.plan_path, self.env = app, platform, plan_path, env

    def pass_with(
        self, provides: Sequence[str], requires: Sequence[Mapping[str, Any]], decisions: Decisions | None = None
    ) -> int:
        """Writes the build plan and returns the exit code of a match. ``decisions`` travel with the first of
        ``requires``, which is to be one of the buildpack's own."""
        plan: dict[str, Any] = {"provides": [{"name": name} for name in provides], "requires": list(requires)}
        if decisions is not None and (said := decisions.as_metadata()):
            first = plan["requires"][0]
            plan["requires"][0] = {**first, "metadata": {**first.get("metadata", {}), "pylife": said}}
        write_file(self.plan_path, toml.dumps({name: part for name, part in plan.items() if part}))
        return PASS


class Build:
    """The inputs of bin/build."""

    __slots__ = ("app", "env", "layers", "plan_path", "platform")

    def __init__(self, app: str, layers: str, platform: str, plan_path: str, env: Mapping[str, str]) -> None:
        self.app, self.layers, self.platform, self.plan_path, self.env = app, layers, platform, plan_path, env

    def user_env(self) -> dict[str, bytes]:
        """The variables that the user gave for this build: the files of ``<platform>/env``, as they are."""
        directory = os.path.join(self.platform, "env")
        if not os.path.isdir(directory):
            return {}
        return {name: read_bytes(os.path.join(directory, name)) for name in sorted(os.listdir(directory))}


def run_detect(detect: Callable[[Detect], int]) -> int:
    """The exit code of bin/detect. What ``detect`` prints is the explanation of its decision."""
    platform, plan = _argument(1, "CNB_PLATFORM_DIR"), _argument(2, "CNB_BUILD_PLAN_PATH")
    return detect(Detect(app=os.getcwd(), platform=platform, plan_path=plan, env=os.environ))


def run_build(build: Callable[[Build], None]) -> int:
    """The exit code of bin/build: 0, or 1 after a failure has been reported.

    Sets the umask so that the modes in layers are the same whoever builds.
    """
    os.umask(0o022)
    layers, platform = _argument(1, "CNB_LAYERS_DIR"), _argument(2, "CNB_PLATFORM_DIR")
    plan = _argument(3, "CNB_BP_PLAN_PATH")
    try:
        build(Build(app=os.getcwd(), layers=layers, platform=platform, plan_path=plan, env=os.environ))
    except Failure as failure:
        report(failure)
        return 1
    except OSError as error:
        if error.errno not in _FULL:
            raise
        found = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
        fix = "Make room (pylife gc removes what no image needs), or set PYLIFE_HOME to a directory on a larger disk."
        report(Failure("build.disk-full", "There is no room left for the build.", found, fix))
        return 1
    return 0


def _argument(position: int, variable: str) -> str:
    value = os.environ.get(variable) or (sys.argv[position] if len(sys.argv) > position else "")
    if not value:
        sys.exit(f"{sys.argv[0]}: neither {variable} nor argument {position} is given; a CNB lifecycle gives both")
    return value


def read_bytes(path: str) -> bytes:
    """The content of a file."""
    with open(path, "rb") as file:
        return file.read()


def write_file(path: str, text: str) -> None:
    """Replaces a file's content, as UTF-8; a surrogate escape is the byte that it stands for."""
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
