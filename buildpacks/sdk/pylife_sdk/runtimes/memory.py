"""The choices of earlier builds: while an app asks for the same, it keeps the version that it was built with."""

from __future__ import annotations

import hashlib
import json
import os

from pylife_sdk.context import Build, Detect, read_bytes, write_file
from pylife_sdk.layer import Layer, open_layer

LAYER = "runtime-choices"
_KEY = {"format": "2"}


def recall(context: Build | Detect, subject: str, want: str, asked: list[tuple[str, str]]) -> str | None:
    """The version that an earlier build took for the same words and sources, None when there was none.

    ``subject`` names the runtime and the source that has it.
    """
    layer = _layer(context)
    return _choices(layer).get(_question(subject, want, asked))


def remember(context: Build | Detect, subject: str, want: str, asked: list[tuple[str, str]], version: str) -> None:
    """Keeps a choice for the next build."""
    layer = _layer(context)
    choices = {**_choices(layer), _question(subject, want, asked): version}
    write_file(os.path.join(layer.path, "choices.json"), json.dumps(choices, indent=1, sort_keys=True) + "\n")


def _layer(context: Build | Detect) -> Layer:
    assert isinstance(context, Build)
    layer = open_layer(context, LAYER, cache=True)
    if layer.stale(_KEY):
        layer.empty()
    layer.commit(_KEY)
    return layer


def _choices(layer: Layer) -> dict[str, str]:
    try:
        found = json.loads(read_bytes(os.path.join(layer.path, "choices.json")))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _question(subject: str, want: str, asked: list[tuple[str, str]]) -> str:
    # A mirror's address may hold a password, which must not be kept.
    order = ",".join(f"{name}:{place}" for name, place in asked)
    return f"{subject} {want} {hashlib.sha256(order.encode()).hexdigest()[:16]}"
