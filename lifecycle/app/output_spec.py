"""``--output`` as a value: where a build's result goes, and in which form.

Source: ``docker buildx build --help``, "--output"; BuildKit, README "Output" and exporter/containerimage/exptypes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from lifecycle.archive.compress import Profile
from lifecycle.errors import UsageError
from lifecycle.oci import BadPlatform, BadReference, Dialect, Platform, Reference
from lifecycle.record import dataclass

OutputKind = Literal["image", "registry", "oci", "docker", "tar", "local", "cacheonly"]
Level = Literal["manifest", "manifest-descriptor", "index"]

_KINDS: tuple[str, ...] = get_args(OutputKind)
_IMAGES = ("image", "registry", "oci", "docker")
_ANNOTATION = re.compile(r"annotation(?:-(?P<level>[a-z-]+))?(?:\[(?P<platform>[A-Za-z0-9_./-]+)\])?\.(?P<key>\S+)")
_TRUE, _FALSE = ("1", "t", "true", ""), ("0", "f", "false")

_FORM = ("compression", "compression-level", "force-compression", "oci-mediatypes", "rewrite-timestamp")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "image": ("name", "push", "push-by-digest", "store", *_FORM),
    "registry": ("name", "push", "push-by-digest", "store", *_FORM),
    "oci": ("name", "dest", "tar", *_FORM),
    "docker": ("name", "dest", "tar", "rewrite-timestamp"),
    "tar": ("dest", "platform-split", "rewrite-timestamp"),
    "local": ("dest", "platform-split", "mode", "rewrite-timestamp"),
    "cacheonly": (),
}
_REFUSED = {
    "registry.insecure": "--insecure-registry HOST says so for every use of a registry",
    "unpack": "it is about the store of containerd",
    "name-canonical": "a digest is a name everywhere: NAME@DIGEST needs no saying",
    "dangling-name-prefix": "it is about the store of containerd",
    "source-date-epoch": "one time holds for a whole build: --build-arg SOURCE_DATE_EPOCH=SECONDS",
    "prefer-nondist-layers": "layers keep the kind that they have",
    "attestation-inline": "there are no attestations here",
    "attestation-prefix": "there are no attestations here",
    "oci-artifact": "there are no attestations here",
}


class BadOutput(UsageError):
    """An --output cannot be understood, or asks for something that its kind cannot do."""

    code = "output.bad-output"
    fix = "For example --output type=oci,dest=app.tar, --output type=local,dest=out, or --output out."


@dataclass(frozen=True, slots=True)
class Annotation:
    """An annotation of the manifests, of their descriptors in an index, or of the index; of one platform's or all."""

    key: str
    value: str
    level: Level = "manifest"
    platform: Platform | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One ``--output``. ``destination`` is a path, ``-`` for standard output, empty where the kind needs none.

    ``names`` and ``push`` are empty and None where the text says nothing: then the build's own hold. ``profile``
    is for the layers that the build made, with ``force_compression`` for all. ``packed`` is False for a layout that is
    a directory; ``delete`` empties a directory of what the result does not have.
    """

    kind: OutputKind
    destination: str = ""
    names: tuple[Reference, ...] = ()
    push: bool | None = None
    by_digest: bool = False
    profile: Profile | None = None
    force_compression: bool = False
    dialect: Dialect | None = None
    packed: bool = True
    platform_split: bool | None = None
    delete: bool = False
    annotations: tuple[Annotation, ...] = ()


def parse_output(text: str) -> Output:
    """The output in buildx' notation (``type=…,dest=…``, a bare path, ``-``); raises BadOutput."""
    import csv

    if not text.strip():
        raise BadOutput("--output says nothing")
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise BadOutput(f"--output {text!r} cannot be understood", why=str(error)) from error
    fields = rows[0] if rows else []
    if fields == [text] and not text.startswith("type="):
        if "=" in text and (
            text.partition("=")[0] in _REFUSED or any(text.partition("=")[0] in keys for keys in _KEYS.values())
        ):
            raise BadOutput(
                f"--output {text} lacks a type", fix=f"Write --output type=…,{text}, or ./{text} for a path."
            )
        return Output("tar", "-") if text == "-" else Output("local", text)
    pairs: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        key = key.strip() if _is_annotation(key.strip()) else key.strip().lower()
        if not equals:
            raise BadOutput(f"{field!r} in --output {text} has no value", fix=f"Write {field}=VALUE.")
        if key in pairs:
            raise BadOutput(f"{key} comes twice in --output {text}")
        pairs[key] = value
    kind = pairs.pop("type", "")
    if kind not in _KINDS:
        what = f"{kind!r} is no type of output" if kind else f"--output {text} lacks a type"
        raise BadOutput(what, where=f"--output {text}" if kind else None, fix=_near(kind, _KINDS))
    return _output(kind, pairs, text)  # type: ignore[arg-type]


