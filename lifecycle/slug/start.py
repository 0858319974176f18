"""Starting a process of a slug: which command a type stands for, and the shell that prepares its environment.

Source: deis/slugrunner, ``/runner/init``; herokuish, "procfile-start" and "procfile-exec".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lifecycle.buildpack.tree import BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.slug.procfile import Procfile, parse_procfile
from lifecycle.slug.release import Release, parse_release

DEFAULT_PORT = "5000"
"""The ``$PORT`` of a process that was given none: what the family's routers expect."""

SCRIPT = """\
[ -n "$TRACE$DEIS_DEBUG" ] && set -x
export HOME="$1"; shift
cd "$HOME" || exit 1
pylife_words=("$@")
for profile in /etc/profile.d/*.sh "$HOME"/.profile.d/* "$HOME"/.profile; do
    [ -f "$profile" ] && . "$profile"
done
set -- "${pylife_words[@]}"
unset profile pylife_words
if [ "$1" = -c ]; then exec bash -c "$2"; fi
exec "$@"
"""
"""Run by ``bash -c``: profiles in the order of their names, then the command in the place of the shell. The ``set --``
of a profile does not change the command."""


class UnknownType(PylifeError):
    """A slug has no process of the type that was asked for."""

    code = "slug.unknown-type"
    fix = "Start one of the types listed, add the type to the Procfile, or give a command instead of `start TYPE`."


class NothingToStart(PylifeError):
    """Neither a type nor a command was given, and the slug has no web process."""

    code = "slug.nothing-to-start"
    exit_code = 2
    fix = "Write `start TYPE` with a type of the Procfile, a command, or `bash` for a shell."


@dataclass(frozen=True, slots=True)
class Start:
    """A process of a slug: what to execute, with which whole environment, in which directory."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str


def commands(root: BuildRoot, app: str) -> dict[str, str]:
    """The command of each process type of the slug at ``app``: the Procfile's before those of ``.release``."""
    return {**_release(root, app).default_process_types, **_procfile(root, app).commands}


def command_of(root: BuildRoot, app: str, kind: str) -> str:
    """The command of process type ``kind``; raises UnknownType."""
    known = commands(root, app)
    if kind not in known:
        raise UnknownType(f"Proc entrypoint {kind} does not exist. Please check your Procfile", why=_listing(known))
    return known[kind]


def plan_start(root: BuildRoot, app: str, args: Sequence[str], environment: Mapping[str, str]) -> Start:
    """What ``args`` ask for: ``start TYPE``, one text for the shell, or a program and its arguments as they are.

    Without any, the web process. The config variables of ``.release`` and ``$PORT`` are set where ``environment`` has
    them not. Raises UnknownType, NothingToStart, and BadRelease or BadProcfile for files that cannot be read.
    """
    env = {**_release(root, app).config_vars, "PORT": DEFAULT_PORT, **environment, "HOME": app}
    return Start(("bash", "-c", SCRIPT, "start", app, *_command(root, app, args)), env, app)


def _command(root: BuildRoot, app: str, args: Sequence[str]) -> tuple[str, ...]:
    match list(args):
        case [] | ["start"]:
            known = commands(root, app)
            if "web" not in known:
                raise NothingToStart("There is nothing to start", why=_listing(known))
            return ("-c", known["web"])
        case ["start", kind, *more]:
            return ("-c", " ".join([command_of(root, app, kind), *more]))
        case [text]:
            return ("-c", text)
        case _:
            return tuple(args)


def _listing(known: Mapping[str, str]) -> str:
    return f"the slug has {', '.join(sorted(known))}" if known else "the slug has no process type"


def _procfile(root: BuildRoot, app: str) -> Procfile:
    raw = root.read(f"{app}/Procfile")
    return Procfile(()) if raw is None else parse_procfile(raw, "herokuish")


def _release(root: BuildRoot, app: str) -> Release:
    raw = root.read(f"{app}/.release")
    return Release({}, {}, ()) if raw is None else parse_release(raw, "the slug's .release")
