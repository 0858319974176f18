"""A classic buildpack: the executables of its bin/, and how each is run.

Every executable is started by bash, because ``export`` files of earlier buildpacks are sourced before it, and because
a script without a #! line is a shell script there. Config variables reach it by the env directory alone.
They are run in the buildpack's own directory, as Heroku runs them: some copy their files from where they stand.
Source: Heroku, "Buildpack API"; heroku-buildpack-multi for ``export`` and for where its members are run; herokuish for
bin/release's second argument.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from lifecycle.buildpack.execute import OnLine, Runner
from lifecycle.buildpack.last_words import LastWords
from lifecycle.buildpack.tree import BadFile, BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.slug.paths import Paths

_SHELLS = ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash")
_TAIL = 20
_KEPT = 4 << 20
_START = """\
while [ "$1" != -- ]; do
  pylife_rest=("${@:2}")
  . "$1" >&2
  set -- "${pylife_rest[@]}"
done
shift
unset pylife_rest
exec "$@"
"""
"""Sources what comes before ``--``, whose ``set --`` stays its own, and becomes the rest."""


class NoBash(PylifeError):
    """The image that a slug is built on has no bash."""

    code = "slug.no-bash"
    fix = "Build on an image with bash, such as pylife's own slugbuilder: classic buildpacks are bash scripts."


class CompileFailed(PylifeError):
    """A buildpack's bin/compile, or bin/test-compile, ended with an error."""

    code = "slug.compile-failed"
    details_are_output = True
    fix = (
        "Read what the buildpack printed above: it names the cause. BUILDPACK_XTRACE=1 as a config variable makes many "
        "buildpacks show every command."
    )


class ReleaseFailed(PylifeError):
    """A buildpack's bin/release ended with an error."""

    code = "slug.release-failed"
    fix = "Report it to the buildpack's author: bin/release has to print YAML and to exit with 0."


@dataclass(frozen=True, slots=True)
class ClassicBuildpack:
    """A buildpack at the inside path ``path``; ``origin`` is where it came from, for people: no credentials in it.

    A ``last_resort`` takes every app: of a builder's own it is asked only when no other takes the app.
    """

    name: str
    path: str
    origin: str = ""
    version: str = ""
    last_resort: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for every process of a slug build.

    ``variables`` is the whole process environment; ``on_line`` gets what processes write.
    """

    root: BuildRoot
    runner: Runner
    paths: Paths
    variables: Mapping[str, str]
    on_line: OnLine

    def run(
        self,
        argv: Sequence[str],
        *,
        sourced: Sequence[str] = (),
        cwd: str = "",
        variables: Mapping[str, str] | None = None,
        on_line: OnLine | None = None,
    ) -> int:
        """The exit code of ``argv``, run in ``cwd`` (the build directory) after the files ``sourced``.

        ``variables`` are added to the environment. Raises NoBash, and what the runner raises.
        """
        environment = {**self.variables, **(variables or {})}
        command = (bash(self.root), "-c", _START, "bash", *sourced, "--", *argv)
        return self.runner.run(command, environment, cwd or self.paths.build, on_line or self.on_line)


@dataclass(frozen=True, slots=True)
class Detection:
    """What bin/detect said: ``kind`` is the name of what it found, None when it does not take the app.

    ``output`` are its last lines.
    """

    kind: str | None
    exit_code: int = 0
    output: tuple[str, ...] = ()


def bash(root: BuildRoot) -> str:
    """The inside path of the root's bash. Raises NoBash."""
    for path in _SHELLS:
        if root.is_file(path):
            return path
    raise NoBash("Classic buildpacks cannot be run", why=f"there is none of {', '.join(_SHELLS)} in the build image")


def has(buildpack: ClassicBuildpack, executable: str, root: BuildRoot) -> bool:
    """True when the buildpack has that file in its bin/."""
    return root.is_file(f"{buildpack.path}/bin/{executable}")


def crlf_fix(script: str, root: BuildRoot) -> str | None:
    """What to do about a script whose first line ends as Windows' do, which no interpreter is found by; else None."""
    try:
        first = (root.read(script) or b"").partition(b"\n")[0]
    except BadFile:
        return None
    if not (first.startswith(b"#!") and first.endswith(b"\r")):
        return None
    name = "/".join(script.rsplit("/", 2)[-2:])
    return f"The lines of {name} end as Windows' do (CR LF), which no interpreter is found by: sed -i 's/\\r$//' {name}"