def _output(kind: OutputKind, pairs: Mapping[str, str], text: str) -> Output:
    where = f"--output {text}"
    annotations = tuple(_annotation(key, value, kind, where) for key, value in pairs.items() if _is_annotation(key))
    known = _KEYS[kind]
    for key in pairs:
        if key in known or _is_annotation(key):
            continue
        if key in _REFUSED:
            raise BadOutput(f"{key} cannot be set", where=where, why=_REFUSED[key], fix="Leave it out.")
        if any(key in keys for keys in _KEYS.values()):
            others = ", ".join(name for name in _KINDS if key in _KEYS[name])
            raise BadOutput(f"{key} is nothing for type={kind}", where=where, why=f"it is for {others}")
        raise BadOutput(f"Unknown key {key!r}", where=where, fix=_near(key, (*known, "type")))

    def flag(key: str, default: bool) -> bool:
        return _flag(key, pairs[key], where) if key in pairs else default

    if not flag("rewrite-timestamp", True):
        raise BadOutput("rewrite-timestamp cannot be false", where=where, why="layers have one time in any case")
    push = flag("push", True) if kind == "registry" or "push" in pairs else None
    by_digest = flag("push-by-digest", False)
    names = tuple(_name(item, where) for item in pairs.get("name", "").split(",") if item)
    if kind == "registry" and push is False:
        raise BadOutput("type=registry with push=false does nothing", where=where, fix="Write type=image.")
    if not flag("store", True) and not push:
        raise BadOutput("An image is neither stored nor pushed", where=where, fix="Drop store=false, or add push=true.")
    if by_digest and any(ref.tag for ref in names):
        raise BadOutput("An image that is pushed by its digest has no tag", where=where, fix="Leave the tag out.")
    profile = _profile(pairs, where)
    if flag("force-compression", False) and profile is None:
        raise BadOutput("force-compression needs a compression", where=where, fix="Add compression=gzip or zstd.")
    dialect = None
    if "oci-mediatypes" in pairs:
        dialect = Dialect.OCI if flag("oci-mediatypes", True) else Dialect.DOCKER
    if kind == "oci" and dialect is Dialect.DOCKER:
        raise BadOutput("An OCI layout has OCI media types", where=where, fix="Leave oci-mediatypes out.")
    packed = flag("tar", True)
    if kind == "docker" and not packed:
        raise BadOutput("A docker archive is a tar file", where=where, fix="Leave tar=false out, or write type=oci.")
    mode = pairs.get("mode", "copy")
    if mode not in ("copy", "delete"):
        raise BadOutput(f"{mode!r} is no mode", where=where, fix=_near(mode, ("copy", "delete")))
    return Output(
        kind,
        _destination(kind, pairs.get("dest", ""), packed, where),
        names,
        push,
        by_digest,
        profile,
        flag("force-compression", False),
        dialect,
        packed,
        flag("platform-split", True) if "platform-split" in pairs else None,
        mode == "delete",
        annotations,
    )


