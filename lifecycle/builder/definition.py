"""stack.toml as a value: what a build image and a run image are made of."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from lifecycle.errors import PylifeError
from lifecycle.oci import Reference
from lifecycle.toml import Table

FORMAT = 1
"""Raised when the same definition would give another image: it is part of every stack's key."""

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")


class BadStack(PylifeError):
    """A stack.toml breaks its rules."""

    code = "stack.bad-definition"
    fix = "Correct the key that is named; stacks/bookworm/stack.toml shows every key."


Kind = Literal["build", "run"]


@dataclass(frozen=True, slots=True)
class User:
    """The user that both images have beside Debian's own."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class ImageDefinition:
    """What makes one of the two images.

    ``packages`` are installed beside Debian's essential ones; ``drop`` are globs of names left out of the layer;
    ``commands`` are shell commands run in the finished root filesystem. With ``base`` there are none of these: the
    image is that stack's image of the same kind, and on it only this stack's user, environment and labels.
    """

    packages: tuple[str, ...]
    drop: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    base: StackDefinition | None = None


@dataclass(frozen=True, slots=True)
class StackDefinition:
    """A stack: two images of one distribution that fit each other.

    With ``pylife`` two more are made of them, a slugbuilder and a slugrunner with pylife in them.
    """

    id: str
    name: str
    suite: str
    components: tuple[str, ...]
    distro: tuple[str, str]
    user: User
    build: ImageDefinition
    run: ImageDefinition
    description: str = ""
    maintainer: str = ""
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    mirror: str = ""
    pylife: bool = False

    def image(self, kind: Kind) -> ImageDefinition:
        """What makes the image of that kind."""
        return self.build if kind == "build" else self.run

    def reference(self, kind: Kind) -> Reference:
        """The name of the image in the local store."""
        return Reference.parse(f"pylife/{self.name}-{kind}:latest")

    def key(self, kind: Kind) -> str:
        """A hash of all that decides what the image is, except the package versions and where they come from."""
        data = asdict(self)
        del data[kind]["base"]
        if (base := self.image(kind).base) is not None:
            data["base"] = base.key(kind)
        del data["mirror"], data["pylife"], data["run" if kind == "build" else "build"]
        if kind == "build":
            data["run_packages"] = self.run.packages  # a build image says what its run image has
        text = json.dumps({"format": FORMAT, "kind": kind, **data}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def only(table: Table, *known: str) -> None:
    """Refuse keys that are not among ``known``, naming the one that was probably meant."""
    for key in table.data:
        if key not in known:
            raise table.error(key, f"there is no such key{near(key, known)}")


def near(word: str, known: Collection[str]) -> str:
    """``; did you mean 'x'?`` or the list of what there is, to put behind a complaint about ``word``."""
    close = difflib.get_close_matches(word, known, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; the keys here are {', '.join(sorted(known))}"


def load_stack(path: Path) -> StackDefinition:
    """The stack in the directory ``path`` (or its stack.toml); raises BadStack with file and key."""
    return _load(_file(path), ())


def _file(path: Path) -> Path:
    return path if path.suffix == ".toml" else path / "stack.toml"


def _load(file: Path, seen: tuple[Path, ...]) -> StackDefinition:
    top = _read(file, seen)
    only(
        top,
        *("id", "name", "suite", "components", "description", "maintainer", "distro", "user", "env", "labels"),
        *("exclude", "include", "drop", "mirror", "pylife", "run", "build"),
    )
    distro, user = top.table("distro"), top.table("user")
    only(distro, "name", "version")
    only(user, "name", "uid", "gid", "home")
    name = top.required("name")
    if not _NAME.fullmatch(name):
        raise top.error("name", "it may hold lower-case letters, digits, '.' and '-': it becomes part of an image name")
    dropped = top.strings("drop")
    return StackDefinition(
        id=top.required("id"),
        name=name,
        suite=_word(top, "suite"),
        components=tuple(sorted(top.strings("components"))) or ("main",),
        distro=(distro.required("name"), distro.required("version")),
        user=_user(user),
        build=_image(top.table("build"), dropped, file, seen),
        run=_image(top.table("run"), dropped, file, seen),
        description=top.text("description"),
        maintainer=top.text("maintainer"),
        env=_strings(top, "env"),
        labels=_strings(top, "labels"),
        exclude=top.strings("exclude"),
        include=top.strings("include"),
        mirror=top.text("mirror"),
        pylife=top.flag("pylife"),
    )


def _word(table: Table, key: str) -> str:
    value = table.required(key)
    if not _NAME.fullmatch(value):
        raise table.error(key, f"{value!r} is no name of a Debian suite")
    return value


def _user(table: Table) -> User:
    user = User(
        table.required("name"),
        table.integer("uid", -1),
        table.integer("gid", -1),
        table.required("home"),
    )
    for key, value in (("uid", user.uid), ("gid", user.gid)):
        if not 0 < value < 65534:
            raise table.error(key, "it must be between 1 and 65533: builds never run as root")
    if not user.home.startswith("/") or user.home.strip("/") == "":
        raise table.error("home", "it must be an absolute path below /")
    if ":" in user.name + user.home or "\n" in user.name + user.home:
        raise table.error("name", "a user's name and home may not hold ':' or a line break")
    return user


def _image(table: Table, dropped: tuple[str, ...], file: Path, seen: tuple[Path, ...]) -> ImageDefinition:
    only(table, "packages", "drop", "commands", "base")
    if "base" in table.data:
        for key in ("packages", "drop", "commands"):
            if key in table.data:
                raise table.error(key, "an image with a base is that base as it is: keep one of the two keys")
        return ImageDefinition((), base=_load(_other(table, "base", file, seen), (*seen, file.resolve())))
    packages = table.strings("packages")
    for position, package in enumerate(packages):
        if not _PACKAGE.fullmatch(package):
            raise table.error(f"packages[{position}]", f"{package!r} is no name of a Debian package")
    return ImageDefinition(tuple(sorted(set(packages))), dropped + table.strings("drop"), table.strings("commands"))


def _read(file: Path, seen: tuple[Path, ...]) -> Table:
    """The document with what it takes over from the one that its key ``like`` names."""
    top = Table.load(file, BadStack)
    if "like" not in top.data:
        return top
    other = _read(_other(top, "like", file, seen), (*seen, file.resolve()))
    return replace(top, data=_joined(other.data, {key: top.data[key] for key in top.data if key != "like"}))


def _joined(other: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """``other`` with ``own`` over it: lists add up, tables join but for a user and an image with a base."""
    data = {**other, **own}
    for key in other.keys() & own.keys():
        one, two = other[key], own[key]
        if isinstance(one, list) and isinstance(two, list):
            data[key] = one + [item for item in two if item not in one]
        elif isinstance(one, dict) and isinstance(two, dict) and key != "user" and "base" not in two:
            data[key] = _joined(one, two)
    return data


def _other(table: Table, key: str, file: Path, seen: tuple[Path, ...]) -> Path:
    """The stack.toml of the directory that the key names, relative to ``file``."""
    found = _file(file.parent / table.required(key)).resolve()
    if found in (*seen, file.resolve()):
        raise table.error(key, "the stacks name each other in a circle")
    return found


def _strings(table: Table, key: str) -> dict[str, str]:
    values = table.mapping(key)
    for name, value in values.items():
        if not isinstance(value, str):
            raise table.error(f"{key}.{name}", "it must be a string")
    return values
