"""HEALTHCHECK: how to see that a container is well."""

from __future__ import annotations

import re
from typing import Self

from lifecycle.dockerfile.ast import BadArguments, Node
from lifecycle.dockerfile.errors import near
from lifecycle.dockerfile.instructions.base import BadValue, Instruction, Scope, some_arguments
from lifecycle.dockerfile.instructions.flags import Flags
from lifecycle.record import dataclass

TIMES = ("interval", "timeout", "start-period", "start-interval")
MILLISECOND = 1_000_000

_UNITS = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "μs": 1000,
    "ms": MILLISECOND,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_DURATION = re.compile(r"(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_NUMBER = re.compile(r"[+-]?[0-9]{1,10}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck(Instruction):
    """``HEALTHCHECK``: ``test`` as the image config has it; times in nanoseconds, 0 when not given.

    The command is not expanded. Flags are; until then one with a variable in it counts as not given.
    """

    test: tuple[str, ...]  # ("NONE",), ("CMD", …) or ("CMD-SHELL", line)
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0

    @classmethod
    def read(cls, node: Node) -> Self:
        """The HEALTHCHECK that ``node`` is."""
        return cls._read(node, None)

    def expand(self, scope: Scope) -> Self:
        """With the flags expanded."""
        return self._read(self.node, scope) if self.node.flags else self

    @classmethod
    def _read(cls, node: Node, scope: Scope | None) -> Self:
        flags = Flags(node, scope, texts=(*TIMES, "retries"))
        kind, *command = some_arguments(node)
        if kind.upper() == "NONE":
            if command:
                raise node.error(BadArguments, "HEALTHCHECK NONE takes no arguments", word=command[0])
            return cls(node=node, test=("NONE",))
        if kind.upper() != "CMD":
            fix = near(kind, ["CMD", "NONE"], "Write `HEALTHCHECK CMD command` or `HEALTHCHECK NONE`.")
            raise node.error(BadArguments, f"unknown type {kind!r} in HEALTHCHECK (try CMD)", word=kind, fix=fix)
        if not command:
            raise node.error(BadArguments, "missing command after HEALTHCHECK CMD", word=kind)
        interval, timeout, start_period, start_interval = [_time(flags, name) for name in TIMES]
        return cls(
            node=node,
            test=("CMD" if node.json else "CMD-SHELL", *command),
            interval=interval,
            timeout=timeout,
            start_period=start_period,
            start_interval=start_interval,
            retries=_retries(flags),
        )


def _given(flags: Flags, name: str) -> str | None:
    text = flags.text(name)
    return None if text is None or (flags.scope is None and "$" in text) else text


def _time(flags: Flags, name: str) -> int:
    text = _given(flags, name)
    if text is None:
        return 0
    try:
        nanoseconds = parse_duration(text)
    except ValueError as error:
        fix = "Write a duration such as 30s, 1m30s or 500ms."
        raise flags.node.error(BadValue, f"--{name}: {error}", word=f"--{name}", fix=fix) from None
    if nanoseconds and nanoseconds < MILLISECOND:
        what = f"--{name} cannot be less than 1ms"
        raise flags.node.error(BadValue, what, word=f"--{name}", fix="Write 0 (the default) or at least 1ms.")
    return nanoseconds


def _retries(flags: Flags) -> int:
    text = _given(flags, "retries")
    if text is None:
        return 0
    if not _NUMBER.fullmatch(text) or not 0 <= int(text) < 2**31:
        what = f"--retries is {text!r}, which is not a number from 0 up"
        raise flags.node.error(BadValue, what, word="--retries", fix="Write how many failures in a row count.")
    return int(text)


def parse_duration(text: str) -> int:
    """The nanoseconds that ``text`` means in Go's syntax (``1h2m3.5s``); raises ValueError."""
    sign = -1 if text.startswith("-") else 1
    bare = text[1:] if text[:1] in ("-", "+") else text
    if len(bare) > 100 or not _DURATION.fullmatch(bare):
        missing = bare.replace(".", "").isdecimal()
        raise ValueError(f"{text!r} is not a duration" + (": it has no unit" if missing else ""))
    total = 0
    for whole, fraction, unit in _PART.findall(bare):
        scale = _UNITS[unit]
        total += int(whole[-30:] or 0) * scale + int(int(fraction[:18] or 0) * (scale / 10 ** len(fraction[:18])))
    if total >= 2**63:
        raise ValueError(f"{text!r} is too long a time")
    return sign * total
