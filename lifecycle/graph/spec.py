"""``--cache-from`` and ``--cache-to``: what they may say, and what that means.

Source: buildx, ``docker buildx build --cache-from/--cache-to``: the same words; what pylife cannot do is refused by
name.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from lifecycle.archive.compress import Profile
from lifecycle.errors import PylifeError
from lifecycle.image import OciPlace, RegistryPlace
from lifecycle.oci import Dialect, Digest, Reference
from lifecycle.record import dataclass

Kind = Literal["registry", "local", "inline"]
Mode = Literal["min", "max"]

_OTHER_TYPES = ("gha", "s3", "azblob")
_FROM: Mapping[str, frozenset[str]] = {
    "registry": frozenset({"ref", "mounts"}),
    "local": frozenset({"src", "tag", "digest", "mounts"}),
}
_STORED = frozenset(
    {"mode", "compression", "compression-level", "force-compression", "ignore-error", "oci-mediatypes"}
    | {"image-manifest", "mounts"}
)
_TO: Mapping[str, frozenset[str]] = {
    "registry": frozenset({"ref", *_STORED}),
    "local": frozenset({"dest", "tag", *_STORED}),
    "inline": frozenset({"mode", "ignore-error"}),
}
_LEVELS = {"gzip": {"": Profile.GZIP_FAST, "2": Profile.GZIP_FAST, "6": Profile.GZIP_PORTABLE}}
_LEVELS |= {"zstd": {"": Profile.ZSTD, "3": Profile.ZSTD}, "uncompressed": {"": Profile.NONE}}


class BadCacheOption(PylifeError):
    """The text of --cache-from or --cache-to cannot be meant."""

    code = "cache.bad-option"
    exit_code = 2
    fix = "Write type=registry,ref=NAME or type=local,dest=DIR (src=DIR to read), or type=inline to write."


class UnsupportedCache(PylifeError):
    """A kind of cache, or an option of one, that pylife does not have."""

    code = "cache.unsupported"
    exit_code = 2
    fix = "Use type=registry,ref=NAME, or type=local,dest=DIR and let the CI service keep that directory."


@dataclass(frozen=True, slots=True)
class CacheSource:
    """A cache to read: an image in a registry (with an inline cache, or nothing but a cache) or in a layout."""

    place: RegistryPlace | OciPlace
    digest: Digest | None = None
    mounts: bool = False


@dataclass(frozen=True, slots=True)
class CacheTarget:
    """A cache to write. ``place`` is None for an inline one, which goes with the image.

    ``profile`` compresses all layers anew that are compressed otherwise; None leaves them as they are. A failure to
    write is only a warning with ``ignore_error``. ``mounts``: the cache mounts are written too.
    """

    place: RegistryPlace | OciPlace | None
    mode: Mode = "min"
    profile: Profile | None = None
    dialect: Dialect = Dialect.OCI
    ignore_error: bool = False
    mounts: bool = False

    @property
    def inline(self) -> bool:
        return self.place is None


def parse_cache_from(text: str) -> CacheSource:
    """What ``--cache-from`` says: ``type=…,…`` or an image's name. Raises BadCacheOption, UnsupportedCache."""
    option = "--cache-from"
    kind, fields = _fields(text, option, _FROM)
    mounts = _flag(fields, "mounts", option)
    if kind == "registry":
        return CacheSource(RegistryPlace(_reference(fields, option)), mounts=mounts)
    digest = Digest.parse(fields["digest"]) if "digest" in fields else None
    directory = Path(_need(fields, "src", option))
    return CacheSource(OciPlace(directory, fields.get("tag") or (None if digest else "latest")), digest, mounts)


