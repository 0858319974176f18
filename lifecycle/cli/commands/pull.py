"""``pylife pull``."""

from __future__ import annotations

import click

from lifecycle.cli.command import Session, command, platform_flag, registry_flags
from lifecycle.errors import UsageError


@command(
    examples=["pylife pull docker.io/library/debian:12-slim", "pylife pull --platform linux/arm64 localhost:5000/app"]
)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@platform_flag
@click.option("--all-platforms", is_flag=True, help="Fetch an index with all its images.")
@registry_flags
def pull(session: Session, names: tuple[str, ...], platform: str | None, all_platforms: bool) -> None:
    """Fetch images from their registries into the local store, under their names. A bare NAME is docker.io's."""
    from lifecycle.app.transfers import pull as pull_image
    from lifecycle.oci import Platform, Reference

    if platform and all_platforms:
        raise UsageError("--platform and --all-platforms exclude each other", fix="Give one of them.")
    wanted = None if all_platforms else Platform.parse(platform) if platform else Platform.host()
    for ref in [Reference.parse(name) for name in names]:
        digest = pull_image(ref, session.ports, wanted)
        session.print(f"{ref.with_default_tag().familiar}@{digest}" if ref.digest is None else ref.familiar)
