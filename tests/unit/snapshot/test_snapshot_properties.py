"""Claims about changes made by chance: a diff, unpacked, gives the root again; every rung gives the same archive."""

from __future__ import annotations

import io
import os
import random
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from snapshot_layers import OnRung, tar, unpack

from lifecycle.archive import Content, Kind, Ownership, TarStyle, Whiteouts, extract, write_tar
from lifecycle.oci.digest import Digest
from lifecycle.snapshot.base import Diff, Snapshotter, View, Virtual

RunOn = Callable[[str, Callable[[Snapshotter, Path], Any]], Any]
Look = dict[bytes, tuple[Any, ...]]

SEEDS = range(int(os.environ.get("PYLIFE_TEST_SEEDS", "5")))
FORMS = {Kind.FILE: stat.S_IFREG, Kind.DIR: stat.S_IFDIR, Kind.SYMLINK: stat.S_IFLNK}
STEPS = 3
NAMES = [b"a", b"b", b"c", b"dd", b"\xff"]

LAYERS = [
    tar(
        ("a", None),
        ("a/a", b"one"),
        ("a/b", None, 0o700),
        ("a/b/a", b"deep"),
        ("a/b/c", ("->", "../a")),
        ("b", None, 0o1777),
        ("b/a", b"two"),
        ("b/b", ("=", "b/a")),
        ("c", b"top"),
        ("dd", None),
        ("dd/a", None),
        ("dd/a/a", None),
        ("dd/a/a/b", b"x" * 5000),
    ),
    tar(("a/.wh.a", b""), ("a/dd", b"second"), ("dd/a/.wh..wh..opq", b""), ("dd/a/c", b"new"), ("b/c", ("->", "/c"))),
]


def disturb(root: bytes, rng: random.Random, *, owners: bool) -> None:
    """A few changes of every kind that a run may make."""
    for _ in range(rng.randint(1, 9)):
        directory, path = _anywhere(root, rng)
        match rng.randint(0, 11 if owners else 10):
            case 0 | 1:
                if not os.path.isdir(path) or os.path.islink(path):
                    _remove(path)
                    _write(path, rng.choice([b"", b"one", b"two", b"x" * 5000]))
            case 2:
                _remove(path)
            case 3:
                _remove(path)
                os.mkdir(path, 0o755)
                _write(path + b"/" + rng.choice(NAMES), b"in")
            case 4:
                _remove(path)
                os.symlink(rng.choice([b"a", b"../c", b"/none"]), path)
            case 5:
                files = [f for f in _all(root) if stat.S_ISREG(os.lstat(f).st_mode)]
                target = rng.choice(files) if files else None
                if target is not None and target != path and not os.path.isdir(path):
                    _remove(path)
                    os.link(target, path)
            case 6:
                if os.path.lexists(path) and not os.path.islink(path):
                    os.chmod(path, rng.choice([0o600, 0o644, 0o755, 0o4755]) | (0o700 if os.path.isdir(path) else 0))
            case 7:
                _, other = _anywhere(root, rng)
                _move(path, other)
            case 8:
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "ab") as file:
                        file.write(b"!")
            case 9:
                if os.path.lexists(path) and not os.path.islink(path):
                    os.setxattr(path, b"user.test", rng.choice([b"1", b"2"]))
            case 10:
                os.utime(directory)
                if os.path.lexists(path):
                    os.utime(path, follow_symlinks=False)
            case _:
                if os.path.lexists(path):
                    os.chown(path, rng.choice([0, 7]), 9, follow_symlinks=False)


def _anywhere(root: bytes, rng: random.Random) -> tuple[bytes, bytes]:
    directory = rng.choice([root, *(path for path in _all(root) if os.path.isdir(path) and not os.path.islink(path))])
    return directory, directory + b"/" + rng.choice(NAMES)


def _all(root: bytes) -> list[bytes]:
    found = []
    for above, directories, files in os.walk(root):
        found += [above + b"/" + name for name in (*directories, *files)]
    return sorted(found)


def _remove(path: bytes) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _write(path: bytes, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, 0o644)


def _move(path: bytes, other: bytes) -> None:
    if not os.path.lexists(path) or other == path or (other + b"/").startswith(path + b"/"):
        return
    if (path + b"/").startswith(other + b"/"):
        return
    _remove(other)
    if os.path.isdir(path) and not os.path.islink(path):  # as mv does with one from below, which overlayfs cannot move
        shutil.copytree(os.fsdecode(path), os.fsdecode(other), symlinks=True)
        shutil.rmtree(path)
    else:
        os.rename(path, other)


def look(root: bytes, *, xattrs: bool = True) -> Look:
    """Everything that a tree is, but for its times."""
    found: Look = {}
    for path in [root, *_all(root)]:
        status = os.lstat(path)
        what: object = None
        if stat.S_ISREG(status.st_mode):
            with open(path, "rb") as file:
                what = file.read()
        elif stat.S_ISLNK(status.st_mode):
            what = os.readlink(path)
        own = os.listxattr(path, follow_symlinks=False) if xattrs else []
        kept = [(n, os.getxattr(path, n, follow_symlinks=False)) for n in own if n == "user.test"]
        found[path[len(root) :]] = (oct(status.st_mode), status.st_uid, status.st_gid, what, kept)
    return found


