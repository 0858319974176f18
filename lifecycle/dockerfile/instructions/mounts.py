"""``RUN --mount``: what is put into the root filesystem for one command.

Buildah's options are taken too: those that have a meaning here are kept as data, the others in ``unused``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, cast, get_args

from lifecycle.dockerfile.ast import Node
from lifecycle.dockerfile.errors import DockerfileError, near
from lifecycle.dockerfile.instructions.base import Scope
from lifecycle.dockerfile.instructions.csv import parse_bool, split_fields
from lifecycle.record import dataclass

MountType = Literal["bind", "cache", "tmpfs", "secret", "ssh"]
Sharing = Literal["shared", "private", "locked"]

TYPES: tuple[str, ...] = get_args(MountType)
SHARINGS: tuple[str, ...] = get_args(Sharing)

_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18}) ?(?:b|([kmgtp])(?:i?b)?)?", re.IGNORECASE)
_PROPAGATIONS = ("shared", "rshared", "private", "rprivate", "slave", "rslave", "unbindable", "runbindable")


class MountSyntax(DockerfileError):
    """A ``--mount`` has an option that is unknown, that its type does not have, or whose value is wrong."""

    code = "dockerfile.mount-syntax"
    fix = "Write the mount as comma-separated key=value pairs, such as type=cache,target=/root/.cache."


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount, as written: defaults that depend on the build (paths, ids) are not filled in.

    ``from_`` is a stage, context or image. ``size`` is in bytes. ``env`` is None when not given and empty for the
    default name. ``options`` are of ``nosuid``, ``nodev``, ``noexec``. ``unused`` holds options that are accepted and
    have no meaning here: SELinux labels, propagation, consistency, and what the mount's type makes nothing of.
    """

    type: MountType = "bind"
    target: str = ""
    source: str = ""
    from_: str = ""
    id: str = ""
    read_only: bool = True
    sharing: Sharing | None = None
    required: bool = False
    size: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str | None = None
    options: tuple[str, ...] = ()
    copy_up: bool = False  # tmpfs: begins with what the image has at the target
    chown: bool = False  # Buildah's U: give the source to the step's user
    no_dereference: bool = False
    unused: tuple[str, ...] = ()


def mount_fields(text: str, node: Node) -> list[str]:
    """The fields of one ``--mount``; raises MountSyntax when they cannot be told apart."""
    try:
        return split_fields(text)
    except ValueError as error:
        raise node.error(MountSyntax, f"cannot read --mount={text}: {error}", word="--mount") from None


def parse_mount(text: str, node: Node, scope: Scope) -> Mount:
    """The mount that ``text`` describes, its values expanded; raises MountSyntax."""
    pairs = []
    for written in mount_fields(text, node):
        key, equals, value = written.partition("=")
        pairs.append((key.lower(), scope.word(value, node) if equals else None, written))
    return _Reading(node, pairs).mount()


class _Reading:
    """One mount being read: ``fields`` are what Mount is made of."""

    def __init__(self, node: Node, pairs: list[tuple[str, str | None, str]]) -> None:
        self.node = node
        self.pairs = pairs
        self.fields: dict[str, Any] = {}
        self.options: list[str] = []
        self.unused: list[str] = []
        kinds = [value.lower() for key, value, _ in pairs if key == "type" and value is not None]
        self.type = kinds[-1] if kinds else "bind"

    def fail(self, what: str, written: str = "--mount", fix: str | None = None) -> MountSyntax:
        return self.node.error(MountSyntax, what, word=written, fix=fix)

    def mount(self) -> Mount:
        if self.type not in TYPES:
            fix = near(self.type, TYPES, f"The types are {', '.join(TYPES)}.")
            raise self.fail(f"unsupported mount type {self.type!r}", self.type, fix)
        for key, value, written in self.pairs:
            self.option(key, value, written)
        self.fields.setdefault("read_only", self.type not in ("cache", "tmpfs"))
        mount = Mount(
            type=cast(MountType, self.type), options=tuple(self.options), unused=tuple(self.unused), **self.fields
        )
        self.check(mount)
        return mount

    def option(self, key: str, value: str | None, written: str) -> None:
        if key in _FLAGS:
            _FLAGS[key](self, self.boolean(value, written), written)
        elif key in _VALUES:
            if value is None:
                raise self.fail(f"invalid field {written!r}: it must be a key=value pair", written)
            _VALUES[key](self, value, written)
        else:
            fix = near(key, [*_VALUES, *_FLAGS], "See the options of RUN --mount in the Dockerfile reference.")
            raise self.fail(f"unexpected key {key!r} in {written!r}", written, fix)

    def boolean(self, value: str | None, written: str) -> bool:
        try:
            return value is None or parse_bool(value)
        except ValueError as error:
            raise self.fail(f"invalid value in {written!r}: {error}", written) from None

    def only_for(self, types: tuple[str, ...], written: str) -> None:
        if self.type not in types:
            key = written.partition("=")[0]
            only = f"It is for mounts of type {' or '.join(types)}."
            raise self.fail(f"unexpected key {key!r} for mount type {self.type!r}", written, only)

    def check(self, mount: Mount) -> None:
        if mount.sharing and mount.type != "cache":
            raise self.fail(f"a mount of type {mount.type} has no sharing", "sharing", "Remove sharing=.")
        if mount.type == "ssh" and mount.source:
            raise self.fail("a mount of type ssh has no source", "type=ssh", "Name the agent by id=.")
        if mount.type != "secret":
            return
        if mount.from_:
            raise self.fail("a mount of type secret has no from", "from", "Remove from=.")
        if mount.source and mount.id:
            raise self.fail("both source and id of a secret are given", "source", "Keep id=.")
        if not mount.source and not mount.id and not mount.target:
            raise self.fail("a mount of type secret needs an id or a target", "type=secret", "Add id=NAME.")


