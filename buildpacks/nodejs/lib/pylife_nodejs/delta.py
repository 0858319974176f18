"""What pruning changes in installed packages, kept so that a later build need not start a package manager for it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pylife_sdk.context import read_bytes

# Times that package managers write into their notes: no two installs would be the same.
_TIMES = (
    (".modules.yaml", re.compile(rb'("?prunedAt"?: )[^\n,]*(,?)'), rb'\1"Thu, 01 Jan 1970 00:00:00 GMT"\2'),
    (".modules.yaml", re.compile(rb'("?storeDir"?: )[^\n,]*(,?)'), rb'\1"/nonexistent"\2'),
    (".pnpm-workspace-state.json", re.compile(rb'("lastValidatedTimestamp": )\d+'), rb"\g<1>0"),
    (".pnpm-workspace-state-v1.json", re.compile(rb'("lastValidatedTimestamp": )\d+'), rb"\g<1>0"),
)


def clean(app: str, paths: Sequence[str]) -> None:
    """Takes out what differs between two equal installs."""
    for path in paths:
        for name, pattern, constant in _TIMES:
            file = os.path.join(app, path, name)
            if os.path.isfile(file):
                content = read_bytes(file)
                changed = pattern.sub(constant, content)
                if changed != content:
                    with open(file, "wb") as writing:
                        writing.write(changed)


@contextmanager
def record_delta(app: str, paths: Sequence[str], kept: str) -> Iterator[None]:
    """Remembers in the directory ``kept`` what the block changes below ``paths``, unless it fails."""
    before = _state(app, paths)
    yield
    after = _state(app, paths)
    gone = sorted(set(before) - set(after))
    gone = [path for path in gone if os.path.dirname(path) not in before or os.path.dirname(path) in after]
    shutil.rmtree(kept, ignore_errors=True)
    os.makedirs(kept)
    for path in sorted(after):
        if before.get(path) != after[path] and after[path][0] != "d":
            target = os.path.join(kept, "tree", path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(os.path.join(app, path), target, follow_symlinks=False)
    with open(os.path.join(kept, "gone.json"), "w", encoding="utf-8") as file:
        json.dump(gone, file)


def apply_delta(app: str, kept: str) -> None:
    """Does again what was remembered."""
    for path in json.loads(read_bytes(os.path.join(kept, "gone.json"))):
        _remove(os.path.join(app, path))
    tree = os.path.join(kept, "tree")
    for directory, folders, files in os.walk(tree):
        links = [name for name in folders if os.path.islink(os.path.join(directory, name))]
        for name in files + links:
            source = os.path.join(directory, name)
            target = os.path.join(app, os.path.relpath(source, tree))
            _remove(target)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _state(app: str, paths: Sequence[str]) -> dict[str, tuple[str, int, int]]:
    state: dict[str, tuple[str, int, int]] = {}
    pending = [path for path in paths if os.path.lexists(os.path.join(app, path))]
    for path in pending:
        _note(state, app, path)
    while pending:
        path = pending.pop()
        full = os.path.join(app, path)
        if os.path.islink(full) or not os.path.isdir(full):
            continue
        for name in os.listdir(full):
            child = os.path.join(path, name)
            if _note(state, app, child):
                pending.append(child)
    return state


def _note(state: dict[str, tuple[str, int, int]], app: str, path: str) -> bool:
    full = os.path.join(app, path)
    info = os.lstat(full)
    if os.path.islink(full):
        state[path] = (f"l{os.readlink(full)}", 0, 0)
        return False
    if os.path.isdir(full):
        state[path] = ("d", 0, 0)
        return True
    state[path] = ("f", info.st_size, info.st_mtime_ns)
    return False
