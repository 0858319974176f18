"""Which of the buildpacks build an app, by asking them."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.buildpack.tree import BuildRoot
from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.slug.buildpack import ClassicBuildpack, Detection, Surroundings, crlf_fix, detect
from lifecycle.slug.moments import Detected, Detecting, Journal, NothingDetected
from lifecycle.slug.selection import Mode

_SHOWN = 20
_MISSPELT = ("procfile", "procfile.txt", "procfile.yml", "procfile.yaml")


class NoBuildpackDetected(PylifeError):
    """None of the builder's buildpacks takes the app."""

    code = "slug.nothing-detected"
    fix = (
        "Check that the app's own files are at the top of the source (requirements.txt, package.json, pom.xml, …) and "
        "not left out by .slugignore, or name a buildpack: --buildpack, BUILDPACK_URL, .buildpacks."
    )


class BuildpackNotDetected(PylifeError):
    """A buildpack that was asked for does not take the app."""

    code = "slug.not-detected"
    fix = (
        "Add the file that the buildpack looks for, or take the buildpack off the list (BUILDPACK_URL, .buildpacks, "
        "REQUIRED_BUILDPACKS)."
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """A buildpack that is to build the app. ``kind`` is what it called it; None when it is to be asked again, once
    those before it have compiled: it may look for what they make."""

    buildpack: ClassicBuildpack
    kind: str | None


def detect_all(
    buildpacks: Sequence[ClassicBuildpack], mode: Mode, around: Surroundings, journal: Journal
) -> tuple[Choice, ...]:
    """The buildpacks that build the app, in order.

    Of the builder's own (mode ``default``) the first that takes it; the others that would are told. Of those asked for
    all, and each must. Raises NoBuildpackDetected, BuildpackNotDetected.
    """
    if mode != "default" and buildpacks:
        choices: list[Choice] = []
        for buildpack in buildpacks:
            found = _ask(buildpack, around, journal)
            if found.kind is None and not choices:
                raise _refusal(buildpack, found, mode, around.root, journal)
            choices.append(Choice(buildpack, found.kind))
        return tuple(choices)
    taking: list[Choice] = []
    for buildpack in buildpacks:
        if buildpack.last_resort and taking:
            continue
        journal.tell(Detecting(buildpack.name))
        if kind := detect(buildpack, around).kind:
            taking.append(Choice(buildpack, kind))
    if not taking:
        tried = tuple(buildpack.name for buildpack in buildpacks)
        journal.tell(NothingDetected(tried))
        why = f"none of {', '.join(tried)} takes the app" if tried else "the builder has no buildpack"
        raise NoBuildpackDetected("Unable to select a buildpack", why=why, details=_listing(around))
    first = taking[0]
    others = tuple(choice.buildpack.name for choice in taking[1:])
    journal.tell(Detected(first.kind or "", first.buildpack.name, others))
    return (first,)


def insist(choice: Choice, mode: Mode, around: Surroundings, exports: Sequence[str], journal: Journal) -> str:
    """What the buildpack calls the app, asked again where it did not take it at first. Raises BuildpackNotDetected."""
    if choice.kind is not None:
        return choice.kind
    again = _ask(choice.buildpack, around, journal, exports)
    if again.kind is None:
        raise _refusal(choice.buildpack, again, mode, around.root, journal)
    return again.kind


def _ask(buildpack: ClassicBuildpack, around: Surroundings, journal: Journal, exports: Sequence[str] = ()) -> Detection:
    journal.tell(Detecting(buildpack.name))
    found = detect(buildpack, around, exports)
    if found.kind is not None:
        journal.tell(Detected(found.kind, buildpack.name))
    return found


def _refusal(
    buildpack: ClassicBuildpack, found: Detection, mode: Mode, root: BuildRoot, journal: Journal
) -> BuildpackNotDetected:
    journal.tell(NothingDetected((buildpack.name,), custom=True))
    what = "Unable to select a buildpack"
    if mode == "multi":
        what = f"Couldn't detect any framework for this buildpack: {buildpack.name}"
    why = f"bin/detect of {buildpack.name} exited with {found.exit_code}"
    fix = crlf_fix(f"{buildpack.path}/bin/detect", root)
    return BuildpackNotDetected(what, why=why, details="\n".join(found.output) or None, fix=fix)


def _listing(around: Surroundings) -> str:
    """What is at the top of the source, for people."""
    names = around.root.names(around.paths.build)
    more = f"\n… and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    if not names:
        return "The source is empty."
    meant = [name for name in names if name.lower() in _MISSPELT and name != "Procfile"]
    hint = f"\n\n{meant[0]} counts for nothing: a Procfile's name is exactly Procfile." if meant else ""
    return f"The source holds:\n{chr(10).join(names[:_SHOWN])}{more}{hint}"
