"""Which Java: what the app asks for and where it says so."""

from __future__ import annotations

import os

from pylife_sdk.output import fail

from pylife_java.properties import read_properties

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pylife_java.pom import Pom

DEFAULT = "17"
_ORDER = "BP_JVM_VERSION, system.properties, .java-version, .sdkmanrc"


class Choice:
    """The Java that is wanted. ``wanted`` is a release or an exact version, as ``17`` or ``17.0.9``; ``origin`` a
    clause for people that tells where that is said; ``line`` that line itself; ``at_least`` when a newer one does."""

    __slots__ = ("at_least", "line", "notes", "origin", "wanted")

    def __init__(
        self, wanted: str, origin: str, line: str = "", notes: tuple[str, ...] = (), at_least: bool = False
    ) -> None:
        self.wanted, self.origin, self.line, self.notes, self.at_least = wanted, origin, line, notes, at_least

    def matches(self, version: str) -> bool:
        """Whether a version such as ``17.0.15+6`` is what is wanted."""
        have, want = numbers(version), numbers(self.wanted)
        return have[0] >= want[0] if self.at_least else have[: len(want)] == want


def numbers(version: str) -> tuple[int, ...]:
    """A version's numbers for comparing: ``1.8.0_392`` is 8.0.392, and what follows ``+`` or ``-`` is left out."""
    digits = version.split("+")[0].split("-")[0].replace("_", ".").split(".")
    parts = tuple(int(part) for part in digits if part.isdigit())
    return (parts[1:] if parts[:1] == (1,) and len(parts) > 1 else parts) or (0,)


def major(version: str) -> int:
    """The feature release: 17 of ``17.0.15``, 8 of ``1.8``."""
    return numbers(version)[0]


def choose(app: str, env: Mapping[str, str], pom: Pom | None = None, needed: int = 0) -> Choice:
    """The Java for the app, in the order of BP_JVM_VERSION, system.properties, .java-version, .sdkmanrc, the pom.

    ``needed`` is the release that a prebuilt archive's classes need. Raises ``Failure`` for words that name no version.
    """
    asking = [found for read in _READERS if (found := read(app, env)) is not None]
    release = _of_pom(pom) if pom is not None else None
    if asking:
        first, others = asking[0], asking[1:]
        notes = [
            f"{other.origin} asks for Java {other.wanted} and is not followed: {first.origin} comes first"
            for other in others
            if major(other.wanted) != major(first.wanted)
        ]
        first.notes += tuple(notes)
        return first
    if release is not None:
        if major(release.wanted) <= major(DEFAULT):
            why = f"Java {DEFAULT} compiles for release {release.wanted}, asked for by {release.origin}"
            return Choice(DEFAULT, why, release.line)
        return release
    if needed > major(DEFAULT):
        return Choice(str(needed), f"the app's classes are compiled for Java {needed}", at_least=True)
    return Choice(DEFAULT, f"nothing asks for another ({_ORDER}, the pom)")


def _of_variable(app: str, env: Mapping[str, str]) -> Choice | None:
    text = env.get("BP_JVM_VERSION", "").strip()
    return _choice(text, "BP_JVM_VERSION", f"BP_JVM_VERSION={text}") if text else None


def _system_properties(app: str, env: Mapping[str, str]) -> Choice | None:
    found = read_properties(os.path.join(app, "system.properties")).get("java.runtime.version")
    if found is None:
        return None
    return _choice(found[0], f"system.properties:{found[1]}", f"java.runtime.version={found[0]}")


def _java_version(app: str, env: Mapping[str, str]) -> Choice | None:
    for number, line in _lines(os.path.join(app, ".java-version")):
        return _choice(line, f".java-version:{number}", line)
    return None


def _sdkmanrc(app: str, env: Mapping[str, str]) -> Choice | None:
    for number, line in _lines(os.path.join(app, ".sdkmanrc")):
        name, _, value = line.partition("=")
        if name.strip() == "java":
            return _choice(value.strip(), f".sdkmanrc:{number}", line)
    return None


_READERS: tuple[Callable[[str, Mapping[str, str]], Choice | None], ...] = (
    _of_variable,
    _system_properties,
    _java_version,
    _sdkmanrc,
)


def _of_pom(pom: Pom) -> Choice | None:
    if pom.release is None:
        return None
    text, where = pom.release
    bare = where.rpartition("<")[2].rstrip(">")
    line = pom.line_of(f"<{bare}>")
    origin = f"{where} at {pom.name}:{line}"
    return _choice(text, origin, pom.lines[line - 1].strip())


def _choice(text: str, origin: str, line: str) -> Choice:
    """A version out of what people write: ``17``, ``17.0.9``, ``zulu-17.0.1``, ``17.0.9-tem``, ``1.8``."""
    bare = text.removesuffix(".*").removesuffix(".x")
    parts = [part.removeprefix("v").split("+")[0] for part in bare.lower().replace("_", ".").split("-")]
    named = [part for part in parts if all(each.isdigit() for each in part.split("."))]
    if not named:
        fail(
            "java.version-invalid",
            f"{origin} does not name a Java version.",
            found=line or repr(text),
            fix=f"Write a release such as {DEFAULT} or an exact version such as 17.0.9 there.",
        )
    return Choice(".".join(str(number) for number in numbers(named[0])), origin, line)


def _lines(path: str) -> list[tuple[int, str]]:
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            lines = enumerate((line.strip() for line in file), 1)
            return [(number, line) for number, line in lines if line and not line.startswith("#")]
    except FileNotFoundError:
        return []
