"""Hands the Procfile's processes to the image, over those of earlier buildpacks."""

from __future__ import annotations

import os

from pylife_sdk.context import Build, read_bytes
from pylife_sdk.launch import Process, shell, write_launch
from pylife_sdk.output import heading, note

from pylife_procfile.parse import default_type, parse


def build(context: Build) -> None:
    """Runs bin/build. Raises ``Failure`` for a Procfile that cannot be meant."""
    entries = parse(read_bytes(os.path.join(context.app, "Procfile")))
    heading(f"Processes of the Procfile: {', '.join(entry.type for entry in entries)}")
    for entry in entries:
        note(f"{entry.type}: {entry.command}")
    first = default_type(entries)
    if not first:
        note("None of them is web, so the image starts none by itself: name one when it starts, such as")
        note(f"pylife run --process {entries[0].type} ...")
    elif first != "web":
        note(f"The image starts {first}, its only process.")
    write_launch(context, [Process(entry.type, shell(entry.command), entry.type == first) for entry in entries])
