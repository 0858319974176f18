"""Ignore files: moby's rules, case by case, and against a literal reading of them."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest
from cases import Case, load_cases
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.dockerfile.ignore import (
    NOTHING_IGNORED,
    BadIgnoreFile,
    IgnoreRules,
    find_ignore_file,
    load_ignore_rules,
)

CASES = load_cases("dockerfile/ignore")


@pytest.mark.parametrize("case", [case for case in CASES if "paths" in case.sections], ids=str)
def test_paths_are_ignored_as_the_case_says(case: Case) -> None:
    rules = IgnoreRules.parse(case.sections["ignore"].encode())
    for line in case.sections["paths"].strip().splitlines():
        path, _, verdict = line.rpartition(" ")
        assert ("ignored" if rules.ignores(path.strip()) else "kept") == verdict, line
    for line in case.sections.get("may contain", "").strip().splitlines():
        path, answer = line.split()
        assert ("yes" if rules.may_contain(path) else "no") == answer, line


@pytest.mark.parametrize("case", [case for case in CASES if "error" in case.sections], ids=str)
def test_bad_line_is_named(case: Case) -> None:
    where, why = case.sections["error"].strip().splitlines()
    with pytest.raises(BadIgnoreFile) as caught:
        IgnoreRules.parse(case.sections["ignore"].encode())
    assert caught.value.where == where
    assert why in str(caught.value.why)


def test_name_that_is_no_utf8_can_be_ignored() -> None:
    rules = IgnoreRules.parse(b"caf\xe9\n*.\xff")
    assert rules.ignores(b"caf\xe9".decode("utf-8", "surrogateescape"))
    assert rules.ignores(b"a.\xff".decode("utf-8", "surrogateescape"))
    assert not rules.ignores("café")


def test_nothing_is_ignored_without_a_file(tmp_path: Path) -> None:
    assert find_ignore_file(tmp_path, tmp_path / "Dockerfile") is None
    assert load_ignore_rules(tmp_path, tmp_path / "Dockerfile") is NOTHING_IGNORED
    assert not NOTHING_IGNORED.ignores("a")
    assert not NOTHING_IGNORED


def test_ignore_file_beside_the_dockerfile_comes_first(tmp_path: Path) -> None:
    context, other = tmp_path / "context", tmp_path / "docker"
    context.mkdir()
    other.mkdir()
    (context / ".dockerignore").write_text("a")
    assert find_ignore_file(context, other / "web.Dockerfile") == context / ".dockerignore"
    (context / ".containerignore").write_text("b")
    assert find_ignore_file(context, other / "web.Dockerfile") == context / ".containerignore"
    (other / "web.Dockerfile.dockerignore").write_text("c")
    assert find_ignore_file(context, other / "web.Dockerfile") == other / "web.Dockerfile.dockerignore"
    assert load_ignore_rules(context, other / "web.Dockerfile").ignores("c")


NAMES = st.sampled_from(["a", "b", "ab", "ba"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PIECES = st.sampled_from(["a", "b", "ab", "*", "?", "a*", "*b", "**"])
PATTERNS = st.tuples(st.sampled_from(["", "!"]), st.lists(PIECES, min_size=1, max_size=4).map("/".join)).map("".join)


def literal_match(pattern: list[str], path: list[str]) -> bool:
    """The rules as sentences: names one by one, ``**`` any number of them (at the end: at least one)."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        if len(pattern) == 1:
            return bool(path)
        return any(literal_match(pattern[1:], path[skipped:]) for skipped in range(len(path) + 1))
    return bool(path) and fnmatch.fnmatchcase(path[0], pattern[0]) and literal_match(pattern[1:], path[1:])


def literal_verdict(patterns: list[str], path: str) -> bool:
    ignored = False
    names = path.split("/")
    for pattern in patterns:
        parts = pattern.removeprefix("!").split("/")
        if any(literal_match(parts, names[:depth]) for depth in range(1, len(names) + 1)):
            ignored = not pattern.startswith("!")
    return ignored


@settings(max_examples=300, deadline=None)
@given(st.lists(PATTERNS, max_size=5), st.lists(PATHS, min_size=1, max_size=6))
def test_rules_agree_with_a_literal_reading(patterns: list[str], paths: list[str]) -> None:
    rules = IgnoreRules.parse("\n".join(patterns).encode())
    for path in paths:
        assert rules.ignores(path) == literal_verdict(patterns, path), (patterns, path)


@settings(max_examples=300, deadline=None)
@given(st.lists(PATTERNS, max_size=5), PATHS, PATHS)
def test_nothing_is_kept_where_may_contain_says_no(patterns: list[str], directory: str, below: str) -> None:
    rules = IgnoreRules.parse("\n".join(patterns).encode())
    if rules.ignores(directory) and not rules.may_contain(directory):
        assert rules.ignores(f"{directory}/{below}")


def test_many_paths_and_patterns_take_little_work() -> None:
    patterns = [f"**/*.{suffix}" for suffix in ("pyc", "o", "log", "tmp", "swp")] + [f"dir{n}/*/x?" for n in range(30)]
    rules = IgnoreRules.parse("\n".join([*patterns, "**/node_modules", "!**/keep"]).encode())
    ignored = sum(rules.ignores(f"src/module{n % 100}/part{n % 7}/file{n}.py") for n in range(20_000))
    assert ignored == 0
    assert len(rules.matcher._last) < 1000  # a directory's answer is kept, not a file's
