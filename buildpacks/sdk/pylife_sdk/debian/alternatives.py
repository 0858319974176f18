"""What update-alternatives would link, read from maintainer scripts without running them."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence

from pylife_sdk.process import run

_CALL = re.compile(r"update-alternatives\s+((?:[^;&|\n]|\\\n)*)")
_ASSIGNMENT = re.compile(r"^\s*(?:local\s+)?([A-Za-z_][A-Za-z0-9_]*)=(\"[^\"$`]*\"|'[^']*'|[^\s\"'$`;]+)\s*$", re.M)
_LOOP = re.compile(r"\bfor\s+([A-Za-z_][A-Za-z0-9_]*)\s+in\s+([A-Za-z0-9_./+${} \t-]+?)\s*(?:;|\n)")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


def script_of(archive: str, cwd: str) -> str:
    """A package's postinst, "" when it has none."""
    ran = run(["dpkg-deb", "-I", archive, "postinst"], env={**os.environ, "LC_ALL": "C"}, cwd=cwd, show=None)
    return "" if ran.code else ran.output


def make_alternatives(scripts: Sequence[str], root: str) -> list[str]:
    """Makes the links below ``root`` that the scripts' calls ask for; "convert -> convert-im6.q16" for each.

    Words may depend on plain assignments and on loops over plain words; a call that depends on more is passed over.
    As with update-alternatives, the highest priority wins.
    """
    asked = [each for script in scripts for each in _asked(script.replace("\\\n", " "))]
    made = []
    for _, link, target in sorted(asked, key=lambda each: -each[0]):
        if _link(root, link, target):
            made.append(f"{os.path.basename(link)} -> {os.path.basename(target)}")
    return sorted(made)


def _asked(script: str) -> Iterator[tuple[int, str, str]]:
    """Priority, link and target of each option --install, and of the --slave options beside it."""
    values = {match[1]: [match[2].strip("\"'")] for match in _ASSIGNMENT.finditer(script)}
    for loop in _LOOP.finditer(script):
        over: list[str] = []
        for word in loop[2].split():
            name = match[1] or match[2] if (match := _VARIABLE.fullmatch(word)) else ""
            over += values[name][0].split() if name in values else [word]
        values[loop[1]] = over
    for call in _CALL.finditer(script):
        for text in _expand(call[1], values):
            try:
                words = shlex.split(text)
            except ValueError:
                continue
            priority = 0
            for position, word in enumerate(words):
                if word == "--install" and len(words) > position + 4:
                    priority = int(words[position + 4]) if words[position + 4].isdigit() else 0
                elif word != "--slave" or len(words) <= position + 3:
                    continue
                yield priority, words[position + 1], words[position + 3]


def _expand(text: str, values: dict[str, list[str]]) -> Iterator[str]:
    """The text with each value of its variables; those without a plain value stay as they are."""
    known = (match[1] or match[2] for match in _VARIABLE.finditer(text))
    name = next((name for name in known if name in values), None)
    if name is None:
        yield text
        return
    rest = {other: found for other, found in values.items() if other != name}
    for value in values[name]:
        replaced = re.sub(rf"\$(?:\{{{name}\}}|{name}\b)", lambda _, value=value: value, text)  # type: ignore[misc]
        yield from _expand(replaced, rest)


def _link(root: str, link: str, target: str) -> bool:
    if "$" in link + target or not link.startswith("/usr/") or ".." in link.split("/") or "/man/" in link:
        return False
    path, aim = root + link, root + target
    if os.path.lexists(path) or not os.path.lexists(aim):
        return False
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(os.path.relpath(aim, os.path.dirname(path)), path)
    return True
