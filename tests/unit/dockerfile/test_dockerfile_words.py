"""Words to text: quotes, escapes, and variables with every modifier."""

from __future__ import annotations

import pytest
from cases import Case, load_cases
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.dockerfile.words import BadSubstitution, expand, expand_heredoc, expand_variables, expand_words

ENV = {
    "a": "hello",
    "path": "/usr/local/lib.tar.gz",
    "empty": "",
    "spaces": "one  two",
    "dollar": "$1-$0",
    "lines": "l1\nl2",
    "stars": "a*b?c\\d",
    "é": "accent",
}
PIECES = "$ $a ${a ${u:- ${a# ${a%% ${a/ ${a// ${a:? } { / * ? \\ \\\\ ' \" ` x é 1 : - + # % $$ $spaces < <<"
PARTS = st.sampled_from([*PIECES.split(), " ", "\n"])
WORDS = st.lists(PARTS, max_size=20).map("".join)


@pytest.mark.parametrize("case", load_cases("dockerfile/words"), ids=str)
def test_expansion(case: Case) -> None:
    word = case.sections["word"]
    escape = case.sections.get("escape", "\\")
    if "error" in case.sections:
        with pytest.raises(BadSubstitution) as caught:
            expand(word, ENV, escape)
        assert caught.value.what == case.sections["error"], case.where
        return
    if "heredoc" in case.sections:
        assert expand_heredoc(word, ENV).text == case.sections["heredoc"], case.where
    if "words" in case.sections:
        assert "\n".join(expand_words(word, ENV, escape)[0]) == case.sections["words"], case.where
    if "variables" in case.sections:
        assert expand_variables(word, ENV, escape).text == case.sections["variables"], case.where
    if "text" in case.sections:
        assert expand(word, ENV, escape).text == case.sections["text"], case.where
    if "unset" in case.sections:
        assert " ".join(expand(word, ENV, escape).unset) == case.sections["unset"], case.where


@given(st.one_of(st.text(max_size=40), WORDS), st.sampled_from("\\`"))
def test_expansion_raises_only_bad_substitution(word: str, escape: str) -> None:
    for act in (expand, expand_words, expand_variables):
        try:
            act(word, ENV, escape)
        except BadSubstitution as error:
            assert error.what
    try:
        expand_heredoc(word, ENV)
    except BadSubstitution as error:
        assert error.what


@given(st.text(max_size=40))
def test_single_quotes_keep_everything(text: str) -> None:
    if "'" not in text:
        assert expand(f"'{text}'", ENV).text == text


@given(st.text(max_size=40), st.sampled_from("\\`"))
def test_escaping_each_character_keeps_it(text: str, escape: str) -> None:
    assert expand("".join(escape + char for char in text), ENV, escape).text == text


@given(st.text("ab", max_size=8), st.text("ab*?", max_size=5))
def test_patterns_agree_with_a_search_of_all_cuts(value: str, pattern: str) -> None:
    cuts = [cut for cut in range(len(value) + 1) if matches(value[:cut], pattern)]
    env = {"v": value}
    assert expand(f"${{v##{pattern}}}", env).text == (value[max(cuts) :] if cuts else value)
    if not pattern.startswith("#"):
        assert expand(f"${{v#{pattern}}}", env).text == (value[min(cuts) :] if cuts else value)
    ends = [cut for cut in range(len(value) + 1) if matches(value[cut:], pattern)]
    assert expand(f"${{v%%{pattern}}}", env).text == (value[: min(ends)] if ends else value)
    assert expand(f"${{v%{pattern}}}", env).text == (value[: max(ends)] if ends else value)


def matches(text: str, pattern: str) -> bool:
    """Whether ``pattern`` is all of ``text``, decided the slow and obvious way."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return matches(text, pattern[1:]) or (bool(text) and matches(text[1:], pattern))
    return bool(text) and pattern[0] in ("?", text[0]) and matches(text[1:], pattern[1:])


def test_used_names_are_told() -> None:
    expansion = expand("$a ${path:-$u} '$spaces'", ENV)
    assert (expansion.used, expansion.unset) == (frozenset({"a", "path"}), ("u",))


def test_nesting_has_a_limit() -> None:
    with pytest.raises(BadSubstitution, match="nested more than 100 deep"):
        expand("${u:-" * 5000 + "}" * 5000, {})


def test_many_stars_do_not_take_forever() -> None:
    assert expand("${v#" + "*" * 200 + "x}", {"v": "a" * 500}).text == "a" * 500
    assert expand("${v#" + "*a" * 40 + "x}", {"v": "a" * 3000}).text == "a" * 3000
    assert expand("${v//" + "*a" * 20 + "x/}", {"v": "a" * 1000}).text == "a" * 1000