def _keep(name: str, *, for_types: tuple[str, ...] = ()) -> Callable[[_Reading, str, str], None]:
    """Takes the value as it is; for other types it has no meaning."""

    def take(reading: _Reading, value: str, written: str) -> None:
        if for_types and reading.type not in for_types:
            reading.unused.append(written)
        else:
            reading.fields[name] = value

    return take


def _read_only(reading: _Reading, value: bool, written: str) -> None:
    reading.fields["read_only"] = value


def _read_write(reading: _Reading, value: bool, written: str) -> None:
    reading.fields["read_only"] = not value


def _required(reading: _Reading, value: bool, written: str) -> None:
    reading.only_for(("secret", "ssh"), written)
    reading.fields["required"] = value


def _switch(name: str, *, wanted: bool = True) -> Callable[[_Reading, bool, str], None]:
    def take(reading: _Reading, value: bool, written: str) -> None:
        reading.fields[name] = value is wanted

    return take


def _copy_up(wanted: bool) -> Callable[[_Reading, bool, str], None]:
    def take(reading: _Reading, value: bool, written: str) -> None:
        reading.only_for(("tmpfs",), written)
        reading.fields["copy_up"] = value is wanted

    return take


def _option(reading: _Reading, value: bool, written: str) -> None:
    if value:
        reading.options.append(written.partition("=")[0].lower())
    else:
        reading.unused.append(written)


def _unused(reading: _Reading, value: bool | str, written: str) -> None:
    reading.unused.append(written)


def _kind(reading: _Reading, value: str, written: str) -> None:
    """The type was taken before all else."""


def _sharing(reading: _Reading, value: str, written: str) -> None:
    if value.lower() not in SHARINGS:
        fix = near(value, SHARINGS, f"It is one of {', '.join(SHARINGS)}.")
        raise reading.fail(f"unsupported sharing value {value!r}", written, fix)
    reading.fields["sharing"] = value.lower()


def _size(reading: _Reading, value: str, written: str) -> None:
    reading.only_for(("tmpfs",), written)
    match = _SIZE.fullmatch(value)
    if not match:
        raise reading.fail(f"invalid size {value!r}", written, "Write a number of bytes, or one with k, m or g.")
    reading.fields["size"] = int(float(match[1]) * _UNITS[(match[2] or "").lower()])


def _number(name: str, base: int, types: tuple[str, ...]) -> Callable[[_Reading, str, str], None]:
    digits = re.compile(r"[0-7]{1,20}" if base == 8 else r"[0-9]{1,20}")

    def take(reading: _Reading, value: str, written: str) -> None:
        if not digits.fullmatch(value) or int(value, base) >= 2**32:
            kind = "an octal number" if base == 8 else "a number"
            raise reading.fail(f"invalid value {value!r} for {name}: it is {kind}", written)
        reading.only_for(types, written)
        reading.fields[name] = int(value, base)

    return take


_OWNED = ("secret", "ssh", "cache")

_FLAGS: dict[str, Callable[[_Reading, bool, str], None]] = {
    "readonly": _read_only,
    "ro": _read_only,
    "readwrite": _read_write,
    "rw": _read_write,
    "required": _required,
    "u": _switch("chown"),
    "no-dereference": _switch("no_dereference"),
    "tmpcopyup": _copy_up(wanted=True),
    "notmpcopyup": _copy_up(wanted=False),
    "nosuid": _option,
    "nodev": _option,
    "noexec": _option,
    "suid": _unused,
    "dev": _unused,
    "exec": _unused,
    "z": _unused,
    "bind-nonrecursive": _unused,
    **dict.fromkeys(_PROPAGATIONS, _unused),
}

_VALUES: dict[str, Callable[[_Reading, str, str], None]] = {
    "type": _kind,
    "from": _keep("from_", for_types=("bind", "cache", "secret")),
    "source": _keep("source", for_types=("bind", "cache", "secret", "ssh")),
    "src": _keep("source", for_types=("bind", "cache", "secret", "ssh")),
    "target": _keep("target"),
    "dst": _keep("target"),
    "destination": _keep("target"),
    "id": _keep("id", for_types=("cache", "secret", "ssh")),
    "env": _keep("env", for_types=("secret",)),
    "sharing": _sharing,
    "size": _size,
    "tmpfs-size": _size,
    "mode": _number("mode", 8, _OWNED),
    "tmpfs-mode": _number("mode", 8, ("tmpfs",)),
    "uid": _number("uid", 10, _OWNED),
    "gid": _number("gid", 10, _OWNED),
    "relabel": _unused,
    "bind-propagation": _unused,
    "consistency": _unused,
}
