""".slugignore: what of an app's source stays out of its build and its slug.

Patterns are those of .gitignore, relative to the app's root, except that nothing can be taken back with ``!``. As in
the tools of the family, blanks around a pattern are no part of it and ``./`` in front stands for the root.

Source: Heroku's Dev Center, "Slug Compiler", "Ignoring files with .slugignore"; deis slugbuilder and herokuish hand the
file to tar, whose names begin with ``./``.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from lifecycle.archive.tree import Tree
from lifecycle.errors import PylifeError
from lifecycle.record import dataclass
from lifecycle.source.ignore import Filter, IgnoreRules, Pattern, parse_pattern

_GIT = Filter.of().exclude.patterns
_BLANKS_AFTER = re.compile(r"(?<!\\)[ \t]+$")


class BadSlugIgnore(PylifeError):
    """.slugignore is no UTF-8 text: obeyed in part, it would let into the slug what is to stay out."""

    code = "slug.bad-slugignore"
    fix = (
        "Save it as UTF-8. From PowerShell's UTF-16:\niconv -f UTF-16 -t UTF-8 .slugignore > tmp && mv tmp .slugignore"
    )


@dataclass(frozen=True, slots=True)
class SlugIgnore:
    """The rules of one file; ``warnings`` are sentences for the user about lines that are not obeyed."""

    rules: IgnoreRules = IgnoreRules()
    warnings: tuple[str, ...] = ()

    def matches(self, path: str, is_dir: bool = False) -> bool:
        """Whether ``path``, relative to the app's root, or a directory above it is to stay out."""
        return self.rules.ignores(path, is_dir)

    def filter(self) -> Filter:
        """What of a source directory is copied: all but what stays out, and ``.git``."""
        return Filter(IgnoreRules((*_GIT, *self.rules.patterns)))


def parse_slugignore(raw: bytes, file: str = ".slugignore") -> SlugIgnore:
    """The rules in ``raw``; ``file`` names it in messages. Raises BadSlugIgnore."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadSlugIgnore(f"{file} is not UTF-8 text", why=str(error), where=file) from error
    if "\0" in text:
        raise BadSlugIgnore(f"{file} is not UTF-8 text", why="it has NUL bytes", where=file)
    patterns: list[Pattern] = []
    warnings: list[str] = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        written = _BLANKS_AFTER.sub("", line.lstrip(" \t"))
        if not written or written.startswith("#"):
            continue
        if written.startswith("!"):
            warnings.append(f"{file}:{number}: {written} is not obeyed: nothing can be taken back in a slug's rules.")
            continue
        pattern = parse_pattern(written[1:] if written.startswith("./") else written)
        if pattern is None:
            warnings.append(f"{file}:{number}: {written} is not obeyed: it can match no file.")
            continue
        patterns.append(pattern)
    rules = IgnoreRules(tuple(patterns))
    if rules.ignores("Procfile"):
        warnings.append(f"{file} names the Procfile, so the app loses the processes that it declares.")
    return SlugIgnore(rules, tuple(warnings))


def count_ignored(directory: Path, ignore: SlugIgnore) -> int:
    """How many files of ``directory`` stay out of the slug; symbolic links count and are not followed."""
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    tree = Tree(root)
    files = 0
    try:
        waiting = [(b"", False)]
        while waiting:
            path, ignored = waiting.pop()
            here = tree.open(path)
            for name in map(os.fsencode, os.listdir(here.fd)):
                below = path + b"/" + name if path else name
                is_dir = stat.S_ISDIR(os.stat(name, dir_fd=here.fd, follow_symlinks=False).st_mode)
                out = ignored or ignore.rules.verdict(os.fsdecode(below), is_dir) is True
                if is_dir:
                    waiting.append((below, out))
                else:
                    files += out
    finally:
        tree.close()
        os.close(root)
    return files
