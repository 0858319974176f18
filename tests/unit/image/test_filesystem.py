from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from lifecycle.archive.entry import Entry, Kind
from lifecycle.archive.writer import write_tar
from lifecycle.image.errors import BrokenLayer
from lifecycle.image.filesystem import filesystem
from lifecycle.store import LocalStore
from lifecycle.testing.images import Files, layer_of


def link(name: str, target: str) -> Entry:
    return Entry(name.encode(), Kind.HARDLINK, 0o644, linkname=target.encode())


def export(store: LocalStore, *layers: Files) -> bytes:
    out = io.BytesIO()
    write_tar(filesystem([layer_of(store, files) for files in layers]), out)
    return out.getvalue()


def unpacked(store: LocalStore, tmp_path: Path, *layers: Files) -> dict[str, str]:
    """What a plain tar program makes of the export: path → content, ``/`` for a directory, ``-> x`` for a link."""
    root = tmp_path / "root"
    with tarfile.open(fileobj=io.BytesIO(export(store, *layers))) as archive:
        archive.extractall(root, filter="fully_trusted")
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = "/" if path.is_dir() else path.read_text()
    return found


def test_upper_file_replaces_lower_file(store: LocalStore, tmp_path: Path) -> None:
    assert unpacked(store, tmp_path, {"a": b"old", "b": b"b"}, {"a": b"new"}) == {"a": "new", "b": "b"}


def test_whiteout_hides_lower_file(store: LocalStore, tmp_path: Path) -> None:
    assert unpacked(store, tmp_path, {"d": None, "d/a": b"1", "d/b": b"2"}, {"d/.wh.a": b""}) == {"d": "/", "d/b": "2"}


def test_whiteout_hides_lower_directory_and_all_below(store: LocalStore, tmp_path: Path) -> None:
    low = {"d": None, "d/e": None, "d/e/f": b"1", "dd": b"2"}
    assert unpacked(store, tmp_path, low, {".wh.d": b""}) == {"dd": "2"}


def test_whiteout_does_not_hide_its_own_layer(store: LocalStore, tmp_path: Path) -> None:
    high = {".wh.d": b"", "d": None, "d/new": b"n"}
    assert unpacked(store, tmp_path, {"d": None, "d/old": b"o"}, high) == {"d": "/", "d/new": "n"}


def test_whiteout_does_not_hide_what_a_higher_layer_puts_back(store: LocalStore, tmp_path: Path) -> None:
    assert unpacked(store, tmp_path, {"a": b"1"}, {".wh.a": b""}, {"a": b"3"}) == {"a": "3"}


def test_opaque_directory_hides_lower_content_but_not_the_directory(store: LocalStore, tmp_path: Path) -> None:
    low = {"d": None, "d/a": b"1", "d/s": None, "d/s/b": b"2"}
    assert unpacked(store, tmp_path, low, {"d/.wh..wh..opq": b"", "d/c": b"3"}) == {"d": "/", "d/c": "3"}


def test_opaque_root_hides_everything_below(store: LocalStore, tmp_path: Path) -> None:
    assert unpacked(store, tmp_path, {"a": b"1"}, {".wh..wh..opq": b"", "b": b"2"}) == {"b": "2"}


def test_file_over_directory_hides_its_content(store: LocalStore, tmp_path: Path) -> None:
    assert unpacked(store, tmp_path, {"d": None, "d/a": b"1"}, {"d": b"file"}) == {"d": "file"}


def test_symlink_over_directory_hides_its_content(store: LocalStore, tmp_path: Path) -> None:
    assert unpacked(store, tmp_path, {"d": None, "d/a": b"1"}, {"d": "elsewhere"}) == {"d": "-> elsewhere"}


