"""What is selected, and the digest that stands for it: what it depends on, what is remembered, what is refused."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from copy_trees import MemoryTree, make_context, parse_spec

from lifecycle.archive import write_tar
from lifecycle.archive.filetree import EmptyTree, HostTree, SourceChanged
from lifecycle.dockerfile.copying import CopySpec, Inline, Memory, place, select
from lifecycle.oci.digest import Digest

FILES = "f 0644 src/a = 1\nf 0755 src/bin/run = 2\nl src/l -> a\nd 0700 src/empty"


def digest_of(tmp_path: Path, context: str, line: str = "COPY src /app", **sections: str) -> Digest:
    here = tmp_path / str(len(list(tmp_path.iterdir())))
    tree = make_context(here, {"context": context, **sections})
    return select(tree, parse_spec(line, sections)).digest


def stage_digest(stage: str, line: str = "COPY src /app") -> Digest:
    return select(MemoryTree.of(stage), parse_spec(line, {})).digest


@pytest.mark.parametrize(
    "other",
    [
        FILES.replace("= 1", "= 3"),
        FILES.replace("0644", "0600"),
        FILES.replace("0700", "0711"),
        FILES.replace("-> a", "-> b"),
        FILES.replace("src/l ->", "src/k ->"),
        FILES.replace("d 0700 src/empty", "p 0700 src/empty"),
        FILES + "\nf 0644 src/new",
        FILES + "\nh src/h = src/a",
        FILES + "\nx src/a user.k=v",
        FILES.replace("f 0755 src/bin/run = 2", "f 0755 src/binrun = 2"),
    ],
)
def test_digest_depends_on_what_is_there(tmp_path: Path, other: str) -> None:
    assert digest_of(tmp_path, FILES) != digest_of(tmp_path, other)


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (FILES.replace("src/", "lib/"), "COPY lib /app"),
        (FILES, "COPY ./src/ /elsewhere/"),
        (FILES + "\nf 0644 beside = 1", "COPY src /app"),
        (FILES + "\nd 0700 src", "COPY src /app"),
        (FILES + "\nf 0644 src/x = 1", "COPY --exclude=x src /app"),
    ],
)
def test_digest_is_the_same_for_the_same_files(tmp_path: Path, other: str, line: str) -> None:
    assert digest_of(tmp_path, FILES) == digest_of(tmp_path, other, line)


def test_digest_does_not_depend_on_times(tmp_path: Path) -> None:
    tree = make_context(tmp_path / "c", {"context": FILES})
    spec = parse_spec("COPY src /app", {})
    before = select(tree, spec).digest
    os.utime(tmp_path / "c/src/a", ns=(1, 1))
    assert select(tree, spec).digest == before


def test_modes_count_unless_they_are_replaced(tmp_path: Path) -> None:
    other = FILES.replace("0644", "0600")
    assert digest_of(tmp_path, FILES, "COPY --chmod=755 src /a") == digest_of(
        tmp_path, other, "COPY --chmod=755 src /a"
    )
    assert digest_of(tmp_path, FILES, "COPY --chmod=a+r src /a") != digest_of(
        tmp_path, other, "COPY --chmod=a+r src /a"
    )


def test_owners_count_unless_they_are_replaced() -> None:
    one, other = "f 0644 src/a 1:1 = x", "f 0644 src/a 2:2 = x"
    assert stage_digest(one) != stage_digest(other)
    assert stage_digest(one, "COPY --chown=5 src /a") == stage_digest(other, "COPY --chown=5 src /a")


def test_digest_of_a_stage_is_that_of_the_context_with_the_same_files(tmp_path: Path) -> None:
    assert stage_digest(FILES) == digest_of(tmp_path, FILES)


def test_order_and_names_of_sources_count(tmp_path: Path) -> None:
    files = "f 0644 a = 1\nf 0644 b = 1"
    found = [digest_of(tmp_path, files, f"COPY {words} /d/") for words in ("a b", "b a", "a", "b", "a a")]
    assert len(set(found)) == 5


def test_no_field_can_pass_for_another(tmp_path: Path) -> None:
    trees = ["f 0644 src/ab = c", "f 0644 src/a = bc", "f 0644 src/a = b\nf 0644 src/c", "l src/a -> b\nl src/c -> d"]
    trees += ["l src/a -> bl", "d 0755 src/a\nd 0755 src/b", "d 0755 src/a\nd 0755 src/a/b", "f 0644 src/a = 12:b"]
    assert len({digest_of(tmp_path, tree) for tree in trees}) == len(trees)


def test_heredocs_are_in_the_digest(tmp_path: Path) -> None:
    specs = [CopySpec((), "/d/", (Inline("a", b"1"),)), CopySpec((), "/d/", (Inline("a", b"2"),))]
    specs += [CopySpec((), "/d/", (Inline("b", b"1"),)), CopySpec((), "/d/", (Inline("a", b"1", 0o600),))]
    assert len({select(HostTree(tmp_path), spec).digest for spec in specs}) == 4


def test_files_say_what_each_is(tmp_path: Path) -> None:
    tree = make_context(tmp_path / "c", {"context": FILES})
    files = select(tree, parse_spec("COPY src /app", {})).files
    assert files["src/a"].startswith("0644 sha256:6b86b273ff34fce1")
    assert (files["src/l"], files["src/empty"]) == ("-> a", "0700 dir")
    assert list(files) == ["src/a", "src/bin", "src/bin/run", "src/empty", "src/l"]


# -- what is remembered ------------------------------------------------------------------------------------------------


class Opened:
    """Which files beneath a directory were opened, by the interpreter's own account."""

    def __init__(self) -> None:
        self.top = ""
        self.names: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and self.top and isinstance(arguments[0], (str, bytes)):
            path = os.fsdecode(arguments[0])
            if path.startswith(self.top):
                self.names.append(path.removeprefix(self.top))


