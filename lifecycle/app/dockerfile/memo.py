"""The builds that were done: what each looked at, and what came of it.

A build whose every input is as it was gives what it gave, so nothing needs to be planned for it. Only inputs that can
be looked at on this machine count: files, images of the store, directories. A build that asked anything else (a
registry, a URL, git) is not remembered. This module imports little, since it stands before every build.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import __version__
from lifecycle.record import dataclass

if TYPE_CHECKING:
    from lifecycle.app.dockerfile.request import DockerfileRequest
    from lifecycle.app.ports import Ports

KEPT_DAYS = 30
"""Days after which ``pylife gc`` forgets a build that was not repeated."""

Witness = list[Any]
"""One input: ``["file", path, digest or None]``, ``["image", name, digest]``, ``["tree", place, spec, digest]``."""


@dataclass(frozen=True, slots=True)
class Memo:
    """A build: what it looked at, what it said on the way, and what is told of its image (plain data)."""

    witnesses: tuple[Witness, ...]
    messages: tuple[tuple[str, str], ...]
    facts: Mapping[str, Any]


def memorable(request: DockerfileRequest) -> bool:
    """Whether a build is nothing but its image in the store: it leaves nothing else, and is to be found as it was."""
    asks = request.pull in ("always", "newer")
    wanted = (request.no_cache, request.no_cache_stages, asks, request.outputs, request.cache_to)
    remote = (request.cache_from, request.cache_repo, request.push)
    return bool(request.names) and not any((*wanted, *remote)) and "-" not in request.files


def find_unchanged(request: DockerfileRequest, ports: Ports) -> Memo | None:
    """The same build as it was done before, when everything it looked at is as it was and its image is there."""
    if not memorable(request):
        return None
    memo = _load(_path(request, ports))
    if memo is None or not all(_holds(witness, ports) for witness in memo.witnesses):
        return None
    if any(_stored(name, ports) != memo.facts["digest"] for name in memo.facts["names"]):
        return None
    with suppress(OSError):
        os.utime(_path(request, ports))
    return memo


def remember(request: DockerfileRequest, memo: Memo, ports: Ports) -> None:
    """Keep what came of a build; costs nothing but time when it cannot be kept."""
    from lifecycle.store.partial import write_file

    path = _path(request, ports)
    data = {"witnesses": memo.witnesses, "messages": memo.messages, "facts": dict(memo.facts)}
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, json.dumps(data, separators=(",", ":")).encode())


def forget_old(ports: Ports, now: float | None = None) -> int:
    """Remove builds that were not repeated for KEPT_DAYS; how many."""
    limit = (time.time() if now is None else now) - KEPT_DAYS * 86400
    place = ports.caches / "builds"
    old = [path for path in place.iterdir() if path.stat().st_mtime < limit] if place.is_dir() else []
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def file_witness(path: str | os.PathLike[str]) -> Witness:
    """A file's content, or that there is none."""
    return ["file", os.fspath(path), _digest_of(os.fspath(path))]


def ignore_files(context: Path, dockerfile: Path) -> Iterable[Path]:
    """Where the ignore rules of a context can come from."""
    yield dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    yield context / ".containerignore"
    yield context / ".dockerignore"


def _digest_of(path: str) -> str | None:
    if not os.path.isfile(path):  # opening a FIFO would wait for its other end
        return None
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None


def _path(request: DockerfileRequest, ports: Ports) -> Path:
    """Where a build is remembered: by all that it was told, and from where."""
    told = {
        "pylife": __version__,
        "request": asdict(request) | {"allowed": sorted(request.allowed)},
        "directory": os.getcwd(),
        "epoch": os.environ.get("SOURCE_DATE_EPOCH"),
        "machine": os.uname().machine,
    }
    text = json.dumps(told, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
    return ports.caches / "builds" / f"{hashlib.sha256(text).hexdigest()[:32]}.json"


def _load(path: Path) -> Memo | None:
    try:
        data = json.loads(path.read_bytes())
        messages = tuple((str(text), str(level)) for text, level in data["messages"])
        memo = Memo(tuple(data["witnesses"]), messages, data["facts"])
        return memo if memo.facts["digest"] and memo.facts["names"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _holds(witness: Witness, ports: Ports) -> bool:
    """Whether an input is as it was."""
    match witness:
        case ["file", str(path), digest]:
            return bool(_digest_of(path) == digest)
        case ["image", str(name), digest]:
            return bool(_stored(name, ports) == digest)
        case ["tree", dict(place), dict(spec), digest]:
            return bool(_selected(place, spec, ports) == digest)
        case _:
            return False


def _stored(name: str, ports: Ports) -> str | None:
    """The digest of an image of the store."""
    from lifecycle.oci.reference import Reference

    found = ports.store.get(Reference.parse(name).with_default_tag())
    return None if found is None else str(found.digest)


def tree_witness(directory: Path, dockerfile: Path, rules: str, spec: Any, digest: str) -> Witness:
    """What was selected from a directory; ``rules`` is the ignore file that was named, if one was."""
    place = {"directory": str(directory), "dockerfile": str(dockerfile), "rules": rules}
    inlines = [[item.name, item.data.hex(), item.mode] for item in spec.inlines]
    chmod = None if spec.chmod is None else spec.chmod.text
    return ["tree", place, asdict(spec) | {"inlines": inlines, "chmod": chmod}, digest]


def _selected(place: Mapping[str, str], written: Mapping[str, Any], ports: Ports) -> str | None:
    """The digest of what the same selection takes now; None when it takes nothing any more."""
    from lifecycle.archive.filetree import HostTree
    from lifecycle.dockerfile.copying.memory import Memory
    from lifecycle.dockerfile.copying.selection import select
    from lifecycle.dockerfile.copying.spec import CopySpec, Inline
    from lifecycle.dockerfile.ignore import IgnoreRules, load_ignore_rules, without_home
    from lifecycle.dockerfile.modes import Mode
    from lifecycle.errors import PylifeError

    fields = dict(written)
    fields["inlines"] = tuple(Inline(name, bytes.fromhex(data), mode) for name, data, mode in fields["inlines"])
    fields["sources"], fields["exclude"] = tuple(fields["sources"]), tuple(fields["exclude"])
    fields["chmod"] = None if fields["chmod"] is None else Mode.parse(fields["chmod"])
    directory = Path(place["directory"])
    try:
        if place["rules"]:
            rules = IgnoreRules.parse(Path(place["rules"]).read_bytes(), place["rules"])
        else:
            rules = load_ignore_rules(directory, Path(place["dockerfile"]))
        tree = HostTree(directory, without_home(rules, directory, ports.home))
        return str(select(tree, CopySpec(**fields), Memory(ports.caches / "files")).digest)
    except (PylifeError, OSError):
        return None
