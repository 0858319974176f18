"""``pylife tag``."""

from __future__ import annotations

import click

from lifecycle.cli.command import Session, command


@command(examples=["pylife tag demo localhost:5000/team/demo:1"])
@click.argument("name")
@click.argument("new", nargs=-1, required=True)
def tag(session: Session, name: str, new: tuple[str, ...]) -> None:
    """Give the image NAME in the local store other names too. An image that had one of them loses it."""
    from lifecycle.app.local import tag as give
    from lifecycle.oci import Reference

    refs = [Reference.parse(text) for text in new]
    for ref in refs:
        descriptor = give(session.ports.store, Reference.parse(name), ref)
        session.print(f"{ref.with_default_tag().familiar}@{descriptor.digest}")