def parse_cache_to(text: str) -> CacheTarget:
    """What ``--cache-to`` says: ``type=…,…`` or an image's name. Raises BadCacheOption, UnsupportedCache."""
    option = "--cache-to"
    kind, fields = _fields(text, option, _TO)
    mode = fields.get("mode", "min")
    if mode not in ("min", "max"):
        raise BadCacheOption(f"{option} {text}: the mode {mode!r} does not exist", why="it is min or max")
    if kind == "inline" and mode == "max":
        raise UnsupportedCache(
            f"{option} {text}: an inline cache has only mode=min",
            why="it is kept by the image's own layers",
            fix="Use type=registry,ref=NAME,mode=max for all steps.",
        )
    if not _flag(fields, "image-manifest", option, default=True):
        raise UnsupportedCache(
            f"{option} {text}: a cache is written as an image, not as an index",
            why="every registry takes images",
            fix="Leave image-manifest=false out.",
        )
    place: RegistryPlace | OciPlace | None = None
    if kind == "registry":
        place = RegistryPlace(_reference(fields, option))
    elif kind == "local":
        place = OciPlace(Path(_need(fields, "dest", option)), fields.get("tag", "latest"))
    return CacheTarget(
        place,
        "max" if mode == "max" else "min",
        _profile(fields, option),
        Dialect.OCI if _flag(fields, "oci-mediatypes", option, default=True) else Dialect.DOCKER,
        _flag(fields, "ignore-error", option),
        _flag(fields, "mounts", option),
    )


def _fields(text: str, option: str, types: Mapping[str, frozenset[str]]) -> tuple[str, dict[str, str]]:
    """The type and the other fields; a text without ``=`` is the name of an image in a registry."""
    import csv

    rows = list(csv.reader([text]))
    if not rows or not text.strip():
        raise BadCacheOption(f"{option} is empty")
    if len(rows[0]) == 1 and "=" not in text:
        return "registry", {"ref": text}
    fields: dict[str, str] = {}
    for part in rows[0]:
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        if not equals:
            raise BadCacheOption(f"{option} {text}: {part!r} is not NAME=VALUE")
        if name in fields:
            raise BadCacheOption(f"{option} {text}: {name} is given twice")
        fields[name] = value.strip()
    kind = fields.pop("type", "")
    if kind in _OTHER_TYPES:
        raise UnsupportedCache(f"{option} {text}: pylife has no cache of type {kind}")
    if kind == "inline" and kind not in types:
        raise UnsupportedCache(
            f"{option} {text}: an inline cache is in an image",
            fix="Name that image: --cache-from type=registry,ref=NAME.",
        )
    if kind not in types:
        what = f"the type {kind!r} does not exist" if kind else "it says no type"
        raise BadCacheOption(f"{option} {text}: {what}", fix=_near(kind, [*types], "type"))
    for name in fields:
        if name not in types[kind]:
            what = f"type={kind} has no option {name!r}"
            raise BadCacheOption(f"{option} {text}: {what}", fix=_near(name, [*sorted(types[kind])], "option"))
    return kind, fields


def _near(word: str, known: list[str], what: str) -> str:
    near = difflib.get_close_matches(word, known, 1)
    return f"Did you mean {near[0]}?" if near else f"The {what}s are {', '.join(known)}."


def _need(fields: Mapping[str, str], name: str, option: str) -> str:
    if not fields.get(name):
        raise BadCacheOption(f"{option}: {name}= is missing")
    return fields[name]


def _reference(fields: Mapping[str, str], option: str) -> Reference:
    return Reference.parse(_need(fields, "ref", option)).with_default_tag()


def _flag(fields: Mapping[str, str], name: str, option: str, *, default: bool = False) -> bool:
    value = fields.get(name, "").lower()
    if value in ("", "1", "true", "0", "false"):
        return default if not value else value in ("1", "true")
    raise BadCacheOption(f"{option}: {name}={fields[name]} is neither true nor false")


def _profile(fields: Mapping[str, str], option: str) -> Profile | None:
    codec, level = fields.get("compression", ""), fields.get("compression-level", "")
    if not codec and not level and not _flag(fields, "force-compression", option):
        return None
    levels = _LEVELS.get(codec or "gzip")
    if levels is None:
        raise UnsupportedCache(
            f"{option}: there is no compression {codec!r}", fix=f"The compressions are {', '.join(_LEVELS)}."
        )
    if level not in levels:
        known = ", ".join(item for item in levels if item)
        raise UnsupportedCache(
            f"{option}: {codec or 'gzip'} has no compression-level {level}",
            why="only levels whose bytes are the same everywhere are offered",
            fix=f"The levels are: {known}." if known else "Leave compression-level out.",
        )
    return levels[level]