def test_directory_over_file_over_directory_shows_only_the_top(store: LocalStore, tmp_path: Path) -> None:
    layers: list[Files] = [{"d": None, "d/a": b"1"}, {"d": b"file"}, {"d": None, "d/z": b"3"}]
    assert unpacked(store, tmp_path, *layers) == {"d": "/", "d/z": "3"}


def test_directory_that_is_only_implied_above_wins_over_a_lower_symlink(store: LocalStore, tmp_path: Path) -> None:
    low: Files = {"lib": "usr/lib", "usr": None, "usr/lib": None}
    found = unpacked(store, tmp_path, low, {"lib/x": b"1"})
    assert found == {"lib": "/", "lib/x": "1", "usr": "/", "usr/lib": "/"}


def test_mode_of_upper_directory_wins(store: LocalStore) -> None:
    data = export(store, {"d": Entry(b"d", Kind.DIR, 0o755)}, {"d": Entry(b"d", Kind.DIR, 0o700)})
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert [oct(member.mode) for member in archive] == ["0o700"]


def test_hard_link_stays_a_link_when_its_file_is_visible(store: LocalStore) -> None:
    with tarfile.open(fileobj=io.BytesIO(export(store, {"a": b"1", "b": link("b", "a")}, {"c": b""}))) as archive:
        member = archive.getmember("b")
        assert (member.islnk(), member.linkname) == (True, "a")


@pytest.mark.parametrize("high", [{"a": b"new"}, {".wh.a": b""}])
def test_hard_link_becomes_the_file_when_the_other_name_is_hidden(
    store: LocalStore, tmp_path: Path, high: Files
) -> None:
    low: Files = {"a": b"content", "b": link("b", "a"), "c": link("c", "a"), "d": link("d", "b")}
    found = unpacked(store, tmp_path, low, high)
    assert (found["b"], found["c"], found["d"]) == ("content", "content", "content")
    assert found.get("a") == ("new" if "a" in high else None)
    inodes = {(tmp_path / "root" / name).stat().st_ino for name in "bcd"}
    assert len(inodes) == 1


def test_hidden_hard_link_is_not_shown(store: LocalStore, tmp_path: Path) -> None:
    assert unpacked(store, tmp_path, {"a": b"1", "b": link("b", "a")}, {".wh.b": b""}) == {"a": "1"}


def test_hard_link_to_a_file_of_a_lower_layer_comes_after_it(store: LocalStore, tmp_path: Path) -> None:
    found = unpacked(store, tmp_path, {"a": b"1"}, {"b": link("b", "a")})
    assert found == {"a": "1", "b": "1"}


def test_hard_link_to_a_lower_file_that_is_hidden_has_its_content(store: LocalStore, tmp_path: Path) -> None:
    found = unpacked(store, tmp_path, {"a": b"1"}, {"b": link("b", "a"), "c": link("c", "a")}, {"a": b"3"})
    assert found == {"a": "3", "b": "1", "c": "1"}


def test_hard_link_to_nothing_is_refused(store: LocalStore) -> None:
    with pytest.raises(BrokenLayer, match="b names a"):
        export(store, {"b": link("b", "a")})


def test_two_entries_of_one_name_keep_their_order(store: LocalStore, tmp_path: Path) -> None:
    from lifecycle.image import write_layer

    twice = [(Entry(b"a", Kind.FILE, size=1), b"1"), (Entry(b"a", Kind.FILE, size=1), b"2")]
    out = io.BytesIO()
    write_tar(filesystem([write_layer(twice, store)]), out)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        archive.extractall(tmp_path / "root", filter="data")
    assert (tmp_path / "root/a").read_text() == "2"


def test_large_files_stream_through(store: LocalStore) -> None:
    big = bytes(range(256)) * 20_000
    data = export(store, {"big": big, "z": b"z"}, {"top": b""})
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        stream = archive.extractfile("big")
        assert stream is not None
        assert stream.read() == big


def test_empty_stack_is_an_empty_archive(store: LocalStore) -> None:
    assert export(store) == bytes(1024)
