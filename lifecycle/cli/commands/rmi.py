"""``pylife rmi``."""

from __future__ import annotations

import click

from lifecycle.cli.command import Session, command


@command(examples=["pylife rmi demo", "pylife rmi demo:1 demo:2"])
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
def rmi(session: Session, names: tuple[str, ...]) -> None:
    """Remove names from the local store; `pylife gc` then frees the disk. One unknown name, and none is removed."""
    from lifecycle.app.local import remove
    from lifecycle.oci import Reference

    refs = [Reference.parse(name) for name in names]
    remove(session.ports.store, refs)
    for ref in refs:
        session.print(ref.with_default_tag().familiar)
