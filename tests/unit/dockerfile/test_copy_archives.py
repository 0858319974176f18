"""Archives and ADD: which files are spread out, what hostile ones can do, and where large contents wait."""

from __future__ import annotations

import io
import os
import random
import tarfile
import tempfile
from pathlib import Path

import pytest
from copy_trees import MemoryTree, make_archive, make_context, parse_spec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.archive import extract, write_tar
from lifecycle.archive.entry import Member
from lifecycle.archive.filetree import ROOT, EmptyTree, HostTree
from lifecycle.archive.writer import OnDisk
from lifecycle.dockerfile.copying import CopySpec, Inline, place, place_all, select
from lifecycle.dockerfile.copying.content import read_content
from lifecycle.errors import PylifeError


def placed(top: Path, line: str, target: str = "") -> dict[bytes, bytes]:
    """Each file that the instruction brings → its content."""
    spec = parse_spec(line, {})
    layer = place(select(HostTree(top), spec), spec, MemoryTree.of(target), scratch=top.parent)
    return {entry.name: read_content(content, entry.size) for entry, content in layer if content is not None}


@pytest.mark.parametrize("line", ["COPY a.tar.gz /d/", "ADD --unpack=false a.tar.gz /d/"])
def test_archive_is_copied_as_a_file(tmp_path: Path, line: str) -> None:
    make_archive(tmp_path / "c/a.tar.gz", "f 0644 x = 1")
    assert placed(tmp_path / "c", line) == {b"d/a.tar.gz": (tmp_path / "c/a.tar.gz").read_bytes()}


def test_archives_within_a_directory_are_copied_as_files(tmp_path: Path) -> None:
    make_archive(tmp_path / "c/src/a.tar", "f 0644 x = 1")
    assert list(placed(tmp_path / "c", "ADD src /d/")) == [b"d/a.tar"]


@pytest.mark.parametrize("magic", [b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"", bytes(1024)])
def test_compressed_or_empty_thing_that_is_no_tar_is_copied_as_a_file(tmp_path: Path, magic: bytes) -> None:
    (tmp_path / "c").mkdir()
    data = magic + b"something else"
    (tmp_path / "c/a").write_bytes(data)
    assert placed(tmp_path / "c", "ADD a /d/") == {b"d/a": data}


def test_compressed_file_that_is_no_tar_is_copied_as_a_file(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "c").mkdir()
    (tmp_path / "c/notes.gz").write_bytes(gzip.compress(b"notes" * 1000))
    assert list(placed(tmp_path / "c", "ADD notes.gz /d/")) == [b"d/notes.gz"]


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst"])
def test_archive_that_is_damaged_further_on_is_an_error(tmp_path: Path, suffix: str) -> None:
    noise = random.Random(1).randbytes(300_000)
    make_archive(tmp_path / f"c/a.{suffix}", f"f 0644 first = 1\nf 0644 x = {noise.hex()}")
    path = tmp_path / f"c/a.{suffix}"
    path.write_bytes(path.read_bytes()[:-200_000])
    try:
        found = placed(tmp_path / "c", f"ADD a.{suffix} /d/")
    except PylifeError as error:
        assert error.code in ("layer.truncated", "layer.bad-compression")
    else:  # a format of one block is damaged from its first byte on
        assert list(found) == [f"d/a.{suffix}".encode()]


def test_large_files_wait_on_disk_without_a_name(tmp_path: Path) -> None:
    top = tmp_path / "c"
    top.mkdir()
    contents = {f"f{number}": random.Random(number).randbytes(70_000 + number) for number in range(5)}
    with tarfile.open(top / "a.tar", "w") as archive:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    before = set(os.listdir("/proc/self/fd"))
    spec = parse_spec("ADD a.tar /d/", {})
    layer = place(select(HostTree(top), spec), spec, EmptyTree(), scratch=tmp_path)
    (top / "a.tar").unlink()
    for _ in range(2):
        found = {entry.name: read_content(content, entry.size) for entry, content in layer if content is not None}
        assert found == {f"d/{name}".encode(): data for name, data in contents.items()}
    assert os.listdir(tmp_path) == ["c"]
    del layer, found
    assert set(os.listdir("/proc/self/fd")) == before


def test_sources_of_several_kinds_share_one_layer(tmp_path: Path) -> None:
    local = make_context(tmp_path / "c", {"context": "f 0644 a = 1\nf 0644 x = old"})
    (tmp_path / "download").write_bytes(b"fetched")
    first = CopySpec(("a", "x"), "/d/", what="ADD")
    fetched = CopySpec((), "/d/", (Inline("x", OnDisk(os.fsencode(tmp_path / "download")), 0o600),), what="ADD")
    layer = place_all([(select(local, first), first), (select(local, fetched), fetched)], EmptyTree())
    assert rendered(layer) == "d 0755 d\nf 0644 d/a = 1\nf 0600 d/x = fetched"


def rendered(layer: list[Member]) -> str:
    return MemoryTree().apply(layer).render()


