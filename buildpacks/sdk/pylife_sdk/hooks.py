"""The app's own programs beside a build, as Heroku's Python buildpack runs them: bin/pre_compile, bin/post_compile."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pylife_sdk.context import Build
from pylife_sdk.output import fail, heading
from pylife_sdk.process import run


def has_hook(app: str, name: str) -> bool:
    """Whether the app has this hook."""
    return os.path.isfile(os.path.join(app, "bin", name))


def run_hook(build: Build, name: str, env: Mapping[str, str]) -> None:
    """Runs bin/``name`` of the app, if it has one, in the app's directory. Raises ``Failure`` when it fails.

    One without the executable bit is run by bash, as git loses that bit on some machines.
    """
    if not has_hook(build.app, name):
        return
    heading(f"bin/{name}")
    path = os.path.join(build.app, "bin", name)
    command = [path] if os.access(path, os.X_OK) else ["bash", path]
    try:
        ran = run(command, env=env, cwd=build.app)
    except OSError as error:
        fail(
            "python.hook-failed",
            f"bin/{name} could not be started: {error.strerror}.",
            found=_first_line(path),
            fix=f"Give it a first line that names an interpreter of the build image, such as:\n#!/usr/bin/env bash\n"
            f"and the line ends of Unix: sed -i 's/\\r$//' bin/{name}",
        )
    if ran.code:
        fail(
            "python.hook-failed",
            f"bin/{name} ended with {ran.code}.",
            found=ran.tail or "(it said nothing)",
            fix=f"Its own lines above say why. It runs with bash in the app's directory, with nothing on its stdin:\n"
            f"bash bin/{name} < /dev/null",
        )


def _first_line(path: str) -> str:
    with open(path, "rb") as file:
        return f"its first line: {file.readline(200)!r}"
