"""Pipfile.lock: which packages it pins for an app in production.

Source: Pipenv's documentation, "Pipfile.lock"; the hash of a Pipfile is defined by plette.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping
from typing import Any

from pylife_python.markers import applies
from pylife_python.pins import Locked, Pin, git_source, path_pin

_NO_CATEGORIES = (
    "source",
    "packages",
    "dev-packages",
    "requires",
    "scripts",
    "pipfile",
    "pipenv",
    "default",
    "develop",
)


def locked(
    lock: Mapping[str, Any],
    project: Mapping[str, Any],
    app: str,
    environment: Mapping[str, str],
    wanted: Collection[str] = (),
) -> Locked:
    """What ``pipenv sync`` would install; ``wanted`` are further categories."""
    pins = []
    for category in ("default", *wanted):
        for name, said in lock.get({"dev": "develop", "dev-packages": "develop"}.get(category, category), {}).items():
            if applies(said.get("markers", ""), environment):
                pins.append(_pin(name, said, app))
    sources = lock.get("_meta", {}).get("sources", [])
    # The first one is Pipenv's own default unless the Pipfile names another: the build's settings stand for it.
    indexes = [(source.get("name", ""), _expanded(source["url"])) for source in sources if source.get("name") != "pypi"]
    return Locked(pins, indexes)


def is_current(lock: Mapping[str, Any], pipfile: Mapping[str, Any]) -> bool:
    """Whether the lock was made from this Pipfile; true when the lock does not tell."""
    meta = lock.get("_meta", {})
    said = meta.get("hash", {}).get("sha256")
    content: dict[str, Any] = {
        "_meta": {"sources": pipfile.get("source", meta.get("sources", [])), "requires": pipfile.get("requires", {})},
        "default": pipfile.get("packages", {}),
        "develop": pipfile.get("dev-packages", {}),
    }
    content |= {name: said for name, said in pipfile.items() if name not in _NO_CATEGORIES}
    made = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":"), default=str).encode())
    return not said or said == made.hexdigest()


def _pin(name: str, said: Mapping[str, Any], app: str) -> Pin:
    version = said.get("version", "").removeprefix("==")
    if "git" in said:
        return Pin(name, source=git_source(name, said["git"], said.get("ref", "HEAD"), said.get("subdirectory", "")))
    if "path" in said:
        return path_pin(name, app, said["path"], editable=bool(said.get("editable")))
    if "file" in said:
        if "://" not in said["file"]:
            return path_pin(name, app, said["file"], editable=False)
        return Pin(name, source=f"{name} @ {said['file']}")
    if not version or version == "*":
        raise ValueError(f"{name} has no version")
    return Pin(name, version, said.get("hashes", ()))


def _expanded(url: str) -> str:
    """A source's URL with the variables that Pipenv puts in."""
    return re.sub(r"\$\{?(\w+)\}?", lambda match: os.environ.get(match[1], match[0]), url)
