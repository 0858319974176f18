"""Word expansion: quotes, escapes and variables as a Dockerfile has them.

A word is read left to right. Single quotes keep everything; double quotes keep all but ``$`` and an escaped quote,
dollar sign or escape; outside quotes the escape makes the next character literal. ``$name`` and ``${name}`` stand for
values, ``${name:-word}`` and its kin for what ``substitutions`` says; words within braces nest.

Source: BuildKit, frontend/dockerfile/shell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.substitutions import replace_all, replace_first, trim_prefix, trim_suffix
from lifecycle.dockerfile.text import SPACE
from lifecycle.record import dataclass

DEEPEST = 100  # substitutions within substitutions

_NAME = re.compile(r"\d+|[@*#?$!-]|[^\W\d]\w*")  # digits and special parameters are names that are never set
_ASSUMING = "-+?"  # modifiers that a colon may stand before
_SPACES = re.compile(f"[{SPACE}]+")
_HEREDOC = re.compile(r"<<[\t\r ]*")
_NEVER: Mapping[str, str] = {}

Piece = tuple[str, bool]  # text, and whether white space in it parts words


class BadSubstitution(DockerfileError):
    """A word has quotes or a ``${…}`` that cannot be understood, or a variable that must be set is not."""

    code = "dockerfile.bad-substitution"
    fix = "Correct the word; a literal dollar sign is written with the escape character before it, as in \\$."


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a word became: its text, the names that had a value, and the names that had none, in order."""

    text: str
    used: frozenset[str]
    unset: tuple[str, ...]


def expand(word: str, env: Mapping[str, str], escape: str = "\\") -> Expansion:
    """``word`` with variables replaced and quotes and escapes removed; raises BadSubstitution."""
    return _Reader(word, env, escape).expansion()


def expand_words(word: str, env: Mapping[str, str], escape: str = "\\") -> tuple[tuple[str, ...], Expansion]:
    """``word`` expanded, then split at white space that neither quotes nor escapes protect; raises BadSubstitution."""
    reader = _Reader(word, env, escape)
    pieces = reader.pieces("", raw=False)
    return _split(pieces), reader.result(pieces)


def expand_variables(word: str, env: Mapping[str, str], escape: str = "\\") -> Expansion:
    """``word`` with variables replaced, quotes and escapes (but of ``$``) left alone; raises BadSubstitution."""
    return _Reader(word, env, escape, quotes=False, only_dollars=True).expansion()


def expand_heredoc(text: str, env: Mapping[str, str]) -> Expansion:
    """The body of an unquoted here-document expanded: escapes (always ``\\``) count, quotes are mere text."""
    return _Reader(text, env, "\\", quotes=False).expansion()


def words_of_line(line: str) -> tuple[str, ...]:
    """The shell words of ``line`` as written, each ``<<`` joined to the word after it; none when quotes are open."""
    try:
        pieces = _Reader(line, _NEVER, "\\", raw_quotes=True, heredocs=True).pieces("", raw=True)
    except BadSubstitution:
        return ()
    return _split(pieces)


def heredoc_name(word: str) -> tuple[str, bool] | None:
    """The name that ``word`` (after ``<<``) gives a here-document, and whether no part of it is quoted.

    None when ``word`` is not one word; raises BadSubstitution.
    """
    names = _split(_Reader(word, _NEVER, "\\", heredocs=True).pieces("", raw=False))
    if len(names) != 1:
        return None
    quoted = _split(_Reader(word, _NEVER, "\\", raw_quotes=True, heredocs=True).pieces("", raw=False))
    return names[0], _quotes(names[0]) == _quotes("".join(quoted))


def _quotes(text: str) -> int:
    return text.count("'") + text.count('"')


def _split(pieces: list[Piece]) -> tuple[str, ...]:
    words: list[str] = []
    word = ""
    for text, soft in pieces:
        if not soft or not text:
            word += text
            continue
        first, *rest = _SPACES.split(text)
        word += first
        for part in rest:
            if word:
                words.append(word)
            word = part
    if word:
        words.append(word)
    return tuple(words)


@lru_cache(16)
def _plain(specials: str) -> re.Pattern[str]:
    """What runs up to the next of ``specials``."""
    return re.compile(f"[^{re.escape(specials)}]+")


