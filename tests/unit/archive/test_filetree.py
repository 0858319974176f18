"""Filesystems to read from: links resolved beneath a root, and a host's directory seen through rules."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.archive import walk
from lifecycle.archive.entry import DIR, EPOCH_1980, FIFO, FILE, HARDLINK, SYMLINK, Content, Entry
from lifecycle.archive.filetree import (
    ROOT,
    EmptyTree,
    HostTree,
    SourceChanged,
    TooManyLinks,
    Witnessed,
    join,
    resolve,
)


class Links:
    """A filesystem of directories, files and links, told by what a name points to."""

    def __init__(self, **entries: str) -> None:
        self.entries = {name.replace("__", "/").encode(): text for name, text in entries.items()}

    def lookup(self, path: bytes) -> Entry | None:
        text = self.entries.get(path)
        if path == ROOT or text == "dir":
            return Entry(path, DIR)
        if text is None:
            return None
        return Entry(path, FILE) if text == "file" else Entry(path, SYMLINK, linkname=text.encode())


TREE = Links(
    d="dir", d__f="file", d__sub="dir", f="file", rel="d", abs="/d", up="../../..", d__up="..", d__abs="/f",
    dang="no/where", adang="/no/where", loop="loop", a="b", b="a", through="f/x", chain="rel/up/rel",
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("d/f", "d/f"),
        ("/d//f/", "d/f"),
        ("./d/./f", "d/f"),
        ("", "."),
        ("/", "."),
        ("..", "."),
        ("../../d", "d"),
        ("d/..", "."),
        ("rel/f", "d/f"),
        ("abs/f", "d/f"),
        ("abs/abs", "f"),
        ("up/d", "d"),
        ("d/up/f", "f"),
        ("chain/f", "d/f"),
        ("rel", "d"),
        ("dang", "no/where"),
        ("adang/x", "no/where/x"),
        ("dang/../x", "no/x"),
        ("no/../f", "f"),
        ("no/no/../../rel/f", "d/f"),
        ("through", "f/x"),
        ("f/x/y", "f/x/y"),
        ("f/../rel", "d"),
    ],
)
def test_path_is_resolved_beneath_the_root(path: str, real: str) -> None:
    assert resolve(TREE, path.encode()) == real.encode()


def test_link_at_the_end_is_kept_when_asked() -> None:
    assert resolve(TREE, b"rel", last=False) == b"rel"
    assert resolve(TREE, b"chain", last=False) == b"chain"
    assert resolve(TREE, b"rel/up", last=False) == b"d/up"


@pytest.mark.parametrize("path", [b"loop", b"a", b"a/x", b"b/../b"])
def test_links_in_a_circle_are_an_error(path: bytes) -> None:
    with pytest.raises(TooManyLinks):
        resolve(TREE, path)


@given(st.lists(st.sampled_from([*(name.decode() for name in TREE.entries), "..", ".", "x"]), max_size=8))
def test_resolved_path_is_clean_and_has_no_link_on_the_way(parts: list[str]) -> None:
    try:
        real = resolve(TREE, "/".join(parts).encode())
    except TooManyLinks:
        return
    names = real.split(b"/")
    assert b".." not in names
    assert b"" not in names
    for count in range(1, len(names) + 1):
        entry = TREE.lookup(b"/".join(names[:count]))
        assert entry is None or entry.kind is not SYMLINK


def test_join_knows_the_root() -> None:
    assert (join(ROOT, b"a"), join(b"a", b"b"), join(b"a", ROOT), join(ROOT, ROOT)) == (b"a", b"a/b", b"a", b".")


def test_empty_tree_has_nothing_but_its_root() -> None:
    tree = EmptyTree()
    assert tree.lookup(b"a") is None
    assert tree.names(ROOT) == []
    assert [entry for entry, _ in tree.walk(ROOT)] == [tree.lookup(ROOT)]


class Hide:
    """Hides the names that it is given; ``keep`` may be found in hidden directories all the same."""

    def __init__(self, *names: str, keep: tuple[str, ...] = ()) -> None:
        self.names, self.keep = names, keep

    def ignores(self, path: str, is_dir: bool) -> bool:
        below = any(path == name or path.startswith(name + "/") for name in self.names)
        return below and path not in self.keep

    def may_contain(self, path: str) -> bool:
        return any(name.startswith(path + "/") for name in self.keep)


def read(content: Content) -> bytes:
    assert callable(content)
    with content() as stream:
        return stream.read()


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    (top / "d/sub").mkdir(parents=True)
    (top / "d/f").write_text("text")
    (top / "d/f").chmod(0o640)
    (top / "d/sub/g").write_text("more")
    (top / "link").symlink_to("d")
    os.link(top / "d/f", top / "hard")
    os.mkfifo(top / "pipe", 0o600)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(top / "sock"))
    (tmp_path / "outside").write_text("secret")
    return top


def test_host_tree_gives_what_a_walk_gives_owned_by_root(top: Path) -> None:
    found = [entry for entry, _ in HostTree(top).walk(ROOT)]
    expected = [entry for entry, _ in walk(top, owner=(0, 0))]
    assert [replace(entry, mtime=EPOCH_1980) for entry in found if entry.name != b"sock"] == expected


def test_times_are_those_of_the_files_rounded_up(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    os.utime(tmp_path / "f", ns=(0, 1_700_000_000_000_000_001))
    entry = HostTree(tmp_path).lookup(b"f")
    assert entry is not None
    assert entry.mtime == 1_700_000_001


def test_socket_is_an_empty_file_and_fifo_a_fifo(top: Path) -> None:
    tree = HostTree(top)
    sock, pipe = tree.lookup(b"sock"), tree.lookup(b"pipe")
    assert sock is not None
    assert pipe is not None
    assert (sock.kind, sock.size) == (FILE, 0)
    assert (pipe.kind, pipe.mode) == (FIFO, 0o600)
    assert [content for entry, content in tree.walk(ROOT) if entry.name == b"sock"] == [None]


def test_second_name_of_a_file_is_a_link_to_the_first_that_is_walked(top: Path) -> None:
    links = {entry.name: entry.linkname for entry, _ in HostTree(top).walk(ROOT) if entry.kind is HARDLINK}
    assert links == {b"hard": b"d/f"}
    assert not [entry for entry, _ in HostTree(top).walk(ROOT, lambda name: name == b"d") if entry.kind is HARDLINK]


def test_nothing_is_seen_through_a_link_or_a_file(top: Path) -> None:
    tree = HostTree(top)
    for path in (b"link/f", b"d/f/x", b"no", b"no/x", b"a\0b", b"x" * 300):
        assert tree.lookup(path) is None
        assert tree.content(path) is None
        assert tree.names(path) == []
        assert list(tree.walk(path)) == []
    assert tree.names(b"link") == []
    assert tree.content(b"link") is None


def test_walk_of_a_file_gives_it_alone(top: Path) -> None:
    [(entry, content)] = HostTree(top).walk(b"d/f")
    assert (entry.name, entry.mode, read(content)) == (b"d/f", 0o640, b"text")


def test_skipped_names_are_left_out_with_all_below(top: Path) -> None:
    assert [entry.name for entry, _ in HostTree(top).walk(b"d", lambda name: name == b"d/sub")] == [b"d", b"d/f"]


def test_hidden_names_are_nowhere(top: Path) -> None:
    tree = HostTree(top, Hide("d", "hard"))
    assert tree.names(ROOT) == [b"link", b"pipe", b"sock"]
    assert tree.lookup(b"d") is None
    assert tree.lookup(b"d/f") is None
    assert [entry.name for entry, _ in tree.walk(ROOT)] == [b".", b"link", b"pipe", b"sock"]
    assert tree.excludes_below(b"d/f")
    assert not tree.excludes_below(b"pipe")
    assert not tree.excludes_below(b"nothing")


def test_hidden_directory_stands_when_something_in_it_does(top: Path) -> None:
    tree = HostTree(top, Hide("d", keep=("d/sub/g",)))
    assert [entry.name for entry, _ in tree.walk(b"d")] == [b"d", b"d/sub", b"d/sub/g"]
    assert tree.names(ROOT)[0] == b"d"
    assert tree.names(b"d") == [b"sub"]
    assert tree.lookup(b"d/f") is None


def test_hidden_directory_is_gone_when_nothing_in_it_is_there(top: Path) -> None:
    tree = HostTree(top, Hide("d", keep=("d/sub/other",)))
    assert b"d" not in tree.names(ROOT)
    assert tree.lookup(b"d") is None
    assert [entry.name for entry, _ in tree.walk(ROOT)][:2] == [b".", b"hard"]


def change(path: Path) -> None:
    path.write_text("TEXT")


def replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parents[2] / "outside")


def replace_directory_by_link(path: Path) -> None:
    path.parent.rename(path.parents[1] / "moved")
    os.symlink("moved", path.parent)
    (path.parents[1] / "moved/f").unlink()
    (path.parents[1] / "moved/f").write_text("text")


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("act", [change, replace_by_link, replace_directory_by_link, remove])
def test_file_that_is_not_what_was_seen_is_refused(top: Path, act) -> None:  # type: ignore[no-untyped-def]
    [(_, content)] = HostTree(top).walk(b"d/f")
    os.utime(top / "d/f", ns=(1, 1))
    [(_, content)] = HostTree(top).walk(b"d/f")
    assert isinstance(content, Witnessed)
    act(top / "d/f")
    with pytest.raises(SourceChanged):
        content.fd()


def test_reading_twice_gives_the_same(top: Path) -> None:
    content = HostTree(top).content(b"d/f")
    assert read(content) == read(content) == b"text"


def test_directory_given_by_a_link_is_the_directory(top: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to("top")
    assert HostTree(tmp_path / "alias").names(ROOT) == HostTree(top).names(ROOT)


def test_directory_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(SourceChanged):
        HostTree(tmp_path / "nothing").lookup(ROOT)
