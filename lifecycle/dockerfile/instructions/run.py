"""RUN: a command in the stage's root filesystem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self, cast, get_args

from lifecycle.dockerfile.ast import BadArguments, Node
from lifecycle.dockerfile.instructions.base import Command, Instruction, Scope
from lifecycle.dockerfile.instructions.flags import BadFlag, Flags
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.dockerfile.instructions.mounts import Mount

Network = Literal["default", "none", "host"]
Security = Literal["sandbox", "insecure"]


@dataclass(frozen=True, slots=True)
class Device:
    """A CDI device: ``[name=]vendor/class=device[,required]``."""

    device: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    """``RUN``: the command is never expanded.

    Mounts and devices are read when the instruction is expanded; before that they are empty (``mount_texts`` has
    what is written), and a network or security with a variable in it is the default.
    """

    command: Command
    mounts: tuple[Mount, ...] = ()
    network: Network = "default"
    security: Security = "sandbox"
    devices: tuple[Device, ...] = ()

    @classmethod
    def read(cls, node: Node) -> Self:
        """The RUN that ``node`` is."""
        if node.json and not node.words:
            raise node.error(
                BadArguments, "RUN has an empty command", fix='Write a command: RUN ["program", "argument"].'
            )
        return cls._read(node, None)

    @property
    def mount_texts(self) -> tuple[str, ...]:
        """What is written after each ``--mount=``."""
        return tuple([flag.partition("=")[2] for flag in self.node.flags if flag.startswith("--mount=")])

    def expand(self, scope: Scope) -> Self:
        """With mounts, devices and all other flags expanded and checked."""
        return self._read(self.node, scope) if self.node.flags else self

    @classmethod
    def _read(cls, node: Node, scope: Scope | None) -> Self:
        flags = Flags(node, scope, texts=("network", "security"), lists=("mount", "device"))
        network = flags.choice("network", get_args(Network), "network mode")
        security = flags.choice("security", get_args(Security), "security mode")
        return cls(
            node=node,
            command=Command.read(node),
            mounts=_mounts(flags.list("mount"), node, scope),
            network=cast(Network, network if network in get_args(Network) else "default"),
            security=cast(Security, security if security in get_args(Security) else "sandbox"),
            devices=tuple([_device(text, node) for text in flags.list("device")]) if scope else (),
        )


def _mounts(texts: tuple[str, ...], node: Node, scope: Scope | None) -> tuple[Mount, ...]:
    if not texts:
        return ()
    from lifecycle.dockerfile.instructions.mounts import mount_fields, parse_mount

    if scope:
        return tuple([parse_mount(text, node, scope) for text in texts])
    for text in texts:
        mount_fields(text, node)
    return ()


def _device(text: str, node: Node) -> Device:
    from lifecycle.dockerfile.instructions.csv import parse_bool, split_fields

    device, required = "", False
    try:
        for field in split_fields(text):
            key, equals, value = field.partition("=")
            if key.lower() == "required":
                required = parse_bool(value) if equals else True
            elif device:
                raise ValueError(f"{field!r} is one device too many")
            else:
                device = value if key.lower() == "name" and equals else field
        if not device:
            raise ValueError("it names no device")
    except ValueError as error:
        fix = "Write --device=vendor/class=name, and `,required` behind it when the step cannot do without."
        raise node.error(BadFlag, f"cannot read --device={text}: {error}", word="--device", fix=fix) from None
    return Device(device, required)
