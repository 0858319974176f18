from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.source.ignore import IgnoreRules, parse_pattern

CASES = [
    # pattern, path, is_dir, ignored
    ("a", "a", False, True),
    ("a", "x/a", False, True),
    ("a", "a/x", False, True),
    ("a", "ab", False, False),
    ("/a", "a", False, True),
    ("/a", "x/a", False, False),
    ("x/a", "x/a", False, True),
    ("x/a", "y/x/a", False, False),
    ("a/", "a", False, False),
    ("a/", "a", True, True),
    ("a/", "a/x", False, True),
    ("a/", "x/a/y", False, True),
    ("*.py", "x/y.py", False, True),
    ("*.py", "x/y.pyc", False, False),
    ("a*c", "a/c", False, False),
    ("a?c", "abc", False, True),
    ("a?c", "a/c", False, False),
    ("**/b", "b", False, True),
    ("**/b", "x/y/b", False, True),
    ("a/**", "a/x/y", False, True),
    ("a/**", "a", True, False),
    ("a/**/b", "a/b", False, True),
    ("a/**/b", "a/x/y/b", False, True),
    ("a/**b", "a/x/b", False, False),
    ("[abc]", "b", False, True),
    ("[!abc]", "b", False, False),
    ("[^abc]", "d", False, True),
    ("[a-c]x", "bx", False, True),
    ("[]]", "]", False, True),
    ("[[:digit:]]", "7", False, True),
    ("[a", "[a", False, False),
    ("\\*", "*", False, True),
    ("\\*", "x", False, False),
    ("\\#x", "#x", False, True),
    ("\\!x", "!x", False, True),
    ("#x", "#x", False, False),
    ("a ", "a", False, True),
    ("a\\ ", "a ", False, True),
    ("", "a", False, False),
    ("/", "a", True, False),
    ("é?", "éü", False, True),
    ("a.b", "axb", False, False),
]


@pytest.mark.parametrize(("pattern", "path", "is_dir", "ignored"), CASES)
def test_pattern(pattern: str, path: str, is_dir: bool, ignored: bool) -> None:
    assert IgnoreRules.parse([pattern]).ignores(path, is_dir) is ignored


def test_last_match_decides() -> None:
    rules = IgnoreRules.parse(["*.log", "!keep.log", "/keep.log"])
    assert rules.ignores("x/a.log")
    assert not rules.ignores("x/keep.log")
    assert rules.ignores("keep.log")


def test_nothing_comes_back_from_an_ignored_directory() -> None:
    rules = IgnoreRules.parse(["build/", "!build/keep"])
    assert rules.ignores("build/keep")


def test_comments_and_blanks_are_no_patterns() -> None:
    assert parse_pattern("# x") is None
    assert parse_pattern("   ") is None
    assert parse_pattern("\n") is None


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git, the oracle, is not installed")
    path = tmp_path_factory.mktemp("ignore")
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    return path


def git_ignores(repository: Path, patterns: list[str], paths: list[str]) -> list[bool]:
    (repository / ".git" / "info" / "exclude").write_text("\n".join(patterns) + "\n")
    done = subprocess.run(
        ["git", "-C", str(repository), "check-ignore", "-z", "-v", "-n", "--stdin", "--no-index"],
        input="\0".join(paths).encode(),
        capture_output=True,
        check=False,
    )
    fields = done.stdout.split(b"\0")[:-1]
    found = {}
    for at in range(0, len(fields), 4):
        pattern, path = fields[at + 2], fields[at + 3]
        found[path.decode()] = bool(pattern) and not pattern.startswith(b"!")
    return [found[path] for path in paths]


names = st.text("ab[]-!^.", min_size=1, max_size=3).filter(lambda text: text.strip("."))
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
patterns = st.text("ab*?/[]!\\-^. ", min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(patterns, min_size=1, max_size=4), st.lists(paths, min_size=1, max_size=8, unique=True))
def test_rules_agree_with_git(repository: Path, rules: list[str], tried: list[str]) -> None:
    ours = IgnoreRules.parse(rules)
    assert [ours.ignores(path) for path in tried] == git_ignores(repository, rules, tried)