def test_fetched_archive_is_spread_only_when_asked(tmp_path: Path) -> None:
    make_archive(tmp_path / "a.tar", "f 0644 x = 1")
    item = Inline("a.tar", OnDisk(os.fsencode(tmp_path / "a.tar")), 0o600)
    for unpack, names in ((False, [b"d", b"d/a.tar"]), (True, [b"d", b"d/x"])):
        spec = CopySpec((), "/d/", (item,), unpack=unpack)
        layer = place(select(EmptyTree(), spec), spec, EmptyTree())
        assert [entry.name for entry, _ in layer] == names


# -- nothing gets out --------------------------------------------------------------------------------------------------

_PARTS = st.sampled_from(["a", "b", "c", "..", "up", "abs", "."])
_NAME = st.lists(_PARTS, min_size=1, max_size=4).map("/".join)
_REAL_NAME = st.lists(st.sampled_from(["a", "b", "c", "up", "abs"]), min_size=1, max_size=3).map("/".join)
_SOURCE = st.one_of(st.sampled_from([".", "*", "*/*", "[a-b]", "../*"]), _NAME)
_TARGET = st.sampled_from(
    ["..", "../..", "../../../../..", "/", "/a", "/b/c", "a", "b/../..", "/outside", "../outside"]
)


def _entries(name: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[str, str, str]]]:
    kinds = st.sampled_from(["d", "f", "f", "l", "l", "h"])
    return st.lists(st.tuples(kinds, name, _TARGET), max_size=8)


def _text(entries: list[tuple[str, str, str]]) -> str:
    lines = []
    for kind, name, other in entries:
        lines.append({"l": f"l {name} -> {other}", "h": f"h {name} = {other}"}.get(kind, f"{kind} 0644 {name}"))
    return "\n".join(lines)


def _tree(entries: list[tuple[str, str, str]]) -> MemoryTree:
    """A filesystem of the entries that can stand together."""
    tree = MemoryTree()
    for kind, name, other in entries:
        parts = name.encode().split(b"/")
        above = [b"/".join(parts[:count]) for count in range(1, len(parts))]
        if kind == "h" or name.encode() in tree.members:
            continue
        if all(path not in tree.members or tree.members[path][0].mode == 0o755 for path in above):
            for entry_name, member in MemoryTree.of(
                _text([(kind, name, other)]).replace("d 0644", "d 0755")
            ).members.items():
                tree.members.setdefault(entry_name, member)
    return tree


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_entries(_NAME), _entries(_REAL_NAME), _REAL_NAME)
def test_hostile_archive_stays_beneath_its_destination(
    tmp_path: Path, hostile: list[tuple[str, str, str]], there: list[tuple[str, str, str]], destination: str
) -> None:
    here = Path(tempfile.mkdtemp(dir=tmp_path))
    make_archive(here / "context/x.tar", _text([("f", "first", ""), *hostile]))
    target = _tree(there)
    spec = CopySpec(("x.tar",), "/" + destination, unpack=True, what="ADD")
    try:
        layer = place(select(HostTree(here / "context"), spec), spec, target)
    except PylifeError:
        return
    before = {name: entry for name, (entry, _) in target.members.items()}
    top = next(entry.name for entry, _ in layer if entry.name.endswith(b"first"))[: -len(b"/first")]
    for entry, _ in layer:
        assert b".." not in entry.name.split(b"/")
        inside = entry.name == top or entry.name.startswith(top + b"/") or top == b""
        assert inside or before.get(entry.name) == entry or (entry.mode == 0o755 and entry.name not in before)
    _unpack_safely(here, target, layer)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_entries(_REAL_NAME), _entries(_REAL_NAME), st.lists(_SOURCE, min_size=1, max_size=2), _NAME)
def test_hostile_links_lead_nowhere_else(
    tmp_path: Path,
    files: list[tuple[str, str, str]],
    there: list[tuple[str, str, str]],
    sources: list[str],
    destination: str,
) -> None:
    here = Path(tempfile.mkdtemp(dir=tmp_path))
    target = _tree(there)
    context = _tree(files)
    (here / "outside").mkdir(parents=True)
    (here / "outside/secret").write_text("secret")
    (here / "context").mkdir()
    packed = io.BytesIO()
    write_tar(context.walk(ROOT), packed)
    packed.seek(0)
    extract(packed, here / "context")
    spec = CopySpec(tuple(sources), "/" + destination)
    try:
        layer = place(select(HostTree(here / "context"), spec), spec, target)
    except PylifeError:
        return
    assert not [entry for entry, content in layer if b"secret" in read_content(content, entry.size)]
    _unpack_safely(here, target, layer)


def _unpack_safely(here: Path, target: MemoryTree, layer: list[Member]) -> None:
    """Both trees unpack, and leave what is beside the root alone."""
    root = here / "jail/root"
    root.mkdir(parents=True)
    for members in (target.walk(ROOT), layer):
        packed = io.BytesIO()
        write_tar(members, packed)
        packed.seek(0)
        extract(packed, root)
    assert os.listdir(here / "jail") == ["root"]
