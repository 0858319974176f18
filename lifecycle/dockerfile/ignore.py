"""What of a build context is left out: the rules of ``.dockerignore``.

Source: the Dockerfile reference, ".dockerignore file" and "Filename and location" of build contexts.
"""

from __future__ import annotations

import os
from pathlib import Path

from lifecycle.dockerfile.patterns import BadPattern, Matcher, clean
from lifecycle.errors import PylifeError
from lifecycle.record import dataclass

_SHARED_NAMES = (".containerignore", ".dockerignore")


class BadIgnoreFile(PylifeError):
    """A line of an ignore file is no pattern."""

    code = "dockerfile.bad-ignore-file"
    fix = "Correct the pattern: * and ? stop at a /, ** does not, [..] is a set, \\ makes the next character literal."


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules of one ignore file, ``name``: the last pattern that matches a path or a directory above it decides."""

    name: str
    matcher: Matcher

    @classmethod
    def parse(cls, data: bytes, name: str = ".dockerignore") -> IgnoreRules:
        """The rules in ``data``; raises BadIgnoreFile, which names the line."""
        patterns = []
        for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
            text = line.decode("utf-8", "surrogateescape")
            pattern = "" if text.startswith("#") else _normal(text)
            try:
                Matcher([pattern])
            except BadPattern as error:
                why = f"{error.what}: {error.why}"
                where = f"{name}:{number}"
                raise BadIgnoreFile("The ignore file cannot be read", why=why, where=where, details=text) from error
            patterns.append(pattern)
        return cls(name, Matcher(patterns))

    def __bool__(self) -> bool:
        return bool(self.matcher)

    @property
    def takes_back(self) -> bool:
        """True when a pattern begins with ``!``."""
        return any(pattern.negated for pattern in self.matcher.patterns)

    def ignores(self, path: str, is_dir: bool = False) -> bool:
        """True when ``path`` (relative, clean) is left out.

        These rules ask for no kind of file: ``is_dir`` is there so that a walk can take other rules in their place.
        A directory that is left out stands in the context all the same when something beneath it is not.
        """
        return self.matcher.matches(path)

    def may_contain(self, path: str) -> bool:
        """False when everything beneath the ignored directory ``path`` is certainly ignored too."""
        return self.matcher.may_differ_below(path)


@dataclass(frozen=True, slots=True)
class WithoutHome:
    """Rules that hide one directory more: pylife's own, which changes while its content is being read."""

    rules: IgnoreRules
    home: str

    def ignores(self, path: str, is_dir: bool) -> bool:
        """True when ``path`` is pylife's, or the rules leave it out."""
        return self._is_ours(path) or self.rules.ignores(path, is_dir)

    def may_contain(self, path: str) -> bool:
        """False when everything beneath the ignored directory ``path`` is certainly ignored too."""
        return not self._is_ours(path) and self.rules.may_contain(path)

    def _is_ours(self, path: str) -> bool:
        return path == self.home or path.startswith(self.home + "/")


def without_home(rules: IgnoreRules, directory: Path, home: Path) -> IgnoreRules | WithoutHome:
    """The rules for ``directory`` when ``home`` ($PYLIFE_HOME) may be beneath it."""
    inside = os.path.relpath(os.path.realpath(home), os.path.realpath(directory))
    return rules if inside == "." or inside.partition("/")[0] == ".." else WithoutHome(rules, inside)


NOTHING_IGNORED = IgnoreRules("", Matcher(()))


def find_ignore_file(context: Path, dockerfile: Path) -> Path | None:
    """The ignore file that holds for ``context`` when ``dockerfile`` is built; None when there is none.

    The Dockerfile's own (``Dockerfile.dockerignore`` beside it) comes first, then the context's ``.containerignore``
    and ``.dockerignore``.
    """
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    return next((path for path in (own, *(context / name for name in _SHARED_NAMES)) if path.is_file()), None)


def load_ignore_rules(context: Path, dockerfile: Path) -> IgnoreRules:
    """The rules of ``find_ignore_file``'s answer; nothing is ignored where there is none."""
    path = find_ignore_file(context, dockerfile)
    return NOTHING_IGNORED if path is None else IgnoreRules.parse(path.read_bytes(), path.name)


def _normal(line: str) -> str:
    """The pattern in a line: without blanks around it and the one slash that may begin it."""
    text = line.strip()
    negated = text.startswith("!")
    text = clean(text[negated:].strip())
    return "!" * negated + (text.removeprefix("/") if text != "/" else text)
