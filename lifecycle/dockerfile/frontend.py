"""Which program ``# syntax=`` asks to read the Dockerfile: only the built-in one is known."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lifecycle.dockerfile.ast import File
from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.location import Location

VARIABLE = "BUILDKIT_SYNTAX"

# docker/dockerfile, docker/dockerfile-upstream, and both below any registry and folder; a tag and a digest may follow
_BUILT_IN = re.compile(
    r"(?:[\w.:\[\]-]+/)*docker/dockerfile(?:-upstream)?(?::[\w][\w.-]{0,127})?(?:@[\w+.-]+:[0-9a-fA-F]+)?|dockerfile\.v0",
    re.ASCII,
)


class OtherFrontend(DockerfileError):
    """The Dockerfile is to be read by another program than the one that is built in."""

    code = "dockerfile.other-frontend"
    fix = "Remove the line, or write `# syntax=docker/dockerfile:1`: that frontend is built in and is never pulled."


def check_frontend(file: File, build_args: Mapping[str, str]) -> None:
    """Raises OtherFrontend when the directive, or BUILDKIT_SYNTAX, names another frontend than Docker's own."""
    given = build_args.get(VARIABLE)
    directive = file.directives.get("syntax")
    value = given or (directive.value if directive else "")
    name = value.split(" ", 1)[0]
    if not name or is_built_in(name):
        return
    what = f"the Dockerfile asks for the frontend {name}, which pylife does not run"
    if given or directive is None:
        fix = f"Leave {VARIABLE} out, or give it the value docker/dockerfile:1."
        raise OtherFrontend(what, why=f"the build argument {VARIABLE} names it", fix=fix, where=file.name)
    location = Location(file.name, directive.location.line, directive.location.line)
    raise OtherFrontend.at(location, file.lines, what, word=name)


def is_built_in(name: str) -> bool:
    """Whether ``name`` is Docker's own frontend, of any version, from any registry."""
    return _BUILT_IN.fullmatch(name) is not None
