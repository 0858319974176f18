"""``pylife diff``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.command import Session, command, json_flag, platform_flag, registry_flags

if TYPE_CHECKING:
    from lifecycle.image.diff import Change, FileChange, ImageDiff

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


@command(
    examples=["pylife diff demo:1 demo:2", "pylife diff --no-files demo localhost:5000/demo", "pylife diff --json a b"]
)
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--files/--no-files", default=True, help="Compare the files of layers that only one of them has.")
@platform_flag
@json_flag
@registry_flags
def diff(session: Session, before: str, after: str, files: bool, platform: str | None, as_json: bool) -> int:
    """Show how the image B differs from the image A: configuration, labels, layers, files.

    + is only in B, - only in A, ~ differs. Exit code 1 when something differs.
    """
    from lifecycle.app.local import find
    from lifecycle.events import step
    from lifecycle.image.diff import diff as compare
    from lifecycle.image.places import load_image
    from lifecycle.oci import Platform

    ports = session.ports.images()
    wanted = Platform.parse(platform) if platform else None
    old, new = (load_image(find(name, ports), ports, wanted) for name in (before, after))
    with step(session.renderer, "diff", f"Comparing {before} and {after}"):
        found = compare(old, new, files=files)
    if as_json:
        session.print_json(_data(found))
    elif found.same:
        session.say("They do not differ.")
    else:
        session.print("\n".join(_lines(found)))
    return 0 if found.same else 1


def _lines(found: ImageDiff) -> list[str]:
    lines: list[str] = []
    sections = {
        "Configuration": [_setting(item) for item in found.config],
        "Environment": [_setting(item) for item in found.env],
        "Labels": [_setting(item) for item in found.labels],
        "Annotations": [_setting(item) for item in found.annotations],
        "Layers (diffIDs)": [
            *(f"- {digest}" for digest in found.layers_removed),
            *(f"+ {digest}" for digest in found.layers_added),
        ],
        "Files": [_file(item) for item in found.files],
    }
    for title, rows in sections.items():
        if rows:
            lines += ([""] if lines else []) + [title, *(f"  {row}" for row in rows)]
    return lines


def _setting(change: Change) -> str:
    if change.before is None:
        return f"+ {change.key} = {_value(change.after)}"
    if change.after is None:
        return f"- {change.key} = {_value(change.before)}"
    return f"~ {change.key} = {_value(change.before)} → {_value(change.after)}"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "…"


def _file(change: FileChange) -> str:
    told = f" ({', '.join(change.differs)})" if change.differs else ""
    # repr: a name may hold line breaks and control characters
    path = repr(os.fsdecode(change.path))[1:-1]
    return f"{_SIGNS[change.what]} /{path}{told}"


def _data(found: ImageDiff) -> dict[str, Any]:
    def settings(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
        return [{"key": item.key, "before": item.before, "after": item.after} for item in changes]

    return {
        "same": found.same,
        "config": settings(found.config),
        "env": settings(found.env),
        "labels": settings(found.labels),
        "annotations": settings(found.annotations),
        "layers_removed": [str(item) for item in found.layers_removed],
        "layers_added": [str(item) for item in found.layers_added],
        "files": [
            {"path": "/" + os.fsdecode(item.path), "what": item.what, "differs": list(item.differs)}
            for item in found.files
        ],
    }
