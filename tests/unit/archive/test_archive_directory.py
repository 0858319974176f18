"""A tree on disk as members: order, what is carried, and the layers that CNB makes of it."""

from __future__ import annotations

import io
import os
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.archive import Entry, Kind, Member, TarStyle, cnb_dir_members, cnb_slice_members, walk, write_tar
from lifecycle.archive.errors import FileChanged, Unreadable, UnsafeEntry


def names(members: Iterator[Member]) -> list[str]:
    return [os.fsdecode(entry.name) for entry, _ in members]


def entries(members: Iterator[Member]) -> dict[str, Entry]:
    return {os.fsdecode(entry.name): entry for entry, _ in members}


def plant(root: Path, *paths: str) -> None:
    for path in paths:
        if path.endswith("/"):
            (root / path).mkdir(parents=True, exist_ok=True)
        else:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(path)


def test_order_is_by_byte_within_each_directory_parents_first(tmp_path: Path) -> None:
    plant(tmp_path, "b", "a/x", "a-b", "B", "é", "a/A/z", "a.txt")
    assert names(walk(tmp_path)) == [".", "B", "a", "a/A", "a/A/z", "a/x", "a-b", "a.txt", "b", "é"]


def test_names_go_below_the_prefix(tmp_path: Path) -> None:
    plant(tmp_path, "a/x")
    assert names(walk(tmp_path, prefix=b"layers/bp")) == ["layers/bp", "layers/bp/a", "layers/bp/a/x"]


def test_sockets_are_left_out_and_links_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "d/f")
    (tmp_path / "link").symlink_to("d")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        found = entries(walk(tmp_path))
    assert list(found) == [".", "d", "d/f", "link"]
    assert found["link"].kind is Kind.SYMLINK
    assert found["link"].linkname == b"d"


def test_skip_leaves_out_what_is_below_too(tmp_path: Path) -> None:
    plant(tmp_path, "keep/x", "drop/x", "keep/drop")
    assert names(walk(tmp_path, prefix=b"p", skip=lambda name: name == b"drop")) == [
        "p",
        "p/keep",
        "p/keep/drop",
        "p/keep/x",
    ]


def test_a_second_name_is_a_link_or_a_copy(tmp_path: Path) -> None:
    plant(tmp_path, "a")
    os.link(tmp_path / "a", tmp_path / "b")
    linked, copied = entries(walk(tmp_path)), entries(walk(tmp_path, hard_links=False))
    assert (linked["b"].kind, linked["b"].linkname) == (Kind.HARDLINK, b"a")
    assert (copied["b"].kind, copied["b"].size) == (Kind.FILE, 1)


def test_owner_and_time_are_replaced_or_kept(tmp_path: Path) -> None:
    plant(tmp_path, "f")
    os.utime(tmp_path / "f", ns=(0, 1_700_000_000_999_999_999))
    forced = entries(walk(tmp_path, owner=(1001, 1000)))["f"]
    kept = entries(walk(tmp_path, mtime=None))["f"]
    assert (forced.uid, forced.gid, forced.mtime) == (1001, 1000, 315532801)
    assert (kept.uid, kept.gid, kept.mtime) == (os.geteuid(), os.stat(tmp_path / "f").st_gid, 1_700_000_000)


def test_a_single_file_is_one_member(tmp_path: Path) -> None:
    plant(tmp_path, "f")
    assert names(walk(tmp_path / "f", prefix=b"bin/f")) == ["bin/f"]


def test_a_deep_tree_needs_no_recursion(tmp_path: Path) -> None:
    plant(tmp_path, "/".join(["d"] * 300) + "/f")
    assert len(names(walk(tmp_path))) == 302


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="absent"):
        list(walk(tmp_path / "absent"))
    plant(tmp_path, "d/f")
    members = walk(tmp_path)
    assert next(members)[0].name == b"."
    assert next(members)[0].name == b"d"
    (tmp_path / "d/f").unlink()
    (tmp_path / "d").rmdir()
    with pytest.raises(FileChanged, match="went away"):
        list(members)


# -- CNB layers ------------------------------------------------------------------------------------------------------


def test_a_directory_layer_has_its_parents_as_they_are_and_its_tree_given_away(tmp_path: Path) -> None:
    plant(tmp_path, "layers/bp/venv/bin/python", "layers/bp/other")
    os.link(tmp_path / "layers/bp/venv/bin/python", tmp_path / "layers/bp/venv/bin/python3")
    (tmp_path / "layers").chmod(0o1777)
    found = entries(cnb_dir_members(tmp_path, "/layers/bp/venv", (1001, 1000)))
    assert list(found) == [
        "layers",
        "layers/bp",
        "layers/bp/venv",
        "layers/bp/venv/bin",
        "layers/bp/venv/bin/python",
        "layers/bp/venv/bin/python3",
    ]
    assert (found["layers"].mode, found["layers"].uid) == (0o1777, os.geteuid())
    assert {(e.uid, e.gid) for name, e in found.items() if "venv" in name} == {(1001, 1000)}
    assert found["layers/bp/venv/bin/python3"].kind is Kind.FILE
    assert {entry.mtime for entry in found.values()} == {315532801}


