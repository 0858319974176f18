"""``pylife push``."""

from __future__ import annotations

import click

from lifecycle.cli.command import Session, command, platform_flag, registry_flags


@command(
    examples=[
        "pylife push localhost:5000/app:1",
        "pylife push demo localhost:5000/team/demo:1 localhost:5000/team/demo:latest",
    ]
)
@click.argument("name")
@click.argument("destinations", metavar="[DEST]...", nargs=-1)
@platform_flag
@registry_flags
def push(session: Session, name: str, destinations: tuple[str, ...], platform: str | None) -> None:
    """Send the image NAME from the local store to its registry, or to each DEST. Layers that are there are not sent."""
    from lifecycle.app.transfers import push as push_image
    from lifecycle.oci import Platform, Reference

    wanted = Platform.parse(platform) if platform else None
    for ref, digest in push_image(Reference.parse(name), destinations, session.ports, wanted):
        session.print(f"{ref.familiar}@{digest}")
