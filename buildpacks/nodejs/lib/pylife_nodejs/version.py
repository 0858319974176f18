"""Which Node.js the app asks for, and where it says so."""

from __future__ import annotations

import os

from pylife_sdk.output import fail

from pylife_nodejs.project import Project
from pylife_nodejs.semver import Range, RangeError, parse_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "BP_NODE_VERSION"
# Majors with long-term support, and those whose support has ended.
LTS = frozenset({18, 20, 22, 24, 26})
ENDED = frozenset({*range(21), 21, 23, 25})
_NAMES = {
    "argon": 4,
    "boron": 6,
    "carbon": 8,
    "dubnium": 10,
    "erbium": 12,
    "fermium": 14,
    "gallium": 16,
    "hydrogen": 18,
    "iron": 20,
    "jod": 22,
    "krypton": 24,
    "lithium": 26,
}


class Wish:
    """A range of versions and who asks for it: ``origin`` is such as ".nvmrc:1"."""

    __slots__ = ("origin", "range", "text")

    def __init__(self, text: str, origin: str, range: Range) -> None:
        self.text, self.origin, self.range = text, origin, range

    def __str__(self) -> str:
        return f"{self.text} ({self.origin})"


class Wishes:
    """All that has a say, the first one above the others. ``files`` are those that were read."""

    __slots__ = ("files", "wishes")

    def __init__(self, wishes: list[Wish], files: list[str]) -> None:
        self.wishes, self.files = wishes, files

    def __str__(self) -> str:
        return " and ".join(map(str, self.wishes)) or "the newest with long-term support (nothing asks for another)"

    @property
    def text(self) -> str:
        """The wish in the app's own words."""
        return " and ".join(wish.text for wish in self.wishes) or "lts"

    def allows(self, version: str, *, count: int = 2) -> bool:
        """Whether a version fulfils the first ``count`` wishes. A range without an end takes long-term support only."""
        heard = self.wishes[:count]
        parsed = parse_version(version)
        if parsed is None or not all(wish.range.allows(parsed) for wish in heard):
            return False
        return parsed.main[0] in LTS or any(not wish.range.open_ended for wish in heard)

    def only_in_range(self, version: str) -> bool:
        """Whether a version fulfils the first wish, with long-term support or without."""
        return not self.wishes or self.wishes[0].range.allows(version)


def read_wishes(project: Project, env: Mapping[str, str]) -> Wishes:
    """What the variable, engines.node, version files and volta ask for, in this order; two of them at most.

    Raises ``Failure`` for a range or a version file that says nothing npm or nvm understand.
    """
    wishes: list[Wish] = []
    files: list[str] = []
    if asked := env.get(VARIABLE, "").strip():
        return Wishes([_wish(asked, f"${VARIABLE}")], files)
    manifests = [project.manifest, *([project.root] if project.nested else [])]
    for manifest in manifests:
        if manifest.exists:
            files.append(manifest.shown)
        engine = manifest.table("engines").get("node")
        if engine is not None and not wishes:
            wishes.append(_wish(str(engine), f"engines.node of {manifest.shown}"))
    for name in (".nvmrc", ".node-version"):
        for directory in dict.fromkeys((project.manifest.directory, project.root.directory, project.app)):
            path = os.path.join(directory, name)
            if os.path.isfile(path):
                shown = project.shown(path)
                files.append(shown)
                wishes.append(_file(path, shown))
                return Wishes(wishes[:2], files)
    for manifest in manifests:
        volta = manifest.table("volta").get("node")
        runtime = manifest.table("devEngines", "runtime")
        if isinstance(volta, str):
            wishes.append(_wish(volta, f"volta.node of {manifest.shown}"))
        elif runtime.get("name") == "node" and isinstance(runtime.get("version"), str):
            wishes.append(_wish(str(runtime["version"]), f"devEngines.runtime of {manifest.shown}"))
    return Wishes(wishes[:2], files)


def _wish(text: str, origin: str) -> Wish:
    try:
        # "latest" and the like are words of people, not of npm's ranges.
        return Wish(text, origin, Range("*" if text.lower() in ("latest", "lts", "lts/*", "current") else text))
    except RangeError:
        fail(
            "node.version-syntax",
            f"{origin} is no range of versions that npm understands: {text!r}.",
            found=f"{origin}: {text}",
            fix='Write a version or a range, such as "24.x", "^22.12.0" or ">=20 <25".',
        )


def _file(path: str, shown: str) -> Wish:
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        lines = [(number, line.split("#")[0].strip()) for number, line in enumerate(file, 1)]
    written = [(number, line) for number, line in lines if line]
    if len(written) != 1:
        fail(
            "node.version-file",
            f"{shown} names {'no version' if not written else 'several versions'}; it is to name one.",
            found="\n".join(f"{shown}:{number}: {line}" for number, line in written) or f"{shown} is empty",
            fix=f"echo 24 > {shown}",
        )
    number, text = written[0]
    word = text.lower().removeprefix("node/").removeprefix("lts/")
    origin = f"{shown}:{number}"
    if word in ("*", "node", "stable", "lts"):
        return Wish(text, origin, Range("*"))
    if word in _NAMES:
        return Wish(text, origin, Range(f"{_NAMES[word]}.x"))
    try:
        return Wish(text, origin, Range(word))
    except RangeError:
        fail(
            "node.version-file",
            f"{shown} names no version of Node.js: {text!r}.",
            found=f"{origin}: {text}",
            fix=f"Write a version such as 24, 22.12.0 or lts/krypton:\necho 24 > {shown}",
        )