HEARD = Opened()


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Path]:
    top = tmp_path / "context"
    make_context(top, {"context": FILES + "\nf 0644 src/big = big"})
    yield top
    HEARD.top = ""


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The build starts ten seconds after the files were made."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 10_000_000_000)


SPEC = CopySpec(("src",), "/app")


def opened_for(context: Path, memory: Memory, spec: CopySpec = SPEC) -> tuple[Digest, list[str]]:
    HEARD.top, HEARD.names = str(context) + "/", []
    found = select(HostTree(context), spec, memory).digest
    HEARD.top = ""
    return found, [name for name in HEARD.names if not (context / name).is_dir()]


@pytest.mark.usefixtures("later")
def test_unchanged_files_are_not_read_again(context: Path, tmp_path: Path) -> None:
    first, read = opened_for(context, Memory(tmp_path / "memory"))
    assert sorted(read) == ["src/a", "src/big", "src/bin/run"]
    assert opened_for(context, Memory(tmp_path / "memory")) == (first, [])


@pytest.mark.usefixtures("later")
def test_only_the_changed_file_is_read(context: Path, tmp_path: Path) -> None:
    first, _ = opened_for(context, Memory(tmp_path / "memory"))
    (context / "src/a").write_text("changed")
    second, read = opened_for(context, Memory(tmp_path / "memory"))
    assert read == ["src/a"]
    assert first != second


@pytest.mark.usefixtures("later")
def test_another_instruction_knows_the_files_too(context: Path, tmp_path: Path) -> None:
    opened_for(context, Memory(tmp_path / "memory"))
    assert opened_for(context, Memory(tmp_path / "memory"), CopySpec(("src/bin",), "/bin"))[1] == []


@pytest.mark.usefixtures("later")
def test_changes_of_mode_link_and_names_are_seen(context: Path, tmp_path: Path) -> None:
    found = [opened_for(context, Memory(tmp_path / "memory"))[0]]
    for act in (
        lambda: (context / "src/a").chmod(0o600),
        lambda: ((context / "src/l").unlink(), (context / "src/l").symlink_to("big")),
        lambda: (context / "src/empty").chmod(0o711),
        lambda: (context / "src/big").rename(context / "src/big2"),
        lambda: os.setxattr(context / "src/empty", "user.k", b"v"),
        lambda: os.setxattr(context / "src/a", "user.k", b"v"),
    ):
        act()
        found.append(opened_for(context, Memory(tmp_path / "memory"))[0])
        assert found[-1] == select(HostTree(context), SPEC).digest
    assert len(set(found)) == len(found)


