"""Requirements files with editable checkouts (``-e git+https://…``), as pip writes them when it freezes.

uv installs no repository as editable. In an image nobody edits one: the same commit is installed like any package.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

_EDITABLE = re.compile(r"^(\s*)(?:-e|--editable)[\s=]+((?:git|hg|svn|bzr)\+\S+)(.*)$", re.M)
_INCLUDE = re.compile(r"^(\s*(?:-r|-c|--requirement|--constraint)[\s=]*)(\S+)", re.M)


def without_checkouts(files: Sequence[str]) -> dict[str, str]:
    """The texts of requirements files, by their paths, with plain requirements for editable checkouts.

    They name each other by the names of ``copy_name``. Empty when no file has such a line.
    """
    texts = {}
    for path in files:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            texts[path] = file.read()
    if not any(_EDITABLE.search(text) for text in texts.values()):
        return {}
    return {path: _rewritten(path, text, files) for path, text in texts.items()}


def copy_name(path: str, files: Sequence[str]) -> str:
    """What the copy of one of ``files`` is called, in a directory of all copies."""
    return f"{files.index(path)}-{os.path.basename(path)}"


def _rewritten(path: str, text: str, files: Sequence[str]) -> str:
    def included(match: re.Match[str]) -> str:
        target = os.path.normpath(os.path.join(os.path.dirname(path), match[2]))
        return match[1] + (copy_name(target, files) if target in files else match[2])

    return _INCLUDE.sub(included, _EDITABLE.sub(_plain, text))


def _plain(match: re.Match[str]) -> str:
    url, _, fragment = match[2].partition("#")
    parts = dict(part.split("=", 1) for part in fragment.split("&") if "=" in part)
    name = parts.pop("egg", "")
    kept = "&".join(f"{key}={value}" for key, value in parts.items())
    return f"{match[1]}{name + ' @ ' if name else ''}{url}{'#' + kept if kept else ''}{match[3]}"
