"""The flattened stream, unpacked, is the tree that unpacking the layers one upon the other makes."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.archive import Entry, Kind, Member, Ownership, Profile, extract, write_tar
from lifecycle.image import BlobLayer, write_layer
from lifecycle.image.filesystem import filesystem
from lifecycle.store import LocalStore

_NAMES = ("a", "b", "a/c", "a/d", "a/c/e")
_ENTRY = st.sampled_from(("file", "dir", "link", "gone", "opaque", "symlink"))


@st.composite
def a_layer(draw: st.DrawFn) -> list[Member]:
    """The members of a layer that makes sense by itself: directories before what is in them, link targets first."""
    chosen = draw(st.dictionaries(st.sampled_from(_NAMES), _ENTRY, min_size=1, max_size=5))
    members: list[Member] = []
    directories, files, taken = {""}, [], set()

    def need(directory: str) -> bool:
        if directory in directories:
            return True
        if directory in taken or not need(directory.rpartition("/")[0]):
            return False
        taken.add(directory)
        directories.add(directory)
        members.append((Entry(directory.encode(), Kind.DIR, draw(st.sampled_from((0o755, 0o700)))), None))
        return True

    for name in sorted(chosen):
        what = chosen[name]
        above, _, base = name.rpartition("/")
        if name in taken or not need(above):
            continue
        if what == "gone":
            members.append((Entry(f"{above}/.wh.{base}".strip("/").encode(), Kind.FILE), b""))
            continue
        if what in ("dir", "opaque"):
            need(name)
            if what == "opaque":
                members.append((Entry(f"{name}/.wh..wh..opq".encode(), Kind.FILE), b""))
            continue
        taken.add(name)
        if what == "link" and files:
            target = draw(st.sampled_from(files)).encode()
            members.append((Entry(name.encode(), Kind.HARDLINK, linkname=target), None))
        elif what == "symlink":
            members.append((Entry(name.encode(), Kind.SYMLINK, 0o777, linkname=b"nowhere"), None))
        else:
            data = draw(st.binary(min_size=2, max_size=3))
            members.append((Entry(name.encode(), Kind.FILE, size=len(data)), data))
            files.append(name)
    return members


def tree(root: Path) -> tuple[dict[str, object], set[frozenset[str]]]:
    """Every path with what it is, and the sets of names that are one file."""
    found: dict[str, object] = {}
    same: dict[int, set[str]] = {}
    for path in root.rglob("*"):
        name, stat = str(path.relative_to(root)), path.lstat()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_dir():
            found[name] = oct(stat.st_mode)
        else:
            found[name] = (oct(stat.st_mode), path.read_bytes())
            same.setdefault(stat.st_ino, set()).add(name)
    return found, {frozenset(names) for names in same.values()}


def unpack(root: Path, layers: list[BlobLayer]) -> Path:
    root.mkdir()
    for layer in layers:
        with layer.uncompressed() as tar:
            extract(tar, root, ownership=Ownership.SELF)
    return root


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stack=st.lists(a_layer(), min_size=2, max_size=3))
def test_flattening_then_unpacking_is_unpacking_layer_by_layer(stack: list[list[Member]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(Path(folder) / "store")
        layers = [write_layer(members, store, profile=Profile.NONE) for members in stack]
        out = io.BytesIO()
        write_tar(filesystem(layers), out)
        out.seek(0)
        flat = Path(folder) / "flat"
        flat.mkdir()
        extract(out, flat, ownership=Ownership.SELF)
        assert tree(flat) == tree(unpack(Path(folder) / "stacked", layers))