def test_fresh_files_are_not_trusted(context: Path, tmp_path: Path) -> None:
    opened_for(context, Memory(tmp_path / "memory"))
    _, read = opened_for(context, Memory(tmp_path / "memory"))
    assert len(read) == 3


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:60] + b"?" + data[61:]]
)
def test_damaged_memory_is_no_memory(context: Path, tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    first, _ = opened_for(context, Memory(tmp_path / "memory"))
    for path in (tmp_path / "memory").rglob("*"):
        if path.is_file():
            path.write_bytes(damage(path.read_bytes()))
    second, read = opened_for(context, Memory(tmp_path / "memory"))
    assert (second, len(read)) == (first, 3)


@pytest.mark.usefixtures("later")
def test_memory_that_cannot_be_written_changes_nothing(context: Path, tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("a file in the way")
    assert opened_for(context, Memory(tmp_path / "memory"))[0] == select(HostTree(context), SPEC).digest


@pytest.mark.usefixtures("later")
def test_what_killed_writers_left_is_swept(context: Path, tmp_path: Path) -> None:
    left = tmp_path / "memory/files/.1-1-x"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    os.utime(left, (1, 1))
    opened_for(context, Memory(tmp_path / "memory"))
    assert not left.exists()


@pytest.mark.usefixtures("later")
def test_what_a_selection_held_is_known_by_its_digest(context: Path, tmp_path: Path) -> None:
    memory = Memory(tmp_path / "memory")
    old = select(HostTree(context), SPEC, memory)
    before = old.digest
    (context / "src/a").write_text("changed")
    new = select(HostTree(context), SPEC, Memory(tmp_path / "memory"))
    then = Memory(tmp_path / "memory").files_of(bytes.fromhex(before.hex))
    assert then == old.files
    assert new.digest != before
    assert [name for name, state in new.files.items() if then[name] != state] == ["src/a"]
    assert memory.files_of(bytes(32)) is None


@pytest.mark.usefixtures("later")
def test_files_of_a_remembered_selection_need_no_reading(context: Path, tmp_path: Path) -> None:
    expected = dict(select(HostTree(context), SPEC, Memory(tmp_path / "memory")).files)
    HEARD.top, HEARD.names = str(context) + "/", []
    again = dict(select(HostTree(context), SPEC, Memory(tmp_path / "memory")).files)
    assert again == expected
    assert [name for name in HEARD.names if (context / name).is_file()] == []


def test_files_of_a_stage_are_remembered_too(context: Path, tmp_path: Path) -> None:
    spec = CopySpec(("/src",), "/app", (Inline("x", b"1"),))
    found = {select(HostTree(context), spec, memory).digest for memory in (None, Memory(None), Memory(tmp_path / "m"))}
    assert len(found) == 1


# -- what changes while it is built ------------------------------------------------------------------------------------


def test_large_file_that_changes_before_it_is_packed_is_refused(context: Path) -> None:
    (context / "src/big").write_bytes(bytes(1 << 20))
    selection = select(HostTree(context), SPEC)
    assert selection.digest
    (context / "src/big").write_bytes(b"\1" * (1 << 20))
    with pytest.raises(SourceChanged, match="src/big was changed during the build"):
        write_tar(place(selection, SPEC, EmptyTree()), io.BytesIO())


def test_small_file_is_packed_as_it_was_hashed(context: Path) -> None:
    selection = select(HostTree(context), SPEC)
    assert selection.digest
    (context / "src/a").write_text("changed")
    packed = io.BytesIO()
    write_tar(place(selection, SPEC, EmptyTree()), packed)
    assert b"changed" not in packed.getvalue()


def test_file_that_changes_between_looking_and_reading_is_refused(context: Path) -> None:
    selection = select(HostTree(context), SPEC)
    members = list(selection.members(selection.sources[0]))
    assert members
    (context / "src/a").write_text("changed")
    with pytest.raises(SourceChanged):
        selection.digest  # noqa: B018


@pytest.mark.usefixtures("later")
def test_layer_is_the_same_whether_files_were_read_or_remembered(context: Path, tmp_path: Path) -> None:
    os.link(context / "src/a", context / "src/hard")
    packed = []
    for _ in range(2):
        selection = select(HostTree(context), SPEC, Memory(tmp_path / "memory"))
        assert selection.digest
        out = io.BytesIO()
        write_tar(place(selection, SPEC, EmptyTree()), out)
        packed.append(out.getvalue())
    assert packed[0] == packed[1]


@pytest.mark.usefixtures("later")
def test_many_at_once_share_one_memory(context: Path, tmp_path: Path) -> None:
    for number in range(200):
        (context / f"src/more{number}").write_text(str(number))
    shared = Memory(tmp_path / "memory")
    specs = [SPEC, CopySpec(("src/bin",), "/b"), CopySpec((".",), "/c"), CopySpec(("src/*",), "/d/")] * 4
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(
                lambda item: (
                    select(HostTree(context), item[1], shared if item[0] % 2 else Memory(tmp_path / "memory")).digest
                ),
                enumerate(specs),
            )
        )
    assert found == [select(HostTree(context), spec).digest for spec in specs]
    assert opened_for(context, Memory(tmp_path / "memory"), CopySpec((".",), "/c"))[1] == []


def test_memory_does_not_grow_without_end(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    for number in range(150):
        memory.keep_files(bytes([number]) * 32, {"name": str(number)})
    assert len(list((tmp_path / "manifests").iterdir())) <= 64
    assert memory.files_of(bytes([149]) * 32) == {"name": "149"}
