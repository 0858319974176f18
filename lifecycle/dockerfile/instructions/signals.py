"""The signals that STOPSIGNAL may name."""

from __future__ import annotations

from lifecycle.dockerfile.ast import Node
from lifecycle.dockerfile.errors import near
from lifecycle.dockerfile.instructions.base import BadValue

_NAMES = (
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP "
    "TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX"
)
SIGNALS = frozenset(
    [*_NAMES.split(), *[f"RTMIN+{i}" for i in range(1, 16)], *[f"RTMAX-{i}" for i in range(1, 15)]],
)


def check_signal(text: str, node: Node) -> None:
    """Raises BadValue when ``text`` is neither a number above 0 nor the name of a signal, with or without ``SIG``."""
    if text.isascii() and text.isdecimal() and text.strip("0"):
        return
    if text.upper().removeprefix("SIG") in SIGNALS:
        return
    fix = near(text.upper(), [f"SIG{name}" for name in SIGNALS], "Use a name such as SIGTERM, or a number.")
    raise node.error(BadValue, f"invalid signal: {text!r}", word=text, fix=fix)
