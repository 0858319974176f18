"""Path patterns: what they match, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.dockerfile.patterns import BadPattern, Matcher, clean, compile_glob, has_wildcard, parse_pattern


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("*", ["a", "a.b", ".a", ""], ["a/b"]),
        ("a*", ["a", "ab"], ["ba", "a/b"]),
        ("a?c", ["abc", "aéc"], ["ac", "a/c", "abbc"]),
        ("*/x", ["a/x"], ["x", "a/b/x"]),
        ("**", ["a"], ["a/b"]),  # here it is two stars
        ("a**c", ["ac", "abc"], ["a/c"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "-x"]),
        ("[^a-c]x", ["dx"], ["ax"]),
        ("[abc]", ["a", "c"], ["d", "ab"]),
        (r"[\]a]", ["]", "a"], ["\\"]),
        (r"\*", ["*"], ["a"]),
        (r"a\[b", ["a[b"], ["ab"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a]", ["a]"], ["a"]),
        ("{a,b}", ["{a,b}"], ["a"]),
    ],
)
def test_glob_matches_one_name_as_go_does(pattern: str, matching: list[str], other: list[str]) -> None:
    regex = compile_glob(pattern)
    assert [text for text in matching if not regex.fullmatch(text)] == []
    assert [text for text in other if regex.fullmatch(text)] == []


@pytest.mark.parametrize("pattern", ["[", "a[", "[]", "[^]", "[]a]", "[a-]", "[-a]", "[a-b", "a\\", "[a\\", "[a-\\"])
def test_malformed_pattern_is_an_error(pattern: str) -> None:
    with pytest.raises(BadPattern):
        compile_glob(pattern)
    with pytest.raises(BadPattern):
        parse_pattern(pattern)


def test_wildcards_are_told_from_plain_paths() -> None:
    assert [text for text in ("a/b", "a*", "a?", "[a]", r"a\b", "a]") if has_wildcard(text)] == [
        "a*",
        "a?",
        "[a]",
        r"a\b",
    ]


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [("a/./b", "a/b"), ("a//b/", "a/b"), ("a/../b", "b"), ("../a", "../a"), ("/../a", "/a"), ("//a", "/a"), ("", "")],
)
def test_paths_are_cleaned_as_go_does(path: str, cleaned: str) -> None:
    assert clean(path) == cleaned


def test_matcher_of_nothing_matches_nothing() -> None:
    matcher = Matcher([])
    assert not matcher
    assert not matcher.matches("a")
    assert not matcher.may_differ_below("a")
    assert not matcher.may_differ_below(".")


def test_directory_that_is_not_matched_may_hold_matches() -> None:
    matcher = Matcher(["src/*/main.c", "docs/**/*.md", "top"])
    assert [path for path in ("src", "src/a", "docs", "docs/x/y") if not matcher.may_differ_below(path)] == []
    assert [path for path in ("other", "src/a/b", "top", "sr") if matcher.may_differ_below(path)] == []


def test_matching_is_the_same_in_any_order() -> None:
    patterns = ["**/out", "!**/out/keep", "out/keep/*.o"]
    paths = ["out", "out/keep", "out/keep/a.o", "out/keep/a.c", "a/out/keep/b.o", "a/out/x"]
    forwards, backwards = Matcher(patterns), Matcher(patterns)
    expected = [True, False, True, False, False, True]
    assert [forwards.matches(path) for path in paths] == expected
    assert [backwards.matches(path) for path in reversed(paths)] == expected[::-1]


def test_many_stars_do_not_explode() -> None:
    matcher = Matcher(["**/" * 20 + "x", "**/a/**/b/**/c/**/d"])
    assert not matcher.matches("a/b/c/" * 20 + "y")


def test_many_stars_take_no_time() -> None:
    name = "a" * 250
    assert compile_glob("*a" * 100 + "b").fullmatch(name) is None
    assert compile_glob("*a" * 100).fullmatch(name)
    assert compile_glob("*" * 200 + "b").fullmatch(name) is None
    assert not Matcher(["*a" * 100 + "b"]).matches(name)


@given(st.text("ab*?/", max_size=8), st.text("ab/", max_size=8))
def test_stars_match_what_trying_every_length_matches(pattern: str, path: str) -> None:
    def tried(rest: str, text: str) -> bool:
        if not rest:
            return not text
        if rest[0] == "*":
            ends = [at for at in range(len(text) + 1) if "/" not in text[:at]]
            return any(tried(rest[1:], text[at:]) for at in ends)
        return bool(text) and (rest[0] == text[0] or (rest[0] == "?" and text[0] != "/")) and tried(rest[1:], text[1:])

    assert (compile_glob(pattern).fullmatch(path) is not None) == tried(pattern, path)
