"""The programs of slugbuilder, slugrunner and herokuish images: each name stands for a command of ``pylife slug``.

In the images every name is a link to the one program (``lifecycle.builder.slug.LINKS``); the commands work on the
container itself there. Source: deis/slugbuilder ``/builder/build.sh``, deis/slugrunner ``/runner/init``; herokuish,
``/build``, ``/start``, ``/exec`` and the program itself.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import NoReturn

PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "pylife": (),
    "herokuish": ("slug",),
    "build": ("slug", "buildpack", "build"),
    "start": ("slug", "procfile", "start"),
    "exec": ("slug", "procfile", "exec"),
    "init": ("slug", "init"),
}
"""Program → the words in front of its arguments. ``build.sh`` is not among them: it reads its argument first."""
SLUG = "/tmp/slug.tgz"
"""Source: deis/slugbuilder, slug_file; Dockerfiles copy it from there into a slugrunner."""
_COMMANDS = ("start", "exec", "init")
"""Programs whose arguments are another program's: none of them is an option of pylife's."""


def dispatch(argv: Sequence[str]) -> NoReturn:
    """Be the program that ``argv[0]`` names (``/runner/init``), and exit with its code."""
    from lifecycle.cli import main

    main(words(argv, os.environ))


def words(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The command line of pylife that a program's name and arguments stand for.

    Does not return for ``build.sh`` with the name of a program: a container's command may be one, and takes the place.
    """
    name, arguments = os.path.basename(argv[0]), tuple(argv[1:])
    if name == "build.sh" or (name == "build" and (arguments or _is_pod(environment))):
        return _slugbuilder(arguments, environment)
    front = PROGRAMS.get(name, ())
    return (*front, "--", *arguments) if name in _COMMANDS and arguments else (*front, *arguments)


def _is_pod(environment: Mapping[str, str]) -> bool:
    from lifecycle.app.slug.order import is_ordered

    return is_ordered(environment)


def _slugbuilder(arguments: tuple[str, ...], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The slugbuilder: its one argument is where the slug goes, ``-`` for standard output; without one, and without the
    variables of a pod, a file of the container."""
    if not arguments and not _is_pod(environment):
        return ("slug", "build", "--output", SLUG)
    first = arguments[0] if arguments else ""
    if first and first != "-" and (program := shutil.which(first)):
        os.execv(program, arguments)
    option = first.startswith("-") and first != "-"
    return ("slug", "build", *(() if not first or option else ("--output",)), *arguments)