def packed(diff: Diff) -> bytes:
    out = io.BytesIO()
    write_tar(diff.members(99), out, TarStyle.GENERAL)
    return out.getvalue()


def seen_by(view: View, top: bytes) -> Look:
    """What ``look`` gives, from a view: by its walk, and asking for each path of it."""
    found: Look = {}
    for entry, content in view.walk(top):
        name = entry.name
        asked = view.lookup(name)
        assert asked is not None
        if entry.kind is Kind.HARDLINK:
            entry, content = asked, view.content(name)
            assert seen_bytes(content) == seen_bytes(view.content(name))
        assert asked == entry
        assert view.names(name) == sorted(view.names(name))
        what: object = entry.linkname if entry.kind is Kind.SYMLINK else None
        if entry.kind is Kind.FILE:
            what = seen_bytes(content)
        kept = [(os.fsdecode(key), value) for key, value in entry.xattrs]
        mode = oct(FORMS[entry.kind] | entry.mode)
        found[b"" if name == b"." else b"/" + name] = (mode, entry.uid, entry.gid, what, kept)
    return found


def seen_bytes(content: Content) -> bytes:
    if content is None or isinstance(content, bytes):
        return content or b""
    with content() as stream:
        return stream.read()


def steps(seed: int, *, owners: bool) -> Callable[[Snapshotter, Path], Any]:
    """A chain of random runs; returns the digest of each layer, having checked each against what is unpacked of it."""

    def body(store: Snapshotter, home: Path) -> list[str]:
        rng = random.Random(seed)
        layers: list[Any] = unpack(store, *LAYERS)
        virtual: list[Any] = list(layers)
        applied = home / "applied"
        applied.mkdir()
        keep = Ownership.SELF if _is_single(store) else Ownership.KEEP
        for layer in LAYERS:
            extract(io.BytesIO(layer), applied, ownership=keep, whiteouts=Whiteouts.APPLY)
        found = []
        for step in range(STEPS):
            root = store.prepare(layers)
            path = os.fsencode(root.path)
            assert look(path) == look(os.fsencode(applied)), f"step {step} begins elsewhere"
            disturb(path, rng, owners=owners)
            left = look(path)
            diff = root.commit(mtime=99)
            archive = packed(diff)
            extract(io.BytesIO(archive), applied, ownership=keep, whiteouts=Whiteouts.APPLY)
            assert look(os.fsencode(applied)) == left, f"step {step} unpacks otherwise"
            digest = Digest.of(archive)
            diff.adopt(digest)
            assert store.has(digest)
            layers.append(diff if rng.random() < 0.5 else digest)
            with store.view(layers) as view:
                assert seen_by(view, b".") == left, f"step {step} is seen otherwise"
            virtual.append(Virtual(tuple(diff.members(99))))
            with store.view(virtual) as view:
                assert seen_by(view, b".") == left, f"step {step} is seen otherwise by its members alone"
            found.append(digest.hex)
        return found

    return body


def _is_single(store: Any) -> bool:
    return bool(store._shelf.single)


@pytest.mark.parametrize("seed", SEEDS)
def test_unpacked_diff_gives_the_root_again_and_rungs_agree(run_on: RunOn, seed: int) -> None:
    overlay = run_on("overlay", steps(seed, owners=False))
    assert run_on("copies", steps(seed, owners=False)) == overlay
    assert run_on("overlay-user", steps(seed, owners=False)) == overlay


@pytest.mark.parametrize("seed", SEEDS)
def test_with_owners_too_where_the_disk_knows_them(run_on: RunOn, seed: int) -> None:
    overlay = run_on("overlay", steps(seed, owners=True))
    assert run_on("copies", steps(seed, owners=True)) == overlay
    assert run_on("overlay-subids", steps(seed, owners=True)) == overlay


def test_adopted_tree_is_what_unpacking_its_archive_gives(on_rung: OnRung) -> None:
    def body(store: Snapshotter, home: Path) -> Any:
        different = []
        for seed in range(40, 52):
            layers: list[Any] = unpack(store, *LAYERS)
            root = store.prepare(layers)
            disturb(os.fsencode(root.path), random.Random(seed), owners=False)
            diff = root.commit(mtime=99)
            archive = packed(diff)
            digest = Digest.of(archive)
            diff.adopt(digest)
            diff.close()
            adopted = store._shelf.hold([digest])[0][0]  # type: ignore[attr-defined]
            fresh = type(store._shelf)(str(home / f"fresh-{seed}"), store._shelf._ownership, store._shelf._whiteouts)  # type: ignore[attr-defined]
            fresh.unpack(digest, lambda data=archive: io.BytesIO(data))  # type: ignore[misc]
            other = fresh.hold([digest])[0][0]
            one, two = look(os.fsencode(adopted.path)), look(os.fsencode(other.path))
            if b"." not in {e.name for e, _ in diff.members(1)}:
                one.pop(b"")
                two.pop(b"")
            if (one, adopted.implied, adopted.notes) != (two, other.implied, other.notes):
                different.append((seed, one, two, adopted.implied, other.implied))
        return different

    assert on_rung(body) == []