def test_a_directory_layer_does_not_go_through_links(tmp_path: Path) -> None:
    plant(tmp_path, "real/venv/f")
    (tmp_path / "layers").symlink_to("real")
    (tmp_path / "real/link").symlink_to("/etc")
    for at in ("/layers/venv", "/real/link", "/", "/real/../../etc"):
        with pytest.raises(UnsafeEntry):
            list(cnb_dir_members(tmp_path, at, (0, 0)))


@pytest.fixture
def app(tmp_path: Path) -> Path:
    plant(tmp_path, "workspace/static/a.css", "workspace/static/b/c.js", "workspace/static-x", "workspace/.hidden")
    plant(tmp_path, "workspace/lib/one.py", "workspace/lib/two.py", "workspace/main.py", "workspace/empty/")
    return tmp_path


def sliced(root: Path, *slices: list[str]) -> list[list[str]]:
    found = cnb_slice_members(root, "/workspace", slices, (1, 2))
    assert len(found) == len(slices) + 1
    layers = [names(item()) for item in found]
    assert layers == [names(item()) for item in found]  # can be asked for again
    return [[name.removeprefix("workspace").lstrip("/") for name in layer] for layer in layers]


def test_without_slices_the_rest_is_everything_in_order_of_the_whole_path(app: Path) -> None:
    (rest,) = sliced(app)
    assert rest == sorted(rest, key=os.fsencode)
    assert rest.index("static-x") < rest.index("static/a.css")
    assert len(rest) == 12


def test_a_slice_takes_a_directory_whole_with_the_way_to_it(app: Path) -> None:
    first, rest = sliced(app, ["static"])
    assert first == ["", "static", "static/a.css", "static/b", "static/b/c.js"]
    assert "static" not in rest
    assert "main.py" in rest


def test_an_earlier_slice_has_it_for_good(app: Path) -> None:
    first, second, rest = sliced(app, ["lib/one.py"], ["lib", "*.py"])
    assert first == ["", "lib", "lib/one.py"]
    assert second == ["", "lib", "lib/two.py", "main.py"]
    assert "lib" not in rest


def test_a_directory_all_of_whose_files_are_sliced_leaves_the_rest(app: Path) -> None:
    first, rest = sliced(app, ["lib/*.py"])
    assert first == ["", "lib", "lib/one.py", "lib/two.py"]
    assert "lib" not in rest


def test_everything_sliced_leaves_an_empty_rest(app: Path) -> None:
    first, rest = sliced(app, ["*"])
    assert "empty" in first
    assert rest == []
    out = io.BytesIO()
    write_tar(cnb_slice_members(app, "/workspace", [["*"]], (1, 2))[1](), out, TarStyle.CNB)
    assert out.getvalue() == bytes(1024)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.py", ["main.py"]),
        ("*/*.py", ["lib/one.py", "lib/two.py"]),
        ("lib/[ot]ne.py", ["lib/one.py"]),
        ("lib/[^o]*", ["lib/two.py"]),
        ("lib/[a-p]*", ["lib/one.py"]),
        ("lib/???.py", ["lib/one.py", "lib/two.py"]),
        ("./lib//two.py", ["lib/two.py"]),
        ("lib/../main.py", ["main.py"]),
        ("/main.py", ["main.py"]),
        (r"ma\in.py", ["main.py"]),
        ("../etc/passwd", []),
        ("absent", []),
        ("main.py/*", []),
        (".h*", [".hidden"]),
    ],
)
def test_patterns_match_as_those_of_the_official_lifecycle(app: Path, pattern: str, expected: list[str]) -> None:
    first = sliced(app, [pattern])[0]
    assert [name for name in first if name not in ("", "lib")] == expected


@pytest.mark.parametrize("pattern", ["[", "lib/[a", "[b-a]", "a\\"])
def test_malformed_patterns_are_refused(app: Path, pattern: str) -> None:
    with pytest.raises(UnsafeEntry, match="malformed"):
        cnb_slice_members(app, "/workspace", [[pattern]], (1, 2))


def test_layers_are_ordinary_archives(app: Path) -> None:
    out = io.BytesIO()
    write_tar(cnb_slice_members(app, "/workspace", [["lib"]], (1, 2))[0](), out, TarStyle.CNB)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        assert archive.getnames() == ["/workspace", "/workspace/lib", "/workspace/lib/one.py", "/workspace/lib/two.py"]
        assert {(info.uid, info.gid) for info in archive} == {(1, 2)}
