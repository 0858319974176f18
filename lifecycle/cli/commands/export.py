"""``pylife export``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lifecycle.cli.command import Session, command, platform_flag, registry_flags
from lifecycle.errors import UsageError


@command(examples=["pylife export demo -o demo.tar", "pylife export demo | tar -x -C rootfs"])
@click.argument("name")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write to FILE (default: stdout)."
)
@platform_flag
@registry_flags
def export(session: Session, name: str, output: Path | None, platform: str | None) -> None:
    """Write the filesystem of the image NAME, all layers merged, as a tar archive."""
    from lifecycle.app.transfers import export_file, export_stream
    from lifecycle.oci import Platform

    wanted = Platform.parse(platform) if platform else Platform.host()
    if output is not None:
        export_file(name, output, session.ports, wanted)
        return
    if sys.stdout.isatty():
        raise UsageError("A tar archive is nothing for a terminal", fix="Add -o FILE, or pipe it into another program.")
    session.renderer.pause()
    export_stream(name, sys.stdout.buffer, session.ports, wanted)
    sys.stdout.buffer.flush()
