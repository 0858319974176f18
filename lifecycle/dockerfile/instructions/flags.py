"""The flags of an instruction: which it knows, whether each takes a value, and what they say."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.dockerfile.ast import Node
from lifecycle.dockerfile.errors import DockerfileError, near
from lifecycle.dockerfile.instructions.base import Scope


class UnknownFlag(DockerfileError):
    """An instruction has a flag that it does not know."""

    code = "dockerfile.unknown-flag"
    fix = "Remove the flag, or write `--` before an argument that begins with two dashes."


class BadFlag(DockerfileError):
    """A flag of an instruction stands twice, lacks its value, or has a value that it cannot have."""

    code = "dockerfile.bad-flag"
    fix = "Give the flag once, with a value of its kind."


class Flags:
    """The flags of one node; raises UnknownFlag and BadFlag when made.

    ``words`` are flags whose value is a word (quotes and escapes count); ``texts`` take their value as it is, and
    ``lists`` too, any number of times; ``switches`` are true or false. With a scope variables are expanded in all;
    without one a value that has any is taken as it is written, and not checked.
    """

    __slots__ = ("known", "lists", "node", "scope", "values", "words")

    def __init__(
        self,
        node: Node,
        scope: Scope | None = None,
        *,
        words: Sequence[str] = (),
        texts: Sequence[str] = (),
        switches: Sequence[str] = (),
        lists: Sequence[str] = (),
    ) -> None:
        self.node = node
        self.scope = scope
        self.words = words
        self.lists = lists
        self.values: dict[str, list[str]] = {}
        known = (*words, *texts, *switches, *lists)
        for flag in node.flags:
            written, equals, value = flag.partition("=")
            name = written[2:]
            if name not in known:
                raise self._unknown(written, known)
            if name in self.values and name not in lists:
                raise node.error(BadFlag, f"duplicate flag specified: {written}", word=written)
            if (name in switches and equals and not value) or (name not in switches and not equals):
                raise node.error(BadFlag, f"missing a value on flag: {written}", word=written)
            self.values.setdefault(name, []).append(self._expanded(name, value))
        for name in switches:
            self._check_switch(name)

    def text(self, name: str) -> str | None:
        """The value of a flag; None when it is not given, or empty."""
        values = self.values.get(name)
        return values[0] or None if values else None

    def switch(self, name: str) -> bool | None:
        """What a switch says; None when it is not given."""
        values = self.values.get(name)
        return values[0].lower() != "false" if values else None

    def list(self, name: str) -> tuple[str, ...]:
        """All values of a flag that may stand more than once."""
        return tuple(self.values.get(name, ()))

    def choice(self, name: str, allowed: Sequence[str], what: str) -> str | None:
        """The value of a flag that is one of ``allowed``; raises BadFlag."""
        value = self.text(name)
        if value is None or value in allowed or (self.scope is None and "$" in value):
            return value
        fix = near(value, allowed) or f"Use one of {', '.join(allowed)}."
        raise self.node.error(BadFlag, f"invalid {what} {value!r}", word=f"--{name}", fix=fix)

    def _unknown(self, written: str, known: Sequence[str]) -> UnknownFlag:
        upper = self.node.keyword.upper()
        flags = [f"--{name}" for name in known]
        otherwise = f"{upper} knows {', '.join(sorted(flags))}." if flags else f"{upper} has no flags."
        what = f"unknown flag of {upper}: {written}"
        return self.node.error(UnknownFlag, what, word=written, fix=near(written, flags, otherwise))

    def _expanded(self, name: str, value: str) -> str:
        if self.scope is None:
            return value
        if name in self.words:
            return self.scope.word(value, self.node)
        return self.scope.variables(value, self.node) if "$" in value and name != "mount" else value

    def _check_switch(self, name: str) -> None:
        for value in self.values.get(name, ()):
            if value.lower() not in ("", "true", "false") and not (self.scope is None and "$" in value):
                what = f"expecting boolean value for flag --{name}, not: {value}"
                raise self.node.error(BadFlag, what, word=f"--{name}", fix="Write true or false.")
