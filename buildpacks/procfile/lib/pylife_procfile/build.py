"""Hands the Procfile's processes to the image, over those of earlier buildpacks."""

from __future__ import annotations

import os

from pylife_sdk.context import Build, read_bytes
from pylife_sdk.launch import Process, shell, write_launch
from pylife_sdk.output import heading, note

from pylife_procfile.parse import parse


def build(context: Build) -> None:
    """Runs bin/build. Raises ``Failure`` for a Procfile that cannot be meant."""
    entries = parse(read_bytes(os.path.join(context.app, "Procfile")))
    heading(f"Processes of the Procfile: {', '.join(entry.type for entry in entries)}")
    for entry in entries:
        note(f"{entry.type}: {entry.command}")
    write_launch(context, [Process(entry.type, shell(entry.command), entry.type == "web") for entry in entries])