class _Reader:
    """One word being read. Nested words (within braces) are read by the same reader.

    ``raw_quotes`` keeps quotes in the text; ``only_dollars`` lets the escape work before ``$`` alone; ``heredocs``
    keeps white space after ``<<`` in its word and leaves variables as they are written.
    """

    __slots__ = (
        "depth",
        "env",
        "escape",
        "heredocs",
        "only_dollars",
        "pos",
        "quotes",
        "raw_quotes",
        "unset",
        "used",
        "word",
    )

    def __init__(
        self,
        word: str,
        env: Mapping[str, str],
        escape: str,
        *,
        quotes: bool = True,
        raw_quotes: bool = False,
        only_dollars: bool = False,
        heredocs: bool = False,
    ) -> None:
        self.word = word
        self.pos = 0
        self.depth = 0
        self.env = env
        self.escape = escape
        self.quotes = quotes
        self.raw_quotes = raw_quotes
        self.only_dollars = only_dollars
        self.heredocs = heredocs
        self.used: set[str] = set()
        self.unset: dict[str, None] = {}

    def expansion(self) -> Expansion:
        return self.result(self.pieces("", raw=False))

    def result(self, pieces: list[Piece]) -> Expansion:
        return Expansion("".join([text for text, _ in pieces]), frozenset(self.used), tuple(self.unset))

    def fail(self, what: str) -> BadSubstitution:
        return BadSubstitution(what, details=self.word if len(self.word) <= 200 else None)

    def pieces(self, stop: str, *, raw: bool) -> list[Piece]:
        """What stands up to ``stop`` (one character; the end when empty), which is passed over.

        ``raw`` keeps escapes beside what they escape, for the sake of patterns.
        """
        word, escape, size = self.word, self.escape, len(self.word)
        plain = _plain("$" + escape + stop + ("'\"" if self.quotes else "") + ("<" if self.heredocs else ""))
        found: list[Piece] = []
        while self.pos < size:
            match = plain.match(word, self.pos)
            if match:
                found.append((match[0], True))
                self.pos = match.end()
                continue
            char = word[self.pos]
            if char == stop:
                self.pos += 1
                return found
            if char == "$":
                found.append((self.dollar(), True))
            elif char == escape:
                found.append(self.escaped(raw))
            elif char == "'":
                found.append((self.single_quoted(), False))
            elif char == '"':
                found.append((self.double_quoted(raw), False))
            else:
                found.append((self.less_than(), False))
        if stop:
            missing = "`}`" if stop == "}" else "`/` in ${…}"
            raise self.fail(f"syntax error: missing {missing}")
        return found

    def text(self, stop: str, *, raw: bool) -> str:
        return "".join([text for text, _ in self.pieces(stop, raw=raw)])

    def escaped(self, raw: bool) -> Piece:
        """An escape outside quotes and what follows it; at the very end it is dropped."""
        following = self.word[self.pos + 1 : self.pos + 2]
        if self.only_dollars and following != "$":
            self.pos += 1
            return self.escape, True
        self.pos += 1 + len(following)
        return (self.escape + following if raw else following), False

    def single_quoted(self) -> str:
        end = self.word.find("'", self.pos + 1)
        if end < 0:
            raise self.fail("unexpected end of statement while looking for matching single-quote")
        start, self.pos = self.pos, end + 1
        return self.word[start : end + 1] if self.raw_quotes else self.word[start + 1 : end]

    def double_quoted(self, raw: bool) -> str:
        word, escape = self.word, self.escape
        plain = _plain('$"' + escape)
        quote = '"' if self.raw_quotes else ""
        found = [quote]
        self.pos += 1
        while self.pos < len(word):
            match = plain.match(word, self.pos)
            if match:
                found.append(match[0])
                self.pos = match.end()
                continue
            char = word[self.pos]
            if char == '"':
                self.pos += 1
                return "".join(found) + quote
            if char == "$":
                found.append(self.dollar())
                continue
            following = word[self.pos + 1 : self.pos + 2]
            works = following != "" and following in '"$' + escape
            self.pos += 1 + works
            found.append((escape if raw or not works else "") + (following if works else escape if raw else ""))
        raise self.fail("unexpected end of statement while looking for matching double-quote")

    def less_than(self) -> str:
        """``<``, or ``<<`` with the white space after it."""
        match = _HEREDOC.match(self.word, self.pos)
        text = match[0] if match else "<"
        self.pos += len(text)
        return text

    def dollar(self) -> str:
        """What stands for the variable at the position."""
        start = self.pos
        self.pos += 1
        if self.word.startswith("{", self.pos):
            self.depth += 1
            if self.depth > DEEPEST:
                raise self.fail(f"substitutions are nested more than {DEEPEST} deep")
            text = self.braces()
            self.depth -= 1
            return self.word[start : self.pos] if self.heredocs else text
        name = self.name()
        if not name:
            return "$"
        return self.word[start : self.pos] if self.heredocs else self.value(name)[0]

    def name(self) -> str:
        match = _NAME.match(self.word, self.pos)
        if not match:
            return ""
        self.pos = match.end()
        return match[0]

    def value(self, name: str) -> tuple[str, bool]:
        """The value of ``name``, and whether it is set; either is remembered."""
        value = self.env.get(name)
        if value is None:
            self.unset[name] = None
            return "", False
        self.used.add(name)
        return value, True

    def braces(self) -> str:
        """``${…}``; the position is at its opening brace."""
        self.pos += 1
        first = self.word[self.pos : self.pos + 1]
        if not first:
            raise self.fail("syntax error: missing `}`")
        if first in "{}:":
            raise self.fail("syntax error: bad substitution")
        name = self.name()
        modifier = self.word[self.pos : self.pos + 1]
        self.pos += 1
        if not modifier:
            raise self.fail("syntax error: missing `}`")
        if modifier == "}":
            return self.value(name)[0]
        if modifier == "/":
            return self.replaced(name)
        colon = modifier == ":"
        if colon:
            modifier = self.word[self.pos : self.pos + 1]
            self.pos += 1
            if not modifier:
                raise self.fail("syntax error: missing `}`")
        trims = modifier in "#%"
        shells = self.heredocs and colon and not trims  # the shell's own, in a line of RUN: ${name:=word}, ${name:1:2}
        if modifier not in _ASSUMING and not shells and (colon or not trims):
            shown = ":" * colon + (modifier if modifier.isprintable() else repr(modifier)[1:-1])
            raise self.fail(f"unsupported modifier ({shown}) in substitution")
        if trims:
            return self.trimmed(name, modifier)
        return self.assumed(name, modifier, colon)

    def assumed(self, name: str, modifier: str, colon: bool) -> str:
        """``${name-word}``, ``+`` and ``?``; with a ``colon``, empty counts as unset."""
        word = self.text("}", raw=False)
        value, is_set = self.value(name)
        there = is_set and not (colon and not value)
        if modifier == "-":
            return value if there else word
        if modifier == "+":
            return word if there else ""
        if not there and not self.heredocs:
            raise self.fail(f"{name}: {word or 'is not allowed to be ' + ('empty' if is_set else 'unset')}")
        return value

    def trimmed(self, name: str, modifier: str) -> str:
        """``${name#pattern}`` and ``%``; the modifier twice takes the longest match."""
        pattern = self.text("}", raw=True)
        value, _ = self.value(name)
        if self.heredocs:
            return value
        longest = pattern.startswith(modifier)
        try:
            return (trim_prefix if modifier == "#" else trim_suffix)(value, pattern[longest:], longest)
        except ValueError as error:
            raise self.fail(f"invalid pattern ({pattern[longest:]}) in substitution: {error}") from None

    def replaced(self, name: str) -> str:
        """``${name/pattern/replacement}``; with ``//``, everywhere."""
        everywhere = self.word.startswith("/", self.pos)
        self.pos += everywhere
        pattern = self.text("/", raw=True)
        replacement = self.text("}", raw=True)
        value, _ = self.value(name)
        if self.heredocs:
            return value
        try:
            return (replace_all if everywhere else replace_first)(value, pattern, replacement)
        except ValueError as error:
            raise self.fail(f"invalid pattern ({pattern}) in substitution: {error}") from None
