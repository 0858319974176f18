""".slugignore: what stays out of the copy that is built, and how many files that are."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from cases import Case, load_cases

from lifecycle.slug.ignore import BadSlugIgnore, SlugIgnore, count_ignored, parse_slugignore
from lifecycle.source.directory import copy_directory

CASES = load_cases("slug/slugignore")


def make(root: Path, names: list[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def files_of(root: Path) -> set[str]:
    return {
        os.path.relpath(os.path.join(where, name), root)
        for where, directories, files in os.walk(root)
        for name in (*files, *(each for each in directories if os.path.islink(os.path.join(where, each))))
    }


def tables(case: Case) -> tuple[SlugIgnore, list[str], list[str]]:
    """The rules, the files that stay out, the files that stay in."""
    ignore = parse_slugignore(case.sections["slugignore"].encode())
    rows = case.sections["files"].split("\n")
    marked = {mark: [row[2:] for row in rows if row.startswith(f"{mark} ")] for mark in "+-"}
    return ignore, marked["-"], marked["+"]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rules_match_the_files_of_the_table(case: Case) -> None:
    ignore, out, kept = tables(case)
    assert [name for name in (*out, *kept) if ignore.matches(name)] == out


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rules_warn_as_the_table_says(case: Case) -> None:
    ignore, _, _ = tables(case)
    expected = case.sections.get("warnings", "").splitlines()
    assert len(ignore.warnings) == len(expected), ignore.warnings
    assert all(words in warning for words, warning in zip(expected, ignore.warnings, strict=True))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_copied_source_lacks_what_the_rules_name(case: Case, tmp_path: Path) -> None:
    ignore, out, kept = tables(case)
    make(tmp_path / "source", [*out, *kept, ".git/HEAD"])
    copy_directory(tmp_path / "source", tmp_path / "copy", filter=ignore.filter())
    assert files_of(tmp_path / "copy") == set(kept)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_the_rules_name_is_counted(case: Case, tmp_path: Path) -> None:
    ignore, out, kept = tables(case)
    make(tmp_path, [*out, *kept])
    assert count_ignored(tmp_path, ignore) == len(out)
    assert files_of(tmp_path) == {*out, *kept}


def test_lines_of_windows_and_a_byte_order_mark_change_nothing() -> None:
    ignore = parse_slugignore(b"\xef\xbb\xbf*.log\r\n\r\n/tmp/\r\n# x\r\n")
    assert (ignore.matches("a/x.log"), ignore.matches("tmp", True), ignore.matches("tmp")) == (True, True, False)
    assert ignore.warnings == ()


@pytest.mark.parametrize("raw", ["*.log\n".encode("utf-16"), b"caf\xe9\n", b"a\0b\n"])
def test_file_that_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(BadSlugIgnore) as caught:
        parse_slugignore(raw)
    assert caught.value.where == ".slugignore"
    assert caught.value.why


def test_links_count_and_are_not_followed(tmp_path: Path) -> None:
    make(tmp_path, ["outside/x.log", "tree/y.log", "tree/dir/z.log"])
    (tmp_path / "tree/out").symlink_to("../outside")
    (tmp_path / "tree/dir/link.log").symlink_to("../../outside/x.log")
    assert count_ignored(tmp_path / "tree", parse_slugignore(b"*.log\n")) == 3
    assert count_ignored(tmp_path / "tree", parse_slugignore(b"/out\n")) == 1


def test_link_to_a_directory_is_no_directory_to_the_rules(tmp_path: Path) -> None:
    make(tmp_path, ["real/x"])
    (tmp_path / "tmp").symlink_to("real")
    ignore = parse_slugignore(b"tmp/\n")
    assert count_ignored(tmp_path, ignore) == 0
    copy_directory(tmp_path, tmp_path.with_name("copy"), filter=ignore.filter())
    assert os.readlink(tmp_path.with_name("copy") / "tmp") == "real"


def test_files_beneath_an_ignored_directory_are_each_counted_once(tmp_path: Path) -> None:
    make(tmp_path, ["tmp/a.log", "tmp/deep/b.log", "tmp/deep/tmp/c", "d.log", "e"])
    assert count_ignored(tmp_path, parse_slugignore(b"tmp\n*.log\n")) == 4


def test_deep_trees_and_names_that_are_no_utf8_are_counted(tmp_path: Path) -> None:
    os.makedirs(tmp_path / "tmp")
    with open(os.fsencode(tmp_path) + b"/tmp/\xff.log", "wb"):
        pass
    fd = os.open(tmp_path / "tmp", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("x.log", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    assert count_ignored(tmp_path, parse_slugignore(b"*.log\n")) == 2
    subprocess.run(["rm", "-rf", tmp_path / "tmp"], check=True)  # deeper than pytest's own cleaning goes
