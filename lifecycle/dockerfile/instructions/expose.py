"""EXPOSE: ports that the image listens on."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Self

from lifecycle.dockerfile.ast import Node
from lifecycle.dockerfile.instructions.base import BadValue, Instruction, Scope, some_arguments
from lifecycle.dockerfile.instructions.flags import Flags
from lifecycle.record import dataclass

PROTOCOLS = ("tcp", "udp", "sctp")

_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    """``EXPOSE``: ``words`` as written, sorted; ``ports`` (``80/tcp``, ranges unrolled) once expanded."""

    words: tuple[str, ...]
    ports: tuple[str, ...] = ()

    @classmethod
    def read(cls, node: Node) -> Self:
        """The EXPOSE that ``node`` is."""
        Flags(node)
        return cls(node=node, words=tuple(sorted(some_arguments(node))))

    def expand(self, scope: Scope) -> Self:
        """With the words expanded (one may become several, or none), and the ports that they mean."""
        node = self.node
        words = tuple([part for word in self.words for part in scope.words(word, node)])
        return replace(self, words=words, ports=tuple([port for word in words for port in _ports(word, node)]))


@dataclass(frozen=True, slots=True)
class PortWord:
    """The parts of ``[[address:]host port:]port[/protocol]``, none of them checked."""

    address: str
    host: str
    container: str
    protocol: str  # as written; empty when not given

    @classmethod
    def parse(cls, word: str) -> PortWord:
        """The parts of ``word``."""
        outer, _, last = word.rpartition(":")
        address, _, host = outer.rpartition(":")
        container, _, protocol = last.partition("/")
        return cls(address, host, container, protocol)


def _ports(word: str, node: Node) -> list[str]:
    parts = PortWord.parse(word)
    protocol = parts.protocol.lower() or "tcp"
    if protocol not in PROTOCOLS:
        what = f"invalid port {word!r}: invalid protocol {parts.protocol!r}"
        raise node.error(BadValue, what, word=word, fix=f"The protocol is one of {', '.join(PROTOCOLS)}.")
    if parts.address and not _is_address(parts.address):
        raise node.error(BadValue, f"invalid port {word!r}: invalid IP address {parts.address!r}", word=word)
    first, last = _range(parts.container, word, node)
    if parts.host:
        host_first, host_last = _range(parts.host, word, node)
        if last != first and last - first != host_last - host_first:
            what = f"invalid ranges specified for container and host ports: {parts.container} and {parts.host}"
            raise node.error(BadValue, what, word=word)
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _range(text: str, word: str, node: Node) -> tuple[int, int]:
    begin, dash, end = text.partition("-")
    for number in (begin, end) if dash else (begin,):
        if not _NUMBER.fullmatch(number) or int(number) > 65535:
            what = f"invalid port {word!r}: {number!r} is not a number from 0 to 65535"
            raise node.error(BadValue, what, word=word, fix="Write a port, or two with a dash between them.")
    first, last = int(begin), int(end or begin)
    if last < first:
        raise node.error(BadValue, f"invalid port {word!r}: the range ends before it begins", word=word)
    return first, last


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    except ValueError:
        return False
    return True
