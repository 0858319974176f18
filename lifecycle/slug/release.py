"""What buildpacks' bin/release say, and how it goes together with the Procfile.

Source: Heroku's Dev Center, "Buildpack API", "bin/release" and "Using Multiple Buildpacks for an App"; herokuish
(buildpack-execute) and heroku-buildpack-multi: the last buildpack's release is the app's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.slug.procfile import Procfile

PROCFILE = "Procfile"
"""The origin of the types that the app itself names."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPE = re.compile(r"[A-Za-z0-9_.-]+")
_NOTHING = (None, "", "~", "null")


class BadRelease(PylifeError):
    """What a buildpack's bin/release printed cannot be used."""

    code = "slug.bad-release"
    fix = (
        "Report it to the buildpack's author: bin/release prints one YAML mapping, such as\n"
        "default_process_types:\n  web: bin/server\nand nothing else on its standard output."
    )


@dataclass(frozen=True, slots=True)
class Release:
    """A buildpack's defaults for the app: variables, processes, and the add-ons it would like."""

    config_vars: Mapping[str, str]
    default_process_types: Mapping[str, str]
    addons: tuple[str, ...] = ()


NO_RELEASE = Release({}, {})


@dataclass(frozen=True, slots=True)
class Types:
    """The processes of an app: ``commands`` in order, the Procfile's first; ``origins`` says where each is from.

    ``declared`` are the Procfile's types and ``default`` the release's, both sorted; a type may be in both.
    ``warnings`` are sentences for the user.
    """

    commands: Mapping[str, str]
    origins: Mapping[str, str]
    config_vars: Mapping[str, str]
    declared: tuple[str, ...] = ()
    default: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def uploaded(self) -> dict[str, str]:
        """What platforms are sent: the Procfile's processes; the release's when the Procfile names none."""
        wanted = self.declared or self.default
        return {type: command for type, command in self.commands.items() if type in wanted}


def parse_release(raw: bytes, buildpack: str) -> Release:
    """What ``buildpack``'s bin/release printed; nothing at all is a release too. Raises BadRelease."""
    from lifecycle.slug.yaml import BadYaml, load

    try:
        found = load(raw)
    except BadYaml as error:
        _refuse(raw, buildpack, f"it is no YAML: {error.why}", error.line)
    if found in _NOTHING:
        return NO_RELEASE
    if not isinstance(found, dict):
        _refuse(raw, buildpack, "it is no mapping")
    variables = _texts(found, "config_vars", raw, buildpack)
    processes = _texts(found, "default_process_types", raw, buildpack)
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name) or "\0" in value:
            _refuse(raw, buildpack, f"config_vars names {name!r}, which no environment variable can be")
    for type, command in processes.items():
        if not _TYPE.fullmatch(type):
            _refuse(raw, buildpack, f"the process type {type!r} has characters that a type cannot have")
        if not command.strip():
            _refuse(raw, buildpack, f"the process {type} has no command")
    addons = found.get("addons")
    if addons in _NOTHING or addons == {}:
        addons = []
    if isinstance(addons, str):  # without dashes, as the buildpacks of Java, Scala and Play have always printed it
        addons = addons.split()
    if not isinstance(addons, list) or not all(isinstance(addon, str) for addon in addons):
        _refuse(raw, buildpack, "addons is no list of names")
    return Release(variables, {type: command.strip() for type, command in processes.items()}, tuple(addons))


def _texts(document: Mapping[object, object], key: str, raw: bytes, buildpack: str) -> dict[str, str]:
    found = document.get(key)
    if found in _NOTHING:
        return {}
    if found == [] or not isinstance(found, dict):
        if found == []:  # Ruby's empty hash, written by hand
            return {}
        _refuse(raw, buildpack, f"{key} is no mapping")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, str):
            _refuse(raw, buildpack, f"{key} has something other than a text for {name}")
    return dict(found)


def _refuse(raw: bytes, buildpack: str, why: str, line: int = 0) -> NoReturn:
    lines = raw.decode("utf-8", "backslashreplace").splitlines()
    first = max(line - 2, 1)
    details = "\n".join(f"{number}: {text[:200]}" for number, text in enumerate(lines[first - 1 : first + 4], first))
    where = f"bin/release, line {line}" if line else "bin/release"
    raise BadRelease(
        f"The release of the buildpack {buildpack} cannot be read", why=why, where=where, details=details or None
    )


def render_release(release: Release) -> bytes:
    """The slug's ``.release``."""
    from lifecycle.slug.yaml import dump

    document: dict[str, object] = {
        "addons": list(release.addons),
        "config_vars": dict(release.config_vars),
        "default_process_types": dict(release.default_process_types),
    }
    return dump(document, start=True).encode()


def merge(procfile: Procfile | None, releases: Sequence[tuple[str, Release]]) -> Types:
    """The app's processes: the Procfile's, and with them those that only the last buildpack's release has.

    ``releases`` are (buildpack, release) in the order of the buildpacks; the last alone counts, as in the family.
    """
    name, release = releases[-1] if releases else ("", NO_RELEASE)
    declared = procfile.commands if procfile is not None else {}
    defaults = {type: command for type, command in release.default_process_types.items() if type not in declared}
    warnings: list[str] = []
    for earlier, other in releases[:-1]:
        lost = sorted(set(other.default_process_types) - set(declared) - set(release.default_process_types))
        if lost and not (declared or release.default_process_types):
            named = ", ".join(lost)
            warnings.append(
                f"{earlier} offers the process types {named}, but the last buildpack decides, and {name} names none: "
                f"name them in a Procfile, or put {earlier} last."
            )
    return Types(
        {**declared, **defaults},
        {**dict.fromkeys(declared, PROCFILE), **dict.fromkeys(defaults, name)},
        dict(release.config_vars),
        tuple(sorted(declared)),
        tuple(sorted(release.default_process_types)),
        tuple(warnings),
    )


def default_type(commands: Collection[str]) -> str:
    """The process that an image starts by itself: ``web``, or the only one; "" when none of several is to be first."""
    return "web" if "web" in commands else next(iter(commands)) if len(commands) == 1 else ""


def render_config_vars(vars: Mapping[str, str]) -> bytes:
    """The file ``.profile.d/00_config_vars.sh``: each variable has its value unless the environment gives it one.

    ``PATH`` always has it: every image gives one, so a buildpack's would never be the app's.
    """
    lines = []
    for name, value in sorted(vars.items()):
        quoted = "'" + value.replace("'", "'\\''") + "'"
        lines.append(f"{name}={quoted if name == 'PATH' else f'${{{name}:-{quoted}}}'}\nexport {name}\n")
    return "".join(lines).encode("utf-8", "surrogateescape")
