"""The executables of a classic buildpack. Each returns its exit code.

Source: Heroku, "Buildpack API": bin/detect BUILD_DIR, bin/compile BUILD_DIR CACHE_DIR ENV_DIR, bin/release BUILD_DIR;
"Testpack API": bin/test-compile BUILD_DIR CACHE_DIR ENV_DIR, bin/test BUILD_DIR ENV_DIR.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pylife_classic.kinds import Kind


def main(home: str, kind_name: str, command: str, arguments: Sequence[str]) -> int:
    """Runs bin/``command`` of the classic buildpack of a kind, which is in the folder ``home``."""
    from pylife_classic.kinds import KINDS

    kind = KINDS[kind_name]
    if not arguments or not os.path.isdir(arguments[0]):
        print(f"{command}: the first argument is to be the folder of the app (BUILD_DIR)", file=sys.stderr)
        return 2
    return _COMMANDS[command](home, kind, [os.path.abspath(argument) for argument in arguments])


def detect(home: str, kind: Kind, arguments: Sequence[str]) -> int:
    """Prints the kind's name when its CNB buildpack takes the app; else, to stderr, what that says."""
    import tempfile

    from pylife_sdk.context import Detect

    from pylife_classic.parts import detect_function

    os.chdir(arguments[0])
    with tempfile.TemporaryDirectory(prefix="pylife-detect-") as platform:
        context = Detect(arguments[0], platform, os.path.join(platform, "plan.toml"), os.environ)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            code = detect_function(kind.main)(context)
    if code:
        sys.stderr.write(said.getvalue())
        return 1
    print(kind.name)
    return 0


def compile(home: str, kind: Kind, arguments: Sequence[str]) -> int:
    """Builds the app in BUILD_DIR; everything that it needs when it runs is in there afterwards."""
    from pylife_classic.building import build_app

    if len(arguments) < 2:
        print("compile: give BUILD_DIR, CACHE_DIR and ENV_DIR", file=sys.stderr)
        return 2
    return build_app(home, kind, arguments[0], arguments[1], arguments[2] if len(arguments) > 2 else "")


def test_compile(home: str, kind: Kind, arguments: Sequence[str]) -> int:
    """``compile``, with what only tests need."""
    os.environ.setdefault("NODE_ENV", "test")
    return compile(home, kind, arguments)


def test(home: str, kind: Kind, arguments: Sequence[str]) -> int:
    """Runs the app's tests by what the app has for them; their exit code."""
    import subprocess

    from pylife_sdk.output import Failure, note, report

    from pylife_classic.tests import test_command

    app, env_dir = arguments[0], arguments[1] if len(arguments) > 1 else ""
    os.chdir(app)
    try:
        command = test_command(kind, app)
    except Failure as failure:
        report(failure)
        return 1
    # A profile has set it for production, unless the app's config variables say otherwise.
    if not os.path.isfile(os.path.join(env_dir, "NODE_ENV")):
        os.environ["NODE_ENV"] = "test"
    note(f"$ {' '.join(command)}")
    code = subprocess.call(command)
    return code if code >= 0 else 128 - code


def release(home: str, kind: Kind, arguments: Sequence[str]) -> int:
    """Prints what compile found out about processes."""
    from pylife_classic.building import release_file

    try:
        with open(release_file(arguments[0], kind), encoding="utf-8") as file:
            sys.stdout.write(file.read())
    except FileNotFoundError:
        print("--- {}")
    return 0


_COMMANDS: dict[str, Callable[[str, Kind, Sequence[str]], int]] = {
    "detect": detect,
    "compile": compile,
    "release": release,
    "test-compile": test_compile,
    "test": test,
}