def make_executable(buildpack: ClassicBuildpack, root: BuildRoot) -> None:
    """Give the files in bin/ the permission to be run that archives and copies may have lost.

    A link is followed only within the buildpack: whoever does this may be root, in a root that is its own.
    """
    own = BuildRoot(Path(root.host(buildpack.path)))
    for name in own.names("/bin"):
        place = own.host(f"/bin/{name}")
        mode = os.lstat(place).st_mode if os.path.lexists(place) else 0
        if stat.S_ISREG(mode) and mode & 0o111 != 0o111:
            os.chmod(place, stat.S_IMODE(mode) | 0o555)


def export_file(buildpack: ClassicBuildpack, root: BuildRoot) -> tuple[str, ...]:
    """The ``export`` file that the buildpack has left for later ones: one path, or none."""
    path = f"{buildpack.path}/export"
    return (path,) if root.is_file(path) else ()


def detect(buildpack: ClassicBuildpack, around: Surroundings, exports: Sequence[str] = ()) -> Detection:
    """Whether the buildpack takes the app. A detect that is missing, or breaks, takes none."""
    if not has(buildpack, "detect", around.root):
        return Detection(None, 127, (f"{buildpack.name} has no bin/detect",))
    first: list[str] = []
    tail: deque[str] = deque(maxlen=_TAIL)

    def on_line(stream: str, line: str) -> None:
        if stream == "stdout" and not first:
            first.append(line.strip())
        tail.append(line)

    argv = (f"{buildpack.path}/bin/detect", around.paths.build)
    code = around.run(argv, sourced=exports, cwd=buildpack.path, on_line=on_line)
    kind = (first[0] if first else "") or buildpack.name
    return Detection(None if code else kind, code, tuple(tail))


def compile(
    buildpack: ClassicBuildpack,
    around: Surroundings,
    exports: Sequence[str] = (),
    *,
    kind: str = "",
    for_tests: bool = False,
) -> None:
    """Run bin/compile, or for tests bin/test-compile where there is one. Raises CompileFailed."""
    name = "test-compile" if for_tests and has(buildpack, "test-compile", around.root) else "compile"
    paths, last = around.paths, LastWords()
    if not has(buildpack, name, around.root):
        raise CompileFailed(
            f"The buildpack {buildpack.name} cannot build", why=f"it has no bin/{name}", fix=_NO_COMPILE
        )

    def on_line(stream: str, line: str) -> None:
        last.add(line)
        around.on_line(stream, line)

    argv = (f"{buildpack.path}/bin/{name}", paths.build, paths.cache, paths.env)
    if code := around.run(argv, sourced=exports, cwd=buildpack.path, on_line=on_line):
        what = f"The {kind or buildpack.name} app could not be compiled"
        why = f"bin/{name} of the buildpack {buildpack.name} exited with {code}"
        raise CompileFailed(what, why=why, details=last.details, fix=crlf_fix(argv[0], around.root) or last.fix)


_NO_COMPILE = "Name a classic buildpack: a directory with bin/detect and bin/compile."


def release(buildpack: ClassicBuildpack, around: Surroundings, exports: Sequence[str] = ()) -> bytes | None:
    """What bin/release wrote to stdout, for ``parse_release``; None when the buildpack has none.

    Raises ReleaseFailed. What it writes to stderr goes where all output goes.
    """
    if not has(buildpack, "release", around.root):
        return None
    paths = around.paths
    argv = (f"{buildpack.path}/bin/release", paths.build, paths.cache)
    code, text = _captured(buildpack, argv, around, exports)
    if code:
        why = f"bin/release of the buildpack {buildpack.name} exited with {code}"
        raise ReleaseFailed("The process types could not be asked for", why=why, details=text[-2000:] or None)
    return text.encode()


def report(buildpack: ClassicBuildpack, around: Surroundings, exports: Sequence[str] = ()) -> str:
    """What bin/report says of the build; nothing when there is none, or it fails: it is for information only."""
    if not has(buildpack, "report", around.root):
        return ""
    paths = around.paths
    argv = (f"{buildpack.path}/bin/report", paths.build, paths.cache, paths.env)
    code, text = _captured(buildpack, argv, around, exports)
    return "" if code else text


def _captured(
    buildpack: ClassicBuildpack, argv: Sequence[str], around: Surroundings, exports: Sequence[str]
) -> tuple[int, str]:
    """The exit code and standard output of ``argv``, cut off where no sane buildpack gets."""
    lines: list[str] = []
    size = 0

    def on_line(stream: str, line: str) -> None:
        nonlocal size
        if stream != "stdout":
            around.on_line(stream, line)
        elif size < _KEPT:
            size += len(line) + 1
            lines.append(f"{line}\n")

    code = around.run(argv, sourced=exports, cwd=buildpack.path, on_line=on_line)
    return code, "".join(lines)
