"""``pylife copy``."""

from __future__ import annotations

import click

from lifecycle.cli.command import Session, command, platform_flag, registry_flags, setting_flag


@command(
    examples=[
        "pylife copy docker.io/library/debian:12 oci:./debian:12",
        "pylife copy demo docker-archive:demo.tar:demo:1",
        "pylife copy oci-archive:app.tar localhost:5000/app:1",
    ]
)
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST")
@platform_flag
@registry_flags
@setting_flag("compression")
def copy(session: Session, source: str, destination: str, platform: str | None) -> None:
    """Copy an image from SRC to DST, byte for byte; an index with all its platforms unless --platform names one.

    A place is an image name, or oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG], dir:DIR. As
    SRC, a name is looked for in the local store, then in its registry; as DST, it is a registry when it says one, else
    the local store.
    """
    from lifecycle.app.local import find
    from lifecycle.image.places import copy as copy_image
    from lifecycle.image.places import parse_place
    from lifecycle.oci import Platform

    ports = session.ports.images()
    target = parse_place(destination)
    wanted = Platform.parse(platform) if platform else None
    moved = copy_image(find(source, ports), target, ports, session.renderer, wanted)
    session.print(str(moved.descriptor.digest))
