"""Paths from / inside unpacked packages: made to lead into the directory where that has what they name.

What a path names decides: what was unpacked is meant there, what was not is the image's own.
"""

from __future__ import annotations

import os
import re

_LIMIT = 4 << 20
_PATH = re.compile(rb"(?<![A-Za-z0-9_./@+~-])(/(?:usr|etc|bin|lib|sbin|var|opt)/[A-Za-z0-9_.+/@-]*[A-Za-z0-9_+@-])")
_TEXT_FOLDERS = ("usr/bin", "usr/sbin", "usr/games", "usr/local/bin", "usr/lib/jvm", "etc")
_SHARED = 3
"""Folders this deep or less (/usr/share/perl5) belong to many packages: only what lies below is one's own."""


def relocate(root: str) -> None:
    """Makes links, scripts, pkg-config files and library scripts of the tree lead where their targets are."""
    for directory, folders, files in os.walk(root):
        folders.sort()
        within = os.path.relpath(directory, root)
        for name in sorted([*files, *(each for each in folders if os.path.islink(os.path.join(directory, each)))]):
            path = os.path.join(directory, name)
            if os.path.islink(path):
                _link(root, path, within)
            elif name.endswith(".pc"):
                _rewrite(path, lambda text: _pkg_config(root, text))
            elif name.endswith(".so") and os.path.getsize(path) < 4096:
                _rewrite(path, lambda text: _known_paths(root, text))
            elif (within + "/").startswith(tuple(f"{folder}/" for folder in _TEXT_FOLDERS)):
                _rewrite(path, lambda text: _script(root, text))


def _link(root: str, path: str, within: str) -> None:
    """Absolute links into the tree become relative; dangling ones whose target the image has become absolute."""
    target = os.readlink(path)
    if target.startswith("/"):
        if os.path.lexists(root + target):
            _relink(path, os.path.relpath(root + target, os.path.dirname(path)))
    elif not os.path.exists(path):
        outside = os.path.normpath(os.path.join("/", within, target))
        if os.path.exists(outside):
            _relink(path, outside)


def _relink(path: str, target: str) -> None:
    os.remove(path)
    os.symlink(target, path)


def _rewrite(path: str, change: object) -> None:
    assert callable(change)
    if os.path.getsize(path) > _LIMIT:
        return
    with open(path, "rb") as file:
        old = file.read()
    if b"\0" in old:
        return
    new = change(old)
    if new != old:
        with open(path, "wb") as file:
            file.write(new)


def _pkg_config(root: str, text: bytes) -> bytes:
    """Prefixes below the tree, so that headers and libraries are found there."""
    text = re.sub(rb"^(prefix\s*=\s*)/usr\s*$", rb"\g<1>" + os.fsencode(root) + rb"/usr", text, flags=re.M)
    return _known_paths(root, text)


def _script(root: str, text: bytes) -> bytes:
    if not text.startswith(b"#!") and b"/usr/" not in text and b"/etc/" not in text:
        return text
    first, newline, rest = text.partition(b"\n")
    if first.startswith(b"#!"):
        words = first[2:].split(None, 1)
        interpreter = os.fsdecode(words[0]) if words else ""
        if interpreter.startswith("/") and os.path.exists(root + interpreter):
            first = b"#!" + os.fsencode(root + interpreter) + (b" " + words[1] if len(words) > 1 else b"")
        return first + newline + _known_paths(root, rest)
    return _known_paths(root, text)


def _known_paths(root: str, text: bytes) -> bytes:
    """Replaces the paths that were unpacked and that the image does not have."""

    def replace(match: re.Match[bytes]) -> bytes:
        path = os.fsdecode(match[1])
        own = path.rstrip("/").count("/") >= _SHARED
        if own and os.path.lexists(root + path) and not os.path.lexists(path):
            return os.fsencode(root + path)
        return match[0]

    return _PATH.sub(replace, text)