def _destination(kind: OutputKind, path: str, packed: bool, where: str) -> str:
    match kind:
        case "local" if path in ("", "-"):
            raise BadOutput("A local output needs a directory", where=where, fix="Add dest=DIR.")
        case "local" if Path(path).exists() and not Path(path).is_dir():
            raise BadOutput(f"{path} is no directory", where=where, fix="Name another place with dest=DIR.")
        case "docker" if not path:
            why = "without dest the image would go to a Docker daemon, and pylife talks to none"
            raise BadOutput("A docker archive needs a file", where=where, why=why, fix="Add dest=FILE, or dest=-.")
        case "oci" if not packed and path in ("", "-"):
            raise BadOutput("A layout needs a directory", where=where, fix="Add dest=DIR.")
        case "tar" | "oci" | "docker" if packed:
            if path not in ("", "-") and Path(path).is_dir():
                why = f"{path} is a directory"
                raise BadOutput(
                    f"type={kind} writes a file", where=where, why=why, fix="Name a file, or add tar=false."
                )
            return path or "-"
    return path


def _profile(pairs: Mapping[str, str], where: str) -> Profile | None:
    """The way to compress; of the levels those that always give the same bytes."""
    codec, level = pairs.get("compression"), pairs.get("compression-level")
    if codec is None:
        if level is not None:
            raise BadOutput("compression-level needs a compression", where=where, fix="Add compression=gzip or zstd.")
        return None
    levels: dict[str, dict[str | None, Profile]] = {
        "gzip": {None: Profile.GZIP_FAST, "2": Profile.GZIP_FAST, "6": Profile.GZIP_PORTABLE},
        "zstd": {None: Profile.ZSTD, "3": Profile.ZSTD},
        "uncompressed": {None: Profile.NONE},
    }
    if codec not in levels:
        why = "lazy pulling needs an index in each layer, which pylife does not write" if "stargz" in codec else None
        raise BadOutput(f"There is no compression {codec!r}", where=where, why=why, fix=_near(codec, tuple(levels)))
    if level not in levels[codec]:
        known = ", ".join(item for item in levels[codec] if item) or "none"
        why = f"the levels of {codec} are: {known}"
        raise BadOutput(
            f"There is no {codec} of level {level}", where=where, why=why, fix="Leave compression-level out."
        )
    return levels[codec][level]


def _is_annotation(key: str) -> bool:
    return key.startswith("annotation") and "." in key and key != "annotation"


def _annotation(key: str, value: str, kind: OutputKind, where: str) -> Annotation:
    found = _ANNOTATION.fullmatch(key)
    if found is None:
        raise BadOutput(f"{key!r} is no annotation", where=where, fix="Write annotation.KEY=VALUE.")
    if kind not in _IMAGES or kind == "docker":
        raise BadOutput(f"type={kind} has no annotations", where=where, fix="They are for image, registry and oci.")
    level = found["level"] or "manifest"
    if level not in get_args(Level):
        why = "an index has no descriptor where pylife writes it" if level == "index-descriptor" else None
        raise BadOutput(f"There is no annotation of {level!r}", where=where, why=why, fix=_near(level, get_args(Level)))
    if found["platform"] and level == "index":
        raise BadOutput("An index is for all platforms", where=where, fix=f"Write annotation-index.{found['key']}.")
    try:
        platform = Platform.parse(found["platform"]) if found["platform"] else None
    except BadPlatform as error:
        raise BadOutput(f"{key!r} is no annotation", where=where, why=str(error)) from error
    return Annotation(found["key"], value, level, platform)  # type: ignore[arg-type]


def _name(text: str, where: str) -> Reference:
    try:
        return Reference.parse(text.strip())
    except BadReference as error:
        raise BadOutput(f"{text!r} is no image name", where=where, why=error.why or str(error)) from error


def _flag(key: str, value: str, where: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise BadOutput(f"{value!r} is no value for {key}", where=where, why="it is true or false")


def _near(word: str, known: Sequence[str]) -> str:
    import difflib

    near = difflib.get_close_matches(word, known, 1)
    return f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(known)}."
