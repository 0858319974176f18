"""Writes the variables into a launch layer, and the labels into launch.toml."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pylife_sdk.context import Build
from pylife_sdk.launch import write_launch
from pylife_sdk.layer import open_layer
from pylife_sdk.output import fail, heading, note, warn

from pylife_environment.labels import read_labels
from pylife_environment.variables import PATHS, Change, looks_secret, read_changes

_WORDS = {
    "override": "set",
    "default": "set, unless it is set at launch",
    "append": "extended at its end",
    "prepend": "extended at its beginning",
}


def build(context: Build) -> None:
    """Runs bin/build. Raises ``Failure`` for names and labels that cannot be meant. No value is printed."""
    changes = read_changes(context.env)
    _check(changes)
    labels = read_labels(context.env)
    if changes:
        heading("Variables of the image")
        layer = open_layer(context, "environment", launch=True)
        layer.empty()
        delimiters = {change.name for change in changes if change.mode == "delim"}
        for change in changes:
            layer.set_env(change.name, change.value, when="launch", mode=change.mode)
            if change.mode != "delim":
                note(f"{change.name}: {_WORDS[change.mode]} ({change.source})")
            if change.mode in ("append", "prepend") and change.name in PATHS - delimiters:
                layer.set_env(change.name, os.pathsep, when="launch", mode="delim")
                note(f'{change.name} is a list of paths, so "{os.pathsep}" goes between (BPE_DELIM_{change.name}).')
        layer.commit({"variables": " ".join(change.source for change in changes)})
    if labels:
        heading("Labels of the image")
        for name in labels:
            note(name)
    write_launch(context, [], labels=labels)


def _check(changes: Sequence[Change]) -> None:
    seen: dict[tuple[str, str], Change] = {}
    for change in changes:
        if not _is_name(change.name):
            fail(
                "environment.bad-name",
                f"${change.source} names no variable that can be set.",
                found=f"{change.source} would set {change.name!r}",
                fix="Write BPE_ and the variable's name, of letters, digits and _:\nBPE_MODE=production",
            )
        other = seen.setdefault((change.name, change.mode), change)
        if other.value != change.value:
            fail(
                "environment.conflict",
                f"{change.name} is set twice, to different values.",
                found=f"{other.source} and {change.source}",
                fix=f"Keep one of the two: {other.source} means the same as {change.source}.",
            )
        try:
            change.value.encode()
        except UnicodeEncodeError:
            fail(
                "environment.bad-value",
                f"The value of ${change.source} is not UTF-8 text.",
                found=f"its first bytes: {os.fsencode(change.value)[:16].hex(' ')}",
                fix="Give text. Other bytes can be given as base64, and decoded by the app.",
            )
        if looks_secret(change.name):
            warn(f"{change.name} looks like a secret: whoever can pull the image can read it.")
            warn(f"Better give it when the app starts: pylife run -e {change.name}=...")
    extended = {change.name for change in changes if change.mode in ("append", "prepend")}
    for change in changes:
        if change.mode == "delim" and change.name not in extended:
            warn(f"{change.source} counts for nothing: neither BPE_APPEND_ nor BPE_PREPEND_{change.name} is set.")


def _is_name(name: str) -> bool:
    return name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()
